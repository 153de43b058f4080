/**
 * Verification where no network stands for the model on all boxes of a property: one by one on those that
 * share a network, and an attack with nothing but the model's own values on those that have none.
 */
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import type { ParameterArrays } from '../../network/parameters.js';
import { createPool } from '../../runtime/pool/pool.js';
import { type PlanStore, planStore } from '../proof/context.js';
import type { Evaluate } from '../proof/counterexample.js';
import type { Box, Inequality, Polytope, Property } from '../property/property.js';
import { modelSearch } from './model-search.js';
import { type Verification, type VerifyOptions, verify } from './verify.js';

/** A network that is the model on the boxes of some polytopes. */
export interface NetworkOfBoxes {
  /** Numbers of the polytopes. */
  readonly polytopes: readonly number[];
  /** Reads it; nobody needs several at once. */
  read(): {
    readonly network: Network;
    readonly parameters: ParameterArrays;
    readonly exact?: Readonly<Record<string, Float64Array>>;
    readonly double?: boolean;
    /** Networks of one text differ in their parameters alone. */
    readonly structure: string;
    /** The network's box: that of the model's inputs, and behind them of values that it decides. */
    readonly extended: (box: Box) => Box;
  };
}

export interface VerifyBoxesOptions
  extends Omit<
    VerifyOptions,
    'network' | 'parameters' | 'exact' | 'double' | 'plans' | 'boundsFirst' | 'traced'
  > {
  /** No polytope is of two of them. */
  readonly networks: readonly NetworkOfBoxes[];
  /** Outputs of the model. */
  readonly evaluate: Evaluate;
  /** Reason for which some polytopes have no network. */
  readonly without?: string;
}

/** A network's boxes are tried again if more time is left than this multiple of what they had. */
const WORTH_AGAIN = 2;

/**
 * Verifies one property; `unsat` only where every polytope has a network.
 * @throws RangeError for networks of other sizes than the property; the reason of `signal`
 */
export async function verifyBoxes(options: VerifyBoxesOptions): Promise<Verification> {
  const { networks, property, timeoutSeconds = Number.POSITIVE_INFINITY } = options;
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const left = () => timeoutSeconds - seconds();
  const covered = new Set(networks.flatMap(({ polytopes }) => polytopes));
  const bare = [...property.polytopes.keys()].filter((index) => !covered.has(index));
  const found = networks.length > 0 ? await ofNetworks(options, left) : undefined;
  if (found?.verdict === 'sat' || (found !== undefined && bare.length === 0))
    return { ...found, seconds: seconds() };
  const attacked = await attackAlone(bare, options, left());
  const subproblems = found?.subproblems ?? 0;
  if (attacked) return { ...attacked, subproblems, seconds: seconds() };
  return {
    ...(found?.verdict === 'timeout' ? { verdict: 'timeout' } : { verdict: 'unknown' }),
    ...{ stage: null, subproblems, seconds: seconds() },
    reason: `${options.without ?? 'some polytopes have no network'}; the model was attacked alone`,
  };
}

/** The answer on the polytopes that have networks. */
async function ofNetworks(options: VerifyBoxesOptions, left: () => number): Promise<Verification> {
  const { threads, device, deviceMegabytes } = options;
  const began = performance.now();
  // One pool, so that nothing is compiled twice, and calls that are left in their middle may go on in it.
  const pool = options.pool ?? createPool(threads, device, deviceMegabytes);
  const plans = new Map<string, PlanStore>();
  const answers = new Map<NetworkOfBoxes, Verification>();
  const had = new Map<NetworkOfBoxes, number>();
  let subproblems = 0;
  const isOpen = (one: NetworkOfBoxes) => [undefined, 'timeout'].includes(answers.get(one)?.verdict);
  try {
    for (let open = options.networks; open.length > 0; open = options.networks.filter(isOpen)) {
      let tried = false;
      for (const [k, one] of open.entries()) {
        const share = left() / (open.length - k);
        if (share <= 0 || share < WORTH_AGAIN * (had.get(one) ?? 0)) continue;
        tried = true;
        had.set(one, share);
        const answer = await verifyNetwork(
          one,
          { ...options, pool, progress: told(options, subproblems, began) },
          plans,
          share,
        );
        subproblems += answer.subproblems;
        if (answer.verdict === 'sat') return { ...answer, subproblems };
        answers.set(one, answer);
      }
      if (!tried) break;
    }
    return together(
      options.networks.map((one) => answers.get(one)),
      subproblems,
    );
  } finally {
    if (options.pool === undefined) await pool.close({ waits: left() > 0 });
  }
}

