import { afterAll, describe, expect, it } from 'vitest';
import { createExecutor } from '../../runtime/execution/executor.js';
import { type DualCase, dualCase, readBy, relusOf, runDual } from '../../testing/dual-cases.js';
import { normalNumbers, uniformNumbers } from '../../testing/numbers.js';
import { denseNetwork, residualNetwork } from '../../testing/searches.js';
import { planStore } from '../proof/context.js';
import type { Ends, Engine, Goal } from './engine.js';
import { decidedBy } from './part-arrays.js';
import { nodeArray } from './relu-lines.js';
import { ReluPrograms, type Subproblem } from './relu-programs.js';

const executor = createExecutor();
afterAll(() => executor.close());

const networks = [denseNetwork(4, 9, 8, 3), denseNetwork(6, 12, 2), residualNetwork];
const SEEDS = [1, 2, 3];
const PARTS = 9;
/** Calls hold fewer trials than there are. */
const COLUMNS = 16;
const ROUNDING = 1e-9;

/** Two goals, one of them over the inputs too. */
const goalsOf = ({ net, region }: DualCase, seed: number): Goal[] => [
  { coefficients: normalNumbers(`goal ${seed}`, net.classes), threshold: 0.5 },
  {
    coefficients: normalNumbers(`other goal ${seed}`, net.classes),
    inputs: normalNumbers(`inputs ${seed}`, (region['box:lower'] as Float64Array).length),
    threshold: -0.25,
  },
];

function programsOf(of: DualCase, goals: readonly Goal[]): ReluPrograms {
  const engine: Engine = {
    ...{ network: of.net, dtype: 'float64', threads: 1, columns: COLUMNS, plan: planStore() },
    expired: () => false,
    run: async (plan, feeds) => (await executor.run(plan, { ...of.region, ...feeds })).outputs,
  };
  const ends = (lower: string, upper: string): Ends => ({
    lower: of.region[lower] as Float64Array,
    upper: of.region[upper] as Float64Array,
  });
  const hidden = new Map(
    relusOf(of.net).map((k) => [k, ends(nodeArray('lower', k), nodeArray('upper', k))] as const),
  );
  return new ReluPrograms(engine, { box: ends('box:lower', 'box:upper'), hidden, goals });
}

/** What the i-th unstable ReLU reads at a point. */
const readAt = (of: DualCase, { unstable: { node, neuron } }: ReluPrograms, i: number, point: number) =>
  readBy(of, node[i] as number)[(neuron[i] as number) * of.count + point] as number;

/** Parts that each hold a point of the case. */
function partsOf(of: DualCase, programs: ReluPrograms, seed: number): Subproblem[] {
  const { count } = programs.unstable;
  return Array.from({ length: PARTS }, (_, part) => {
    const chance = uniformNumbers(`decided ${part} ${seed}`, count);
    const decisions = Array.from(chance.keys())
      .filter((i) => (chance[i] as number) < 0.3)
      .map((i) => (readAt(of, programs, i, part) < 0 ? ~i : i))
      .reverse();
    return {
      ...{ goal: part % 2, decisions, bound: Number.NEGATIVE_INFINITY },
      alpha: Uint8Array.from(uniformNumbers(`alpha ${part} ${seed}`, count), (u) => Math.round(255 * u)),
      beta: Array.from(normalNumbers(`beta ${part} ${seed}`, decisions.length), Math.abs),
    };
  });
}

/** Both signs of every ReLU that a part leaves open; every third part has no trial. */
const trialsOf = (parts: readonly Subproblem[], count: number) =>
  parts.flatMap(({ decisions }, from) => {
    const decided = new Set(decisions.map(decidedBy));
    const open = Array.from({ length: count }, (_, i) => i).filter((i) => !decided.has(i) && from % 3 !== 1);
    return open.flatMap((i) => [[from, i] as const, [from, ~i] as const]);
  });

