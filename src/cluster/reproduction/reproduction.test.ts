import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plannedTrials } from '../definition.js';
import type { SweepState } from '../sweep-state.js';
import type { TrialResult } from '../trial.js';
import { CLAIMS, type Experiment, SCALES } from './claims.js';
import { equalTimeSweep } from './equal-time.js';
import { experimentsFor, settingNames } from './experiments.js';
import { evidenceFigure, lookOf } from './figures.js';
import { type Evidence, failedRuns, findingsOf, rankingOf } from './findings.js';
import { reportCsv, reportPage } from './report.js';
import { bestPoints, finalSweep, type RowTrial, rowTrials, tuningSweep } from './sweeps.js';

const all = SCALES.flatMap((scale) =>
  experimentsFor(CLAIMS, scale, { settings: settingNames(scale) }).map((experiment) => ({
    scale,
    experiment,
  })),
);
const [small] = experimentsFor(['paradox'], 'small') as [Experiment];

const result = (natural: number, certified: number): TrialResult => ({
  ...{ natural, certified, adversarial: natural, images: 10, losses: { ibp: 1 }, judgingSeconds: 0 },
  ...{ epochs: 1, minutes: 0.5, digest: 'a', commit: 'abc' },
});

/** A sweep whose every trial has ended, with what `reached` says. */
function ended(
  definition: SweepState['definition'],
  reached: (row: string, seed: number) => TrialResult,
): SweepState {
  const points = definition.search.points ?? [];
  return {
    ...{ definition, trials: points.length, front: [] },
    states: points.map((point, number) => ({
      trial: { number, rung: 0, point },
      end: { result: reached(definition.labels?.[number] ?? '', point.seed as number) },
    })),
  };
}
/** A sweep of one of its rows alone. */
const withRow = (definition: SweepState['definition'], row: string): SweepState['definition'] => ({
  ...definition,
  search: {
    ...definition.search,
    points: definition.search.points?.filter((_, i) => definition.labels?.[i] === row),
  },
  labels: definition.labels?.filter((label) => label === row),
});
const starts = new Map(small.rows.map((row) => [row.name, { ...row.settings, ...row.start } as never]));

describe('the experiments', () => {
  test.each(all)(
    'of $scale $experiment.name are trainings that can be, each row with equal budgets',
    ({ experiment }) => {
      const planned = plannedTrials(tuningSweep(experiment));
      expect(planned.length).toBe(experiment.rows.length * experiment.trials * (experiment.tuningSeeds ?? 1));
      const budgets = planned.map(({ settings }) =>
        [settings.epochs, settings.batchSize, settings.trainLimit].join(),
      );
      expect(new Set(budgets).size).toBe(1);
      const names = experiment.rows.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      const every = experiment.allRows?.map(({ name }) => name);
      for (const { better, worse } of experiment.comparisons)
        for (const name of [better, worse]) expect(every).toContain(name);
      // PGPE gets enough steps of enough pairs to come anywhere.
      for (const { settings } of planned)
        if (settings.smoothing === 'pgpe' && experiment.trials > 1) {
          const images = (settings.trainLimit ?? 60_000) - settings.validation;
          expect((images / settings.batchSize) * settings.epochs).toBeGreaterThanOrEqual(6000);
          expect(settings.samples).toBeGreaterThanOrEqual(32);
        }
    },
  );

  test('of all claims hold the rows of each', () => {
    const rows = (claims: Parameters<typeof experimentsFor>[0]) =>
      experimentsFor(claims, 'small').flatMap((each) => each.rows.map(({ name }) => `${each.name} ${name}`));
    for (const claim of CLAIMS) expect(rows(CLAIMS)).toEqual(expect.arrayContaining(rows([claim])));
    expect(rows(['paradox'])).toEqual([
      ...['S2 ibp', 'S2 crown-ibp', 'S2 crown'],
      ...['CNN3 ibp', 'CNN3 crown-ibp'],
    ]);
  });

  test('at small scale are told apart in their figure by eight colours, filled or not', () => {
    const named = all.filter(({ scale }) => scale !== 'paper');
    for (const { experiment } of named) {
      const looks = experiment.rows.map(lookOf);
      expect(new Set(looks.map(({ series }) => series)).size).toBeLessThanOrEqual(8);
      expect(new Set(looks.map(({ series, hollow }) => `${series} ${hollow}`)).size).toBe(looks.length);
    }
  });

  test('are the usual ones unless settings are named, with the rows that are named', () => {
    const names = (selection: Parameters<typeof experimentsFor>[2]) =>
      experimentsFor(['paradox', 'rgs'], 'small', selection).map(
        ({ name, rows }) => `${name}: ${rows.map((row) => row.name).join(' ')}`,
      );
    expect(names({ rows: ['crown', 'ibp-rgs'] })).toEqual(['S2: crown ibp-rgs', 'CNN3: crown']);
    expect(names({})[1]).toBe('CNN3: ibp crown-ibp crown-ibp-rgs');
    expect(names({ settings: ['full-0.3'], rows: ['deeppoly'] })).toEqual(['full-0.3: deeppoly']);
    expect(settingNames('small', 'usual')).toEqual(['S2', 'T', 'CNN3']);
    expect(() => names({ rows: ['crwon'] })).toThrow(/^--rows: expected some of ibp, .*, got "crwon"/);
    expect(() => names({ settings: ['T'] })).toThrow(
      '--setting: expected one that paradox or rgs looks at (S2,',
    );
  });
});

