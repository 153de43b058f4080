import { describe, expect, it } from 'vitest';
import { activationLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain } from '../../network/network.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { randomInequalities, singleBox, singleParameters } from '../../testing/property-cases.js';
import { searchEngines } from '../../testing/search-engines.js';
import { evaluationOf } from '../../testing/searches.js';
import type { Inequality } from '../property/property.js';
import type { Engine, Goal } from './engine.js';
import { rootOf } from './root.js';
import { splitSmooth } from './smooth-splitting.js';

const engineOf = searchEngines();
const [INPUTS, WIDTH] = [24, 8];
const extents = [WIDTH, 1, 1] as const;
const net = chain(
  'smooth',
  [INPUTS, 1, 1],
  [
    linearLayer([INPUTS, 1, 1], WIDTH),
    activationLayer(extents, 'tanh'),
    linearLayer(extents, WIDTH),
    activationLayer(extents, 'sigmoid'),
    linearLayer(extents, WIDTH),
  ],
);

/** One row over a box: its bound there, its least value at many places, and searches above thresholds. */
async function caseOf(seed: number, dtype: Engine['dtype'] = 'float32') {
  const single = singleParameters(net, seed);
  const doubles = Object.entries(single).map(([name, w]) => [name, Float64Array.from(w)] as const);
  const parameters = Object.fromEntries(doubles);
  let calls = 0;
  const limited = (most: number): Engine => {
    const engine = engineOf(net, single, () => calls > most);
    return {
      ...engine,
      dtype,
      plan: (name, compile) => engine.plan(`${dtype} ${name}`, compile),
      run: (plan, feeds) => {
        calls++;
        return engine.run(plan, dtype === 'float64' ? { ...parameters, ...feeds } : feeds);
      },
    };
  };
  const evaluate = evaluationOf(engineOf(net, single));
  const box = singleBox(net, seed, 0.4);
  const [row] = randomInequalities(net, seed, 1, false) as [Inequality];
  // Far above what is reached: the bound of the whole box, whose α are optimised.
  const unsafe = [{ ...row, bound: 1000 }];
  const options = { secondsLeft: () => 60, evaluate };
  const root = await rootOf(limited(Number.POSITIVE_INFINITY), box, [{ box, unsafe }], options);
  const value = (y: ArrayLike<number>) => row.outputs.reduce((sum, c, j) => sum + c * (y[j] as number), 0);
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < 200; k++) {
    const u = uniformNumbers(`place ${k} ${seed}`, INPUTS);
    const share = (i: number) => (k % 2 === 0 ? (u[i] as number) : Math.round(u[i] as number));
    const x = box.lower.map((low, i) => low + share(i) * ((box.upper[i] as number) - low));
    least = Math.min(least, value(await evaluate(Float32Array.from(x))));
  }
  const above = (threshold: number, most = 250) => {
    calls = 0;
    const goals = root.goals.map((goal): Goal => ({ ...goal, threshold }));
    const search = { ...root, goals, memoryBytes: 2 ** 26, found: async () => false };
    return splitSmooth(limited(most), search);
  };
  return { bound: root.lowerBound + 1000, least, above };
}

describe('halves of what smooth activations read', () => {
  it('prove what lies above the bound of the whole box, and never what is reached', async () => {
    let proved = 0;
    for (let seed = 0; seed < 2; seed++) {
      const { bound, least, above } = await caseOf(seed);
      expect(bound).toBeLessThan(least);
      if ((await above(bound + 0.02)).verdict === 'proved') proved++;
      const reached = await above(least + 1e-3);
      expect(reached.verdict).toBe('open');
      expect(reached.lowerBound + least).toBeLessThan(least);
    }
    expect(proved).toBeGreaterThan(0);
  }, 180_000);

  it('prove nothing that is reached in float64 either, and what bounds of the whole box do not', async () => {
    let proved = 0;
    for (let seed = 0; seed < 2; seed++) {
      const { bound, least, above } = await caseOf(seed, 'float64');
      if ((await above(bound + 0.02)).verdict === 'proved') proved++;
      expect((await above(least, 100)).verdict).toBe('open');
    }
    expect(proved).toBeGreaterThan(0);
  }, 180_000);

  it('end where time or memory ends', async () => {
    const { least, above } = await caseOf(1);
    expect(await above(least, 12)).toMatchObject({ verdict: 'open', reason: 'time' });
  }, 60_000);
});
