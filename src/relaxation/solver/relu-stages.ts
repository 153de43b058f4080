/**
 * Stages that hand a network, its box and bounds of its neurons to the solver of `relu-solver`: what `lp` and
 * `exact` share.
 */
import { constant, type FloatType, input, maximum, minimum, type Tensor } from '../../graph/index.js';
import { INPUT, type NetworkNode, weightsOf } from '../../network/network.js';
import { compiledUrl } from '../../runtime/compiled-file.js';
import type { Stage } from '../../runtime/plan/plan.js';
import { withoutNormalization } from '../front.js';
import { intervalBounds } from '../interval.js';
import { crownBounds } from '../linear/crown.js';
import { onlyRelus } from '../linear/nonlinear.js';
import { type BoundProblem, type BoundResult, type Bounds, specificationMargins } from '../relaxation.js';
import { matrixOf } from './layer-matrix.js';
import type { ProgramNode } from './relu-program.js';
import { arrayName, marginsName, type ReluSolverOptions } from './relu-solver.js';

export interface SolverRelaxationOptions {
  /**
   * Where the bounds of the ReLUs' inputs come from: intervals, or the better of CROWN's and intervals'
   * (default crown).
   */
  readonly intermediate?: 'ibp' | 'crown';
  /** Time limit of one minimisation (default 60). */
  readonly seconds?: number;
}

const solverModule = compiledUrl('relaxation/solver/relu-solver.js').href;

/** Margins of a relaxation that a solver computes. */
export function solverMargins(
  original: BoundProblem,
  name: string,
  exact: boolean,
  { intermediate = 'crown', seconds = 60 }: SolverRelaxationOptions,
): BoundResult {
  if (!(seconds > 0))
    throw new RangeError(
      `${name}: expected a time limit above 0 seconds, got ${seconds}; leave it out for 60`,
    );
  onlyRelus(name, original.network);
  const problem = withoutNormalization(original);
  const { network: net, parameters, box, specification } = problem;
  const dtype = box.lower.dtype as FloatType;
  const batch = box.lower.shape[1] as number;
  const { stages, before } = intermediate === 'crown' ? crownBefore(problem) : intervalsBefore(problem);
  const rows = specificationMargins(specification, net.classes, dtype);
  const inputs: Record<string, Tensor> = {
    lower: box.lower,
    upper: box.upper,
    rows,
    batch: constant(new Float64Array(batch), [batch], dtype),
  };
  net.nodes.forEach(({ layer }, k) => {
    if (layer.kind === 'relu') {
      const { lower, upper } = before(k);
      inputs[arrayName('lower', k)] = lower;
      inputs[arrayName('upper', k)] = upper;
    } else if (layer.kind === 'affine') {
      const weights = weightsOf(net, k, parameters);
      inputs[arrayName('matrix', k)] = matrixOf(layer, weights, dtype);
      const bias = layer.bias(weights, dtype);
      if (bias !== undefined) inputs[arrayName('bias', k)] = bias;
    }
  });
  const nodes = net.nodes.map(({ layer, inputs: from }) => ({
    kind: layer.kind as ProgramNode['kind'],
    inputs: from,
  }));
  const options: ReluSolverOptions = { name, nodes, exact, seconds };
  const shape = [rows.shape[1] as number, batch];
  const solving: Stage = {
    kind: 'host',
    module: solverModule,
    inputs,
    options,
    outputs: { [marginsName(name)]: { shape, dtype } },
  };
  return { stages: [...stages, solving], margins: input(marginsName(name), shape, dtype) };
}

/** Interval bounds of the input of each ReLU. */
function intervalsBefore({ network: net, parameters, box }: BoundProblem): {
  stages: Stage[];
  before: (relu: number) => Bounds;
} {
  const values = intervalBounds(net, parameters, box);
  const before = (relu: number) => {
    const from = (net.nodes[relu] as NetworkNode).inputs[0] as number;
    return from === INPUT ? box : (values[from] as Bounds);
  };
  return { stages: [], before };
}

/**
 * The better of CROWN's bounds and intervals: neither is always within the other, and with both no margin
 * falls below either's.
 */
function crownBefore(problem: BoundProblem): { stages: Stage[]; before: (relu: number) => Bounds } {
  const { stages, before } = crownBounds(problem);
  const intervals = intervalsBefore(problem);
  return {
    stages,
    before(relu) {
      const [a, b] = [before(relu), intervals.before(relu)];
      return { lower: maximum(a.lower, b.lower), upper: minimum(a.upper, b.upper) };
    },
  };
}