describe('the runs that are reported', () => {
  test('run on the device that is named, which is part of their commands', () => {
    const device = (name?: 'cpu' | 'cuda') =>
      experimentsFor(['paradox'], 'smoke', { device: name }).map(({ settings }) => settings.device);
    expect([device(), device('cpu'), device('cuda')]).toEqual([[undefined], [undefined], ['cuda']]);
  });

  test('are paired: each row has the same seeds, none of which tuning has seen', () => {
    const final = finalSweep(small, starts, 5);
    const seeds = new Map<string, unknown[]>();
    final.search.points?.forEach((point, i) => {
      const row = final.labels?.[i] as string;
      seeds.set(row, [...(seeds.get(row) ?? []), point.seed]);
    });
    expect([...seeds.values()]).toEqual(small.rows.map(() => [0, 1, 2, 3, 4]));
    expect(tuningSweep(small).search.points?.every(({ seed }) => (seed as number) > 4)).toBe(true);
    expect([tuningSweep(small).judge.on, final.judge.on]).toEqual(['validation', 'test']);
  });

  test('have the settings whose mean over the tuning seeds is best in their row', () => {
    const seeds = small.tuningSeeds as number;
    const ofRow = small.trials * seeds;
    // Point 2 is good with every seed; point 3 has the best single seed.
    const certified = (k: number) =>
      ({ 2: 0.5, 3: k % seeds === 0 ? 0.55 : 0.4 })[Math.floor(k / seeds)] ?? 0.4;
    const tuned = rowTrials(ended(tuningSweep(small), () => result(0.9, 0.1))).map((trial, i): RowTrial => {
      return { ...trial, result: result(0.9, certified(i % ofRow)) };
    });
    for (const [i, { name }] of small.rows.entries())
      expect(bestPoints(small, tuned).get(name)).toEqual(tuned[i * ofRow + 2 * seeds]?.point);
    expect(() => bestPoints(small, tuned.slice(ofRow))).toThrow('a tuning trial of ibp that ends');
  });
});

