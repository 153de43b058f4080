import { describe, expect, test } from 'vitest';
import { commandOf, givenSettings, plannedTrials } from './definition.js';
import { parseSweep } from './sweep-file.js';

const FILE = `
search: random
trials: 20
seed: 3
settings:
  architecture: fc-small
  epsilon: 2/255
  epochs: 9
parameters:
  smoothing: [none, rgs]
  learning-rate: { from: 1e-4, to: 1e-1, scale: log }
  sigma: { from: 0.001, to: 0.2, scale: log, when: { smoothing: rgs } }
  samples: { from: 1, to: 4, when: { smoothing: rgs } }
`;

const failure = async (text: string): Promise<string> =>
  parseSweep(text, 'sweep.yaml')
    .then(plannedTrials)
    .then(
      () => 'none',
      (error: Error) => error.message,
    );

describe('a sweep file', () => {
  test('becomes trials whose settings are all valid, whole numbers whole, fractions read', async () => {
    const definition = await parseSweep(FILE, 'sweep.yaml');
    const planned = plannedTrials(definition);
    expect(planned.length).toBe(20);
    for (const { settings } of planned) {
      expect(settings.epsilon).toBe(2 / 255);
      expect(Number.isInteger(settings.samples)).toBe(true);
      expect(settings.validation).toBe(1000);
    }
    expect(new Set(planned.map(({ settings }) => settings.smoothing)).size).toBe(2);
    expect(await parseSweep(FILE, 'sweep.yaml')).toEqual(definition);
    expect(JSON.parse(JSON.stringify(definition))).toEqual(definition);
  });

  test('gives each trial a command that trains it again', async () => {
    const definition = await parseSweep(FILE, 'sweep.yaml');
    expect(commandOf(givenSettings(definition, { smoothing: 'rgs', samples: 3, learningRate: 0.01 }))).toBe(
      'tautnet train --validation 1000 --architecture fc-small --epsilon 0.00784313725490196 --smoothing rgs ' +
        '--samples 3 --learning-rate 0.01 --epochs 9',
    );
  });

  test.each([
    ['no search', 'parameters: {seed: [1]}', /^sweep.yaml, line 1, column 1: search: |expected one of/],
    ['an unknown word', `${FILE}\nserach: grid`, /expected one of search, trials, .*got serach/],
    [
      'an alias without its anchor',
      'search: grid\nparameters: {seed: *a}',
      /^sweep.yaml, line 1, column 1: expected YAML; Unresolved alias/,
    ],
    [
      'an unknown setting',
      'search: grid\nparameters: {sedd: [1]}',
      /line 2, column 20: parameters.sedd: expected the name of a setting, got "sedd"; did you mean seed\?$/,
    ],
    [
      'a value out of range',
      'search: grid\nparameters: {epsilon: [2]}',
      /line 2, column 23: parameters.epsilon: expected a number in \(0, 1\], got 2/,
    ],
    [
      'a range of names',
      'search: grid\nparameters: {method: {from: 1, to: 2}}',
      /expected a list of values, got a range/,
    ],
    [
      'a range without steps in a grid',
      'search: grid\nparameters: {epsilon: {from: 0.1, to: 0.2}}',
      /^sweep: epsilon: expected the number of steps of a range in a grid/,
    ],
    [
      'halving without epochs',
      'search: halving\nhalving: {first: 1}\nparameters: {seed: [1]}',
      /line 2, column 10: halving: expected epochs among settings/,
    ],
    [
      'a trial that cannot be',
      'search: grid\nparameters: {relaxation: [ibp, lp]}',
      /^trial 1 \(relaxation lp\): relaxation: expected a bound with a derivative/,
    ],
    [
      'nothing held out',
      'search: grid\nsettings: {validation: 0}\nparameters: {seed: [1]}',
      /expected images held out to judge by, got 0/,
    ],
    ['YAML that is none', 'search: [', /^sweep.yaml, line 1, column \d+: expected YAML/],
  ])('is refused in one line with %s', async (_, text, message) => {
    const said = await failure(text);
    expect(said).toMatch(message);
    expect(said).not.toContain('\n');
  });
});
