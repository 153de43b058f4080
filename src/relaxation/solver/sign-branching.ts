/**
 * The exact minimum of a margin by branch and bound on the integers of the mixed-integer program: the signs
 * of unstable ReLUs.
 *
 * Each node of the tree fixes some signs; its relaxation, a linear program that begins at its parent's
 * solution, bounds the margin from below, and the network itself at the relaxation's pixels from above. The
 * sign branched on is that of the ReLU which the relaxation violates most. Lower bounds are duals', so what
 * is returned is a bound however the solver rounds.
 */
import { type OpenProgram, SolverError } from './linear-solver.js';
import { type ReluProgram, trueActivations } from './relu-program.js';

/** Upper and lower bound agree, beside their size. */
const TOLERANCE = 1e-9;

const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Signs fixed on the way to a node: variables and their values. */
type Signs = readonly (readonly [sign: number, value: 0 | 1])[];

/**
 * Minimum of cost · v over the activations that the network takes. @throws SolverError once `seconds` have
 * passed
 */
export function branchOnSigns(
  problem: ReluProgram,
  open: OpenProgram,
  cost: Float64Array,
  seconds: number,
): number {
  const deadline = performance.now() + 1000 * seconds;
  let least = Number.POSITIVE_INFINITY; // over leaves: a lower bound of what they hold
  let best = Number.POSITIVE_INFINITY; // of the network itself
  const nodes: Signs[] = [[]];
  let fixed: Signs = [];
  for (let signs = nodes.pop(); signs !== undefined; signs = nodes.pop()) {
    if (performance.now() > deadline)
      throw new SolverError(
        `expected the minimum over ${problem.unstable.length} signs, but the search ran out of ${seconds} s`,
      );
    for (const [sign] of fixed) open.bound(sign, 0, 1);
    for (const [sign, value] of signs) open.bound(sign, value, value);
    fixed = signs;
    const relaxed = open.minimum(cost);
    if (relaxed === undefined) continue; // no pixels have these signs
    const { bound, point } = relaxed;
    const actual = trueActivations(problem, point);
    best = Math.min(best, dot(cost, actual));
    const free = problem.unstable.filter(({ sign }) => !signs.some(([known]) => known === sign));
    if (bound >= best - TOLERANCE * (1 + Math.abs(best)) || free.length === 0) {
      least = Math.min(least, bound);
      continue;
    }
    const violation = ({ output }: { output: number }) =>
      Math.abs((point[output] as number) - (actual[output] as number));
    const { sign } = free.reduce((a, b) => (violation(b) > violation(a) ? b : a));
    // The side that the network is on first: it lowers the upper bound soonest.
    const likely = (actual[sign] as number) > 0 ? 1 : 0;
    nodes.push([...signs, [sign, likely === 1 ? 0 : 1]], [...signs, [sign, likely]]);
  }
  for (const [sign] of fixed) open.bound(sign, 0, 1);
  if (least === Number.POSITIVE_INFINITY)
    throw new SolverError(`expected a minimum over ${problem.unstable.length} signs, but none is feasible`);
  return Math.min(least, best);
}
