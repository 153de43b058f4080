/**
 * CROWN's intermediate bounds once more, plainly: one graph, every row dense. What the rows over receptive
 * fields must equal.
 */
import { constant, type FloatType, greater, mul, neg, where } from '../graph/index.js';
import { INPUT, type NetworkNode } from '../network/network.js';
import { intervalNode } from '../relaxation/interval.js';
import { boundNode } from '../relaxation/linear/back-substitution.js';
import type { BoundProblem, Bounds } from '../relaxation/relaxation.js';
import { reluSlopes } from '../relaxation/slopes.js';

/**
 * Bounds of each node that a ReLU reads, by number. Neurons that an interval step proves stable keep its
 * bounds unless `all`.
 */
export function denseCrownBounds(problem: BoundProblem, all: boolean): Map<number, Bounds> {
  const { network: net, parameters, box } = problem;
  const known = new Map<number, Bounds>([[INPUT, box]]);
  const at = (node: number) => known.get(node) as Bounds;
  const read = new Map<number, Bounds>();
  let sawRelu = false;
  net.nodes.forEach(({ layer, inputs }, k) => {
    const cheap = intervalNode(net, parameters, k, inputs.map(at));
    known.set(k, cheap);
    if (layer.kind === 'relu') sawRelu = true;
    if (!net.nodes.some((other) => other.layer.kind === 'relu' && other.inputs.includes(k))) return;
    if (sawRelu) {
      const tight = boundNode(problem, k, (relu) =>
        reluSlopes(at((net.nodes[relu] as NetworkNode).inputs[0] as number)),
      );
      const zero = constant(0, [], box.lower.dtype as FloatType);
      const unstable = greater(neg(mul(cheap.lower, cheap.upper)), zero);
      const choose = (a: Bounds['lower'], b: Bounds['lower']) => (all ? a : where(unstable, a, b));
      known.set(k, { lower: choose(tight.lower, cheap.lower), upper: choose(tight.upper, cheap.upper) });
    }
    read.set(k, at(k));
  });
  return read;
}
