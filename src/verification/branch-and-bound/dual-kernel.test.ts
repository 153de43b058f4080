import { afterEach, describe, expect, it, vi } from 'vitest';
import type { HostData } from '../../graph/index.js';
import { architecture } from '../../network/architectures.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { hasRowKernel, useInstructionSet } from '../../runtime/kernels/row-kernel.js';
import { inSharedMemory } from '../../runtime/shared-memory.js';
import { type DualCase, dualCase, randomMultipliers, randomRows, relusOf } from '../../testing/dual-cases.js';
import { INSTRUCTION_SETS, useFastestSet } from '../../testing/instruction-sets.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { distance } from '../../testing/operator-check.js';
import { randomSides } from '../../testing/random-sides.js';
import { searchEngines } from '../../testing/search-engines.js';
import { type DualShape, dualPlan } from './dual-program.js';
import type { Ends } from './engine.js';
import { choiceFeeds, hulledNeurons, hullNodes } from './hull-choice.js';
import { multiplierFeeds, type Segment, segmentsOf } from './part-arrays.js';
import { nodeArray } from './relu-lines.js';
import { unstableRelus } from './unstable.js';

const engineOf = searchEngines();
const network = architecture('conv 4@4 s2 p1, linear 20, linear', [1, 8, 8], 5);
const COLUMNS = 41;
const SHAPE = { columns: COLUMNS, start: 'rows', warm: true, decisions: true, keep: true } as const;

const singles = (arrays: Readonly<Record<string, Float64Array>>): Record<string, Float32Array> =>
  Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, Float32Array.from(values)]));

/** Results in float32 by the kernel or by programs, and the plan's kinds of steps. */
async function run(of: DualCase, shape: DualShape, feeds: Record<string, HostData>, inKernel: boolean) {
  vi.stubEnv('TAUTNET_ROWS', inKernel ? '' : 'ort');
  const plan = dualPlan(of.net, shape, 'float32');
  const executor = createExecutor();
  try {
    const { outputs } = await executor.run(plan, { ...singles(of.region), ...feeds });
    return { outputs, kinds: plan.steps.map(({ kind }) => kind) };
  } finally {
    await executor.close();
  }
}

async function drawn(seed: number) {
  const of = await dualCase(network, seed, 0.3);
  const multipliers = singles(randomMultipliers(of, COLUMNS, seed, 0.3));
  const rows = Float32Array.from(randomRows(network, COLUMNS, seed));
  return { of, feeds: { ...multipliers, rows } };
}

const doubles = (data: HostData | undefined) => Float64Array.from(data as Float32Array);
const target = network.nodes.length - 1;

afterEach(() => {
  vi.unstubAllEnvs();
  useFastestSet();
});

