/**
 * The exact minimum of a margin by branch and bound on the signs of unstable ReLUs, the integers of the
 * mixed-integer program.
 *
 * Each node of the tree fixes some signs; its relaxation, a linear program that begins at its parent's
 * solution, bounds the margin from below, and the network itself at the relaxation's pixels from above. The
 * sign branched on is that of the ReLU which the relaxation violates most. Lower bounds are duals', so what
 * is returned is a bound however the solver rounds.
 */
import { type OpenProgram, SolverError } from './linear-solver.js';
import { type ReluProgram, trueActivations, type UnstableRelu } from './relu-program.js';

/** Upper and lower bound agree, beside their size. */
const TOLERANCE = 1e-9;

const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);

/** Signs fixed on the way to a node. */
type Signs = readonly (readonly [relu: UnstableRelu, isOn: boolean])[];

/** z = e for a ReLU that is on, z = 0 for one that is off; both hold in the triangle. */
function fix(open: OpenProgram, { output, row, before }: UnstableRelu, isOn: boolean): void {
  if (isOn) open.boundRow(row, before.constant, before.constant);
  else open.bound(output, 0, 0);
}

function free(open: OpenProgram, { output, upper, row, before }: UnstableRelu, isOn: boolean): void {
  if (isOn) open.boundRow(row, before.constant, Number.POSITIVE_INFINITY);
  else open.bound(output, 0, upper);
}

/** Goes from the signs of one node to those of another; what both begin with stays. */
function move(open: OpenProgram, from: Signs, to: Signs): void {
  const parting = from.findIndex((sign, i) => sign !== to[i]);
  const kept = parting < 0 ? from.length : parting;
  for (const [relu, isOn] of from.slice(kept)) free(open, relu, isOn);
  for (const [relu, isOn] of to.slice(kept)) fix(open, relu, isOn);
}

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
    move(open, fixed, signs);
    fixed = signs;
    const relaxed = open.minimum(cost);
    if (relaxed === undefined) continue; // no pixels have these signs
    const { bound, point } = relaxed;
    const actual = trueActivations(problem, point);
    best = Math.min(best, dot(cost, actual));
    const undecided = problem.unstable.filter((relu) => !signs.some(([known]) => known === relu));
    if (bound >= best - TOLERANCE * (1 + Math.abs(best)) || undecided.length === 0) {
      least = Math.min(least, bound);
      continue;
    }
    const violation = ({ output }: { output: number }) =>
      Math.abs((point[output] as number) - (actual[output] as number));
    const relu = undecided.reduce((a, b) => (violation(b) > violation(a) ? b : a));
    // The side that the network is on first: it lowers the upper bound soonest.
    const isOn = (actual[relu.output] as number) > 0;
    nodes.push([...signs, [relu, !isOn]], [...signs, [relu, isOn]]);
  }
  move(open, fixed, []);
  if (least === Number.POSITIVE_INFINITY)
    throw new SolverError(`expected a minimum over ${problem.unstable.length} signs, but none is feasible`);
  return Math.min(least, best);
}