/** Progress on one network as progress on all. */
function told({ progress }: VerifyBoxesOptions, before: number, began: number): VerifyOptions['progress'] {
  return (
    progress &&
    (({ stage, subproblems }) =>
      progress({
        ...{ stage, subproblems: before + subproblems },
        seconds: (performance.now() - began) / 1000,
      }))
  );
}

/** What answers on parts of a property come to, none of them `sat`; undefined where there was no time. */
function together(answers: readonly (Verification | undefined)[], subproblems: number): Verification {
  const least = Math.min(
    ...answers.map((one) => one?.lowerBound ?? (one?.verdict === 'unsat' ? Infinity : -Infinity)),
  );
  const shared = { subproblems, seconds: 0, ...(Number.isFinite(least) && { lowerBound: least }) };
  if (answers.some((one) => one === undefined || one.verdict === 'timeout'))
    return { ...shared, verdict: 'timeout', stage: null };
  const open = answers.find((one) => one?.verdict === 'unknown');
  if (open !== undefined) return { ...shared, verdict: 'unknown', stage: null, reason: open.reason };
  return { ...shared, verdict: 'unsat', stage: answers.at(-1)?.stage ?? null };
}

/** The answer on the polytopes of one network. */
async function verifyNetwork(
  { polytopes, read }: NetworkOfBoxes,
  { networks: _, without: __, property, ...options }: VerifyBoxesOptions,
  stores: Map<string, PlanStore>,
  timeoutSeconds: number,
): Promise<Verification> {
  const began = performance.now();
  const { network, parameters, exact, double, structure, extended } = read();
  const plans = stores.get(structure) ?? planStore();
  stores.set(structure, plans);
  const inputs = featuresOf(network.input);
  const longer = extendedProperty(restricted(property, polytopes), inputs, extended);
  if (longer === undefined) return { ...UNDECIDED, reason: 'a box decides values that are not finite' };
  const { evaluate } = options;
  const answer = await verify({
    ...options,
    ...{ network, parameters, exact, double, plans, boundsFirst: true },
    property: longer,
    evaluate: (x) => evaluate(x.subarray(0, property.inputs)),
    timeoutSeconds: Math.max(1e-3, timeoutSeconds - (performance.now() - began) / 1000),
  });
  const { counterexample } = answer;
  if (counterexample === undefined) return answer;
  const polytope = polytopes[counterexample.polytope] as number;
  const input = counterexample.input.slice(0, property.inputs);
  return { ...answer, counterexample: { ...counterexample, input, polytope } };
}

const UNDECIDED = { verdict: 'unknown', stage: null, subproblems: 0, seconds: 0 } as const;

/** A property over the longer inputs of a network; undefined where a box has no finite ends there. */
function extendedProperty(
  { outputs, polytopes }: Property,
  inputs: number,
  extended: (box: Box) => Box,
): Property | undefined {
  const [boxes, rows] = [new Map<Box, Box>(), new Map<Inequality, Inequality>()];
  const boxOf = (box: Box): Box => {
    const longer = boxes.get(box) ?? extended(box);
    boxes.set(box, longer);
    return longer;
  };
  const rowOf = (row: Inequality): Inequality => {
    if (row.inputs === undefined) return row;
    const terms = new Float64Array(inputs);
    terms.set(row.inputs);
    const longer = rows.get(row) ?? { ...row, inputs: terms };
    rows.set(row, longer);
    return longer;
  };
  const longer = polytopes.map(
    (polytope): Polytope => ({ ...polytope, box: boxOf(polytope.box), unsafe: polytope.unsafe.map(rowOf) }),
  );
  const finite = [...boxes.values()].every(({ lower, upper }) =>
    [lower, upper].every((ends) => ends.every(Number.isFinite)),
  );
  return finite ? { inputs, outputs, polytopes: longer } : undefined;
}

const restricted = (property: Property, polytopes: readonly number[]): Property => ({
  ...property,
  polytopes: polytopes.map((index) => property.polytopes[index] as Polytope),
});

/** A counterexample to polytopes that have no network. */
async function attackAlone(
  polytopes: readonly number[],
  { property, evaluate, signal, seed }: VerifyBoxesOptions,
  left: number,
): Promise<Pick<Verification, 'verdict' | 'stage' | 'counterexample'> | undefined> {
  const deadline = performance.now() + 1000 * left;
  const found = await modelSearch(
    { evaluate, signal, seed },
    restricted(property, polytopes).polytopes,
    deadline,
  );
  if (found === undefined) return undefined;
  const polytope = polytopes[found.polytope] as number;
  return { verdict: 'sat', stage: 'attack', counterexample: { ...found, polytope } };
}