describe.skipIf(!hasRowKernel())("β-CROWN's ascent in the margin kernel", () => {
  it.each(INSTRUCTION_SETS)('climbs as programs do, with %s', async (set) => {
    if (useInstructionSet(set) !== set) return; // not this processor's
    for (const seed of [1, 2, 3]) {
      const { of, feeds } = await drawn(seed);
      const threshold = new Float32Array(COLUMNS).fill(1e30);
      for (const iterations of [10, 30]) {
        const shape = { ...SHAPE, target, iterations };
        const programs = await run(of, shape, { ...feeds, threshold }, false);
        const kernel = await run(of, shape, { ...feeds, threshold }, true);
        expect(kernel.kinds).toContain('margin-search');
        const [bound, expected] = [kernel, programs].map(({ outputs }) => doubles(outputs.bound));
        expect(distance(bound as Float64Array, expected as Float64Array)).toBeLessThan(1e-4);
        for (const name of Object.keys(programs.outputs).filter((key) => key.startsWith('p:'))) {
          const [p, other] = [doubles(kernel.outputs[name]), doubles(programs.outputs[name])];
          // Adam's first steps do not depend on a slope's size: neurons of almost none may go another way.
          const apart = p.filter((value, i) => Math.abs(value - (other[i] as number)) > 1e-2).length;
          expect(apart / p.length).toBeLessThan(0.01);
        }
      }
    }
  });

  it('bounds neurons of a layer, too', async () => {
    const { of } = await drawn(4);
    const inner = network.nodes.findIndex(({ layer }) => layer.name === 'linear');
    const neuron = Int32Array.from({ length: COLUMNS }, (_, j) => j % 20);
    const side = Float32Array.from({ length: COLUMNS }, (_, j) => (j % 2 === 0 ? 1 : -1));
    const threshold = new Float32Array(COLUMNS).fill(1e30);
    const shape = { columns: COLUMNS, start: 'neurons', target: inner, iterations: 30 } as const;
    const programs = await run(of, shape, { neuron, side, threshold }, false);
    const kernel = await run(of, shape, { neuron, side, threshold }, true);
    const [expected, bound] = [programs, kernel].map(({ outputs }) => doubles(outputs.bound));
    expect(kernel.kinds).toContain('margin-search');
    expect(distance(bound as Float64Array, expected as Float64Array)).toBeLessThan(1e-4);
  });

  it('ends where all bounds exceed their thresholds, after one step', async () => {
    const { of, feeds } = await drawn(5);
    const shape = { ...SHAPE, target, iterations: 30 };
    const threshold = new Float32Array(COLUMNS).fill(-1e30);
    const programs = await run(of, shape, { ...feeds, threshold }, false);
    const kernel = await run(of, shape, { ...feeds, threshold }, true);
    expect(kernel.kinds).toContain('margin-search');
    const [bound, expected] = [kernel, programs].map(({ outputs }) => doubles(outputs.bound));
    expect(distance(bound as Float64Array, expected as Float64Array)).toBeLessThan(1e-5);
  });

  /** Convolutions behind the input and behind a ReLU, with inputs in the padding, and a linear layer. */
  const convolutions = architecture('conv 8@4 s2 p1, conv 12@3 s1 p1, linear 40, linear', [1, 8, 8], 5);

  async function drawnSides(seed: number, which: 'taps' | 'shares') {
    const of = await dualCase(convolutions, seed, 0.3);
    const capacity = Object.fromEntries(relusOf(convolutions).map((k) => [k, 1]));
    const hulls = hullNodes({ network: convolutions }, { capacity });
    const feeds = {
      ...singles(randomMultipliers(of, COLUMNS, seed, 0.3)),
      ...singles(await randomSides(of, seed, which)),
      rows: Float32Array.from(randomRows(convolutions, COLUMNS, seed)),
      threshold: new Float32Array(COLUMNS).fill(1e30),
    };
    return { of, feeds, hulls };
  }

  it.each(INSTRUCTION_SETS)('knows of sides of hulls, with %s', async (set) => {
    if (useInstructionSet(set) !== set) return;
    const last = convolutions.nodes.length - 1;
    for (const [seed, which] of [
      [1, 'taps'],
      [2, 'shares'],
      [3, 'taps'],
    ] as const) {
      const { of, feeds, hulls } = await drawnSides(seed, which);
      expect(Object.keys(hulls)).toHaveLength(3);
      for (const iterations of [0, 3, 10]) {
        const shape = { ...SHAPE, target: last, iterations, hulls, keep: iterations > 0 };
        const programs = await run(of, shape, feeds, false);
        const kernel = await run(of, shape, feeds, true);
        const { outputs: plain } = await run(of, { ...shape, hulls: {} }, feeds, true);
        expect(kernel.kinds).toContain(iterations > 0 ? 'margin-search' : 'interval-kernel');
        const [bound, expected, without] = [kernel.outputs, programs.outputs, plain].map((of) =>
          doubles(of.bound),
        ) as [Float64Array, Float64Array, Float64Array];
        expect(distance(bound, expected)).toBeLessThan(iterations < 10 ? 1e-4 : 1e-3);
        expect(distance(bound, without)).toBeGreaterThan(1e-2);
      }
    }
  });

  const wide = architecture('conv 16@4 s2 p1, conv 16@3 s1 p1, linear 60, linear', [3, 16, 16], 5);

  /** What a choice of sides begins at, of all neurons, and few columns. */
  async function drawnChoice(seed: number) {
    const of = await dualCase(wide, seed, 0.3);
    const columns = 5;
    const engine = engineOf(wide, singles(of.region));
    const hidden = new Map(
      relusOf(wide).map((k) => {
        const [lower, upper] = (['lower', 'upper'] as const).map((side) =>
          Float32Array.from(of.region[nodeArray(side, k)] as Float64Array),
        );
        return [k, { lower, upper } as Ends];
      }),
    );
    const unstable = unstableRelus(engine, wide, hidden);
    const hulls = hullNodes(engine, unstable);
    const neurons = await hulledNeurons(engine, hulls, unstable);
    const segments = segmentsOf(unstable);
    const parts = Array.from({ length: columns }, (_, j) => ({
      ...{ decisions: [], beta: [] },
      alpha: Uint8Array.from(uniformNumbers(`α ${j} ${seed}`, unstable.count), (u) => Math.round(255 * u)),
    }));
    const feeds = {
      ...unstable.feeds,
      ...multiplierFeeds(engine, segments, columns, parts),
      ...choiceFeeds(engine, { hidden }, neurons, columns),
      rows: Float32Array.from(randomRows(wide, columns, seed)),
      threshold: new Float32Array(columns).fill(1e30),
    };
    const shape = {
      columns,
      start: 'rows',
      warm: true,
      byColumn: true,
      keep: true,
      choosesHulls: true,
    } as const;
    return { of, feeds, shape: { ...shape, hulls, unstable: unstable.capacity }, neurons, segments };
  }

  it.each(INSTRUCTION_SETS)('chooses sides as programs do, with %s', async (set) => {
    if (useInstructionSet(set) !== set) return;
    const last = wide.nodes.length - 1;
    for (const seed of [1, 2]) {
      const { of, feeds, shape, neurons, segments } = await drawnChoice(seed);
      expect(neurons.size).toBe(3);
      for (const iterations of [1, 10]) {
        const programs = await run(of, { ...shape, target: last, iterations }, feeds, false);
        const kernel = await run(of, { ...shape, target: last, iterations }, feeds, true);
        expect(kernel.kinds).toContain('margin-search');
        const [bound, expected] = [kernel, programs].map(({ outputs }) => doubles(outputs.bound));
        expect(distance(bound as Float64Array, expected as Float64Array)).toBeLessThan(
          iterations > 1 ? 5e-3 : 1e-4,
        );
        for (const [k, { weights }] of neurons) {
          const name = nodeArray('hull', k);
          const [v, other] = [doubles(kernel.outputs[name]), doubles(programs.outputs[name])];
          expect(v).toHaveLength(weights.length);
          const { rows, count } = segments.find(({ node }) => node === k) as Segment;
          // Rows beyond those of open neurons have sides that nothing reads.
          const own = (_: number, i: number) => i % rows < count && weights[i] !== 0;
          const shares = (of: Float64Array) =>
            of.map((value, i) => value / (weights[i] as number)).filter(own);
          const [m, expected] = [shares(v), shares(other)];
          const moved = m.filter((share) => Math.abs(share - 0.5) > 0.05).length;
          expect(moved / m.length).toBeGreaterThan(0.3);
          // Later steps depend on the ratios of slopes, and of tiny ones on rounding.
          const apart = m.filter((share, i) => Math.abs(share - (expected[i] as number)) > 0.1).length;
          expect(apart / m.length, name).toBeLessThan(iterations > 1 ? 0.05 : 1e-3);
        }
      }
    }
  });

  it('leaves the choice of sides to programs where rows are many', async () => {
    const { shape } = await drawnChoice(4);
    const target = wide.nodes.length - 1;
    for (const [columns, kernels] of [
      [8, 1],
      [9, 0],
    ] as const) {
      const { steps } = dualPlan(wide, { ...shape, columns, target, iterations: 1 }, 'float32');
      expect(steps.filter(({ kind }) => kind === 'margin-search')).toHaveLength(kernels);
    }
  });

  it.each([false, true])('scores what is undecided as programs do, with sides: %s', async (sided) => {
    const { of, feeds, hulls } = await drawnSides(5, 'shares');
    const target = convolutions.nodes.length - 1;
    const shape = { ...SHAPE, target, iterations: 3, scores: true, ...(sided && { hulls }) };
    const { outputs: programs } = await run(of, shape, feeds, false);
    const { outputs: kernel, kinds } = await run(of, shape, feeds, true);
    expect(kinds).toContain('margin-search');
    const names = Object.keys(programs).filter((name) => /^(score|gap):|point$/.test(name));
    expect(names).toHaveLength(8);
    for (const name of names) {
      const [values, expected] = [doubles(kernel[name]), doubles(programs[name])];
      // Where a coefficient is almost zero the least point may be at the other end.
      const apart = values.filter((value, i) => !(Math.abs(value - (expected[i] as number)) <= 1e-2)).length;
      expect(apart / values.length, name).toBeLessThan(0.01);
    }
  });

  it('reads shared memory, as programs do', async () => {
    const { of, feeds, hulls } = await drawnSides(4, 'shares');
    const shared = Object.fromEntries(
      Object.entries(feeds).map(([name, data]) => [name, inSharedMemory(data as Float32Array)]),
    );
    const shape = { ...SHAPE, target: convolutions.nodes.length - 1, iterations: 3, hulls };
    for (const inKernel of [true, false]) {
      const [own, other] = [await run(of, shape, feeds, inKernel), await run(of, shape, shared, inKernel)];
      expect(other.outputs).toEqual(own.outputs);
    }
  });

  it('is left to programs in float64, whose bounds have their rounding errors taken off', () => {
    const { steps } = dualPlan(network, { ...SHAPE, target, iterations: 30 }, 'float64');
    expect(steps.map(({ kind }) => kind)).not.toContain('margin-search');
  });
});