describe('a comparison', () => {
  const evidence = (reached: (row: string, seed: number) => TrialResult) => ({
    experiment: small,
    tuning: ended(tuningSweep(small), () => result(0.5, 0.4)),
    final: ended(finalSweep(small, starts, 5), reached),
  });
  const noise = [0.002, -0.001, 0.0015, -0.002, 0.0005];

  test('is shown where the difference stands out from its spread, refuted where its opposite does', () => {
    fc.assert(
      fc.property(fc.double({ min: -0.1, max: 0.1, noNaN: true }), (gap) => {
        const findings = findingsOf(
          evidence((row, seed) =>
            result(0.9, (row === 'ibp' ? gap : 0) + 0.5 + (row === 'ibp' ? 1 : 0) * (noise[seed] ?? 0)),
          ),
        );
        // t(0.975, 4)·s/√5 of the noise about its mean 0.0002.
        const half = (2.77645 * Math.sqrt(0.0000113 / 4)) / Math.sqrt(5);
        const mean = gap + 0.0002;
        const expected = mean > half ? 'shown' : mean < -half ? 'refuted' : 'open';
        if (Math.abs(Math.abs(mean) - half) > 1e-6)
          expect(findings.map(({ answer }) => answer)).toEqual([expected, expected]);
      }),
    );
  });

  test('of the best row with the next says whether they can be told apart', () => {
    const reached = (gap: number) =>
      rankingOf(
        evidence((row, seed) =>
          result(0.9, row === 'ibp' ? 0.6 + gap + (noise[seed] ?? 0) : row === 'crown' ? 0.6 : 0.5),
        ),
        'steps',
      );
    expect(reached(0.01)).toMatchObject({
      ...{ best: 'ibp', runnerUp: 'crown', isSeparable: true, asGood: [] },
      lead: { mean: expect.closeTo(0.0102), count: 5 },
    });
    expect(reached(0.001)).toMatchObject({ best: 'ibp', isSeparable: false, asGood: ['crown'] });
  });

  test('is on the page with what it found, and every run is in the table with its command', () => {
    const some = evidence((row, seed) => result(0.9, row === 'crown' ? 0.4 : 0.6 + (noise[seed] ?? 0)));
    const page = reportPage([some], 'tautnet reproduce paradox', 'results.svg');
    expect(page).toContain('- **paradox**: comparisons 1 shown (ibp over crown in S2); 0 refuted; 1 open');
    const lines = reportCsv([some]).trimEnd().split('\n');
    expect(lines.length).toBe(1 + 3 * small.trials * (small.tuningSeeds as number) + 3 * 5);
    for (const line of lines.slice(1)) expect(line).toMatch(/"?tautnet train .*--seed |--epochs/);
  });

  test('tells of runs that failed on the page and by the command', () => {
    const whole = evidence(() => result(0.9, 0.6));
    const states = whole.final.states.map((each, i) =>
      i === 4 ? { ...each, end: { failed: 'its process ended by SIGKILL' } } : each,
    );
    const some = { ...whole, final: { ...whole.final, states } };
    const failed = failedRuns(some);
    expect(failed).toEqual([
      { experiment: 'S2', phase: 'final', row: 'crown-ibp', seed: 1, reason: 'its process ended by SIGKILL' },
    ]);
    expect(reportPage([some], '', 'results.svg')).toContain(
      '### Failed runs\n\n- final, crown-ibp, seed 1: its process ended by SIGKILL',
    );
    expect(reportPage([whole], '', 'results.svg')).not.toContain('Failed runs');
    expect(reportCsv([some]).split('\n').length).toBe(reportCsv([whole]).split('\n').length - 1);
  });

  test('at equal time gives each row the epochs that fit into the time of the slowest', () => {
    const minutes: Readonly<Record<string, number>> = { ibp: 0.1, 'crown-ibp': 0.5, crown: 1 };
    const took = (row: string, certified: number): TrialResult => ({
      ...result(0.9, certified),
      ...{ epochs: 40, minutes: minutes[row] as number },
    });
    const inSteps = evidence((row) => took(row, 0.5));
    const longer = equalTimeSweep(small, starts, 5, rowTrials(inSteps.final)) as SweepState['definition'];
    expect([...new Set(longer.labels)]).toEqual(['ibp', 'crown-ibp']);
    const [first, last] = [longer.search.points?.[0], longer.search.points?.at(-1)];
    expect([first?.epochs, first?.warmupEpochs, last?.epochs, last?.seed]).toEqual([400, 200, 80, 4]);
    expect(plannedTrials(longer)).toHaveLength(10);

    // IBP is worse than CROWN in equal steps and better in equal time.
    const both: Evidence = {
      ...evidence((row, seed) => took(row, (row === 'crown' ? 0.6 : 0.5) + (noise[seed] ?? 0))),
      equalTime: ended(longer, (row, seed) => ({
        ...took(row, 0.7 - (noise[seed] ?? 0)),
        epochs: row === 'ibp' ? 400 : 80,
      })),
    };
    const answers = findingsOf(both).filter(({ worse }) => worse === 'crown');
    expect(answers.map(({ equal, answer }) => [equal, answer])).toEqual([
      ['steps', 'refuted'],
      ['time', 'shown'],
    ]);
    const page = reportPage([both], '', 'results.svg');
    expect(page).toContain('ibp over crown in S2 at equal time');
    const [steps, time] = ['### Equal steps', '### Equal time'].map(
      (head) => page.split(head)[1] as string,
    ) as [string, string];
    for (const panel of [steps, time])
      for (const part of ['| row | seeds |', '| trained with | ibp |', '| paradox | ibp − crown |'])
        expect(panel).toContain(part);
    // The slowest row is in both panels with the same runs; what could have more time and has not, in one.
    expect(
      [...time.matchAll(/^\| (\S+) .*\| 5 \| (\d+) \|/gm)].map(([, row, epochs]) => [row, epochs]),
    ).toEqual([
      ['ibp', '400'],
      ['crown-ibp', '80'],
      ['crown', '40'],
    ]);
    const without = withRow(longer, 'ibp');
    expect(rankingOf({ ...both, equalTime: ended(without, () => took('ibp', 0.7)) }, 'time')).toMatchObject({
      ...{ best: 'ibp', runnerUp: 'crown', isSeparable: true, asGood: [] },
    });
    expect(reportCsv([both]).match(/^S2,equal time,/gm)).toHaveLength(10);
    // Two panels of steps, two of time, one of tuning.
    expect(evidenceFigure([both]).panels).toHaveLength(5);
    expect(
      equalTimeSweep(small, starts, 5, rowTrials(evidence(() => result(0.9, 0.5)).final)),
    ).toBeUndefined();
  });
});
