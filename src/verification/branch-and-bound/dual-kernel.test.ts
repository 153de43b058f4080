import { afterEach, describe, expect, it, vi } from 'vitest';
import type { HostData } from '../../graph/index.js';
import { architecture } from '../../network/architectures.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { hasRowKernel, useInstructionSet } from '../../runtime/kernels/row-kernel.js';
import { type DualCase, dualCase, randomMultipliers, randomRows } from '../../testing/dual-cases.js';
import { INSTRUCTION_SETS, useFastestSet } from '../../testing/instruction-sets.js';
import { distance } from '../../testing/operator-check.js';
import { type DualShape, dualPlan } from './dual-program.js';

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
          // Adam's first steps do not depend on a slope's size: few neurons of none at all may go another way.
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

  it('is left to programs in float64, whose bounds have their rounding errors taken off', () => {
    const { steps } = dualPlan(network, { ...SHAPE, target, iterations: 30 }, 'float64');
    expect(steps.map(({ kind }) => kind)).not.toContain('margin-search');
  });
});
