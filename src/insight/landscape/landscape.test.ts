import { describe, expect, test } from 'vitest';
import { initialize } from '../../network/initialization.js';
import { keyOf } from '../../runtime/random/keys.js';
import { randomLabels, uniformNumbers } from '../../testing/numbers.js';
import { smallNetwork } from '../../testing/robust-objectives.js';
import { figureSvg } from '../figure/svg.js';
import { type LandscapeOptions, landscape } from './landscape.js';
import { landscapeFigure, morphedFigure, planeFigure } from './landscape-figure.js';

const subject = (name: string, seed: number) => ({
  name,
  network: smallNetwork,
  parameters: initialize(smallNetwork, 'kaiming', keyOf(seed)),
});
const options: LandscapeOptions = {
  subjects: [subject('one', 1), subject('two', 2)],
  relaxations: ['ibp', 'crown', 'ibp+crown'],
  batch: {
    images: Float32Array.from(uniformNumbers('landscape images', 4 * 16)),
    labels: randomLabels('landscape labels', 4, smallNetwork.classes),
  },
  epsilon: 0.2,
  span: 0.05,
  points: 5,
  sigmas: [0, 0.02],
  samples: 3,
  seed: 5,
  threads: 2,
};

describe('a landscape', () => {
  test('keeps the order that theory gives: an intersection is below all that it is made of', async () => {
    const { subjects } = await landscape(options);
    for (const { line } of subjects)
      for (const sigma of options.sigmas) {
        const at = (name: string) =>
          line.curves.find((curve) => curve.relaxation === name && curve.sigma === sigma);
        const both = at('ibp+crown');
        both?.values.forEach((value, i) => {
          for (const name of ['ibp', 'crown'])
            expect(value).toBeLessThanOrEqual((at(name)?.values[i] as number) + 1e-5);
        });
        expect(both?.tightness).toBeLessThan(1e-5);
      }
  });

  test('is continuous where the relaxation is: IBP has no jump', async () => {
    const { subjects } = await landscape({ ...options, relaxations: ['ibp'], sigmas: [0], points: 21 });
    for (const { line } of subjects) expect(line.curves[0]?.jumps).toMatchObject({ searched: 20, count: 0 });
  });

  test('does not depend on the number of threads, but on the seed', async () => {
    const two = await landscape(options);
    expect(await landscape({ ...options, threads: 1 })).toEqual(two);
    expect(await landscape({ ...options, seed: 6 })).not.toEqual(two);
  });

  test('along the gradient the loss falls', async () => {
    const { subjects } = await landscape({ ...options, direction: 'gradient', span: 0.01, sigmas: [0] });
    for (const { line } of subjects) {
      const [curve] = line.curves;
      expect(curve?.values.at(-1)).toBeLessThan(curve?.values[0] as number);
    }
  });

  test('towards other parameters is theirs at t = 1', async () => {
    const [one, two] = options.subjects;
    const towards = { subjects: options.subjects.slice(0, 1), direction: two?.parameters, span: 1 };
    const { subjects } = await landscape({ ...options, ...towards, relaxations: ['ibp'], sigmas: [0] });
    const there = await landscape({
      ...options,
      subjects: [two as never],
      relaxations: ['ibp'],
      sigmas: [0],
    });
    const values = subjects[0]?.line.curves[0]?.values;
    expect(values?.at(-1)).toBeCloseTo(there.subjects[0]?.line.curves[0]?.values[2] as number, 4);
    expect(one?.name).toBe('one');
  });

  test('has a plane whose middle is the middle of the line, and both are drawn', async () => {
    const found = await landscape({ ...options, plane: 3, relaxations: ['ibp'] });
    for (const each of found.subjects) {
      each.plane?.surfaces.forEach(({ values }, s) => {
        expect(values[4]).toBe(each.line.curves[s]?.values[2]);
      });
      expect(figureSvg(planeFigure(found, each) as never)).toContain('data-mark="contour"');
    }
    const figure = landscapeFigure(found);
    expect(figure.panels.map(({ title }) => title)).toEqual([
      'one: the loss itself',
      'two: the loss itself',
      'one: smoothed, σ = 0.02',
      'two: smoothed, σ = 0.02',
    ]);
  });

  test('morphs from raw to smoothed on one scale: at each σ its curves, halfway their mean', async () => {
    const found = await landscape({ ...options, sigmas: [0, 0.01, 0.02], relaxations: ['ibp', 'crown'] });
    const at = (position: number) => morphedFigure(found, position);
    const lines = (position: number) =>
      at(position).panels.flatMap(({ marks }) =>
        marks.flatMap((mark) => (mark.kind === 'line' ? [mark.y] : [])),
      );
    const bands = (position: number) =>
      at(position).panels.flatMap(({ marks }) => marks.filter(({ kind }) => kind === 'band'));
    const whole = landscapeFigure(found).panels.flatMap(({ marks }) =>
      marks.flatMap((mark) => (mark.kind === 'line' ? [mark.y] : [])),
    );
    expect([0, 1, 2].flatMap(lines)).toEqual(whole);
    expect([bands(0).length, bands(0.5).length, bands(2).length]).toEqual([0, 4, 4]);
    lines(1.5).forEach((line, k) => {
      for (const [i, value] of line.entries())
        expect(value).toBeCloseTo(((lines(1)[k]?.[i] as number) + (lines(2)[k]?.[i] as number)) / 2, 10);
    });
    const scales = (position: number) => at(position).panels.map(({ y }) => y.domain);
    for (const position of [-1, 0.3, 2, 9]) expect(scales(position)).toEqual(scales(0));
    expect(at(1).title).toBe('Smoothed, σ = 0.01');
  });

  test('stops when it is told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(landscape({ ...options, signal })).rejects.toThrow('enough');
  });
});