/** The bound of one part by itself, in arrays of all neurons, less its goal's threshold. */
async function boundAlone(of: DualCase, { unstable }: ReluPrograms, goal: Goal, part: Subproblem) {
  const arrays: Record<string, Float64Array> = {};
  for (const k of relusOf(of.net)) {
    const features = (of.region[nodeArray('lower', k)] as Float64Array).length;
    arrays[nodeArray('p', k)] = new Float64Array(features);
    arrays[nodeArray('sign', k)] = new Float64Array(features);
  }
  const write = (what: 'p' | 'sign', i: number, value: number) => {
    const array = arrays[nodeArray(what, unstable.node[i] as number)] as Float64Array;
    array[unstable.neuron[i] as number] = value;
  };
  part.alpha.forEach((a, i) => {
    write('p', i, a / 255);
  });
  part.decisions.forEach((decision, d) => {
    write('p', decidedBy(decision), part.beta[d] as number);
    write('sign', decidedBy(decision), decision < 0 ? -1 : 1);
  });
  const shape = { columns: 1, iterations: 0, start: 'rows', warm: true, decisions: true } as const;
  const { bound } = await runDual(
    of,
    { ...shape, inputRows: goal.inputs !== undefined },
    { rows: goal.coefficients, ...(goal.inputs && { 'input rows': goal.inputs }), ...arrays },
  );
  return (bound?.[0] as number) - goal.threshold;
}

/** The goal's row less its threshold at a point. */
function rowAt({ net, values, points, count }: DualCase, goal: Goal, point: number): number {
  const outputs = values.at(-1) as Float64Array;
  let value = -goal.threshold;
  for (let k = 0; k < net.classes; k++)
    value += (goal.coefficients[k] as number) * (outputs[k * count + point] as number);
  goal.inputs?.forEach((d, i) => {
    value += d * (points[i * count + point] as number);
  });
  return value;
}

/** Every network and seed, with the bounds of its trials. */
async function eachCase(
  see: (one: {
    of: DualCase;
    programs: ReluPrograms;
    goals: readonly Goal[];
    trials: readonly { part: Subproblem; child: Subproblem; value: number }[];
  }) => Promise<void>,
): Promise<void> {
  for (const net of networks)
    for (const seed of SEEDS) {
      const of = await dualCase(net, seed, 0.5, 300);
      const goals = goalsOf(of, seed);
      const programs = programsOf(of, goals);
      const parts = partsOf(of, programs, seed);
      const trials = trialsOf(parts, programs.unstable.count);
      const values = await programs.boundTrials(parts, trials);
      expect(values.length).toBe(trials.length);
      const seen = trials.map(([from, decision], t) => {
        const part = parts[from] as Subproblem;
        const child = { ...part, decisions: [...part.decisions, decision], beta: [...part.beta, 0] };
        return { part, child, value: values[t] as number };
      });
      await see({ of, programs, goals, trials: seen });
    }
}

describe('the bound of a trial', () => {
  it('lies below the row wherever the decisions of the part and its own are fulfilled', async () => {
    let met = 0;
    await eachCase(async ({ of, programs, goals, trials }) => {
      for (const { child, value } of trials)
        for (let point = 0; point < of.count; point++) {
          const sideOf = (d: number) => readAt(of, programs, decidedBy(d), point) * (d < 0 ? -1 : 1);
          if (child.decisions.some((d) => sideOf(d) < 0)) continue;
          met++;
          expect(value).toBeLessThanOrEqual(rowAt(of, goals[child.goal] as Goal, point) + ROUNDING);
        }
    });
    expect(met).toBeGreaterThan(1000);
  });

  it('is that of the child by itself, at the multipliers of the part and β = 0', async () => {
    await eachCase(async ({ of, programs, goals, trials }) => {
      for (const [t, { child, value }] of trials.entries()) {
        if (t % 5 !== 0) continue;
        const alone = await boundAlone(of, programs, goals[child.goal] as Goal, child);
        expect(Math.abs(value - alone)).toBeLessThan(ROUNDING * (1 + Math.abs(alone)));
      }
    });
  });

  it('is where the ascent of the child begins, which never ends below it', async () => {
    await eachCase(async ({ programs, trials }) => {
      const some = trials.filter((_, t) => t % 7 === 0).slice(0, COLUMNS);
      const bounded = await programs.bound(some.map(({ child }) => child));
      some.forEach(({ value }, t) => {
        expect(bounded[t]?.subproblem.bound).toBeGreaterThanOrEqual(value - ROUNDING);
      });
    });
  });
});
