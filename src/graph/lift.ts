/**
 * Graphs over a population: one call that computes the same of many sets of parameters. Every operator says
 * how it treats a leading axis of members (`lift`); what depends on no parameter is computed once for all.
 */
import { broadcastTo } from './operators/broadcasting.js';
import { inputName, isInput } from './operators/leaves.js';
import { GraphError, type Tensor, topologicalOrder } from './tensor.js';

/** A population: so many members, and which inputs each has of its own. */
export interface Lifting {
  readonly members: number;
  /**
   * What each input that differs between members is replaced by, [members, …shape], by name; the others are
   * shared.
   */
  readonly inputs: ReadonlyMap<string, Tensor>;
}

export interface LiftedOutput {
  readonly tensor: Tensor;
  /** Whether it has the axis: an output that depends on shared inputs alone has not. */
  readonly lifted: boolean;
}

/** x repeated for every member. */
const repeated = (x: Tensor, members: number): Tensor => broadcastTo(x, [members, ...x.shape]);

/**
 * The outputs for all members at once. Graphs are simplified before: a derivative's rule is not lifted, its
 * result is.
 */
export function lift(outputs: readonly Tensor[], { members, inputs }: Lifting): LiftedOutput[] {
  const made = new Map<Tensor, LiftedOutput>();
  const liftedNode = (node: Tensor): LiftedOutput => {
    if (isInput(node)) {
      const replacement = inputs.get(inputName(node));
      if (replacement === undefined) return { tensor: node, lifted: false };
      if (replacement.dtype !== node.dtype || `${replacement.shape}` !== `${[members, ...node.shape]}`)
        throw new GraphError(
          `lift: expected [${[members, ...node.shape].join(',')}] ${node.dtype} for ${inputName(node)}, ` +
            `got [${replacement.shape.join(',')}] ${replacement.dtype}`,
        );
      return { tensor: replacement, lifted: true };
    }
    const from = node.inputs.map((x) => made.get(x) as LiftedOutput);
    if (!from.some(({ lifted }) => lifted)) return { tensor: node, lifted: false };
    const { operator } = node;
    if (operator.lift === undefined)
      throw new GraphError(`lift: expected operators that are lifted to populations, got ${operator.name}`);
    const arguments_ = operator.liftsAll
      ? from.map(({ tensor, lifted }) => (lifted ? tensor : repeated(tensor, members)))
      : from.map(({ tensor }) => tensor);
    const flags = from.map(({ lifted }) => lifted || operator.liftsAll === true);
    return { tensor: operator.lift(node, arguments_, flags), lifted: true };
  };
  for (const node of topologicalOrder(outputs)) made.set(node, liftedNode(node));
  return outputs.map((output) => made.get(output) as LiftedOutput);
}

/** An output with the axis, whether it depends on members or not. */
export const forEveryMember = ({ tensor, lifted }: LiftedOutput, members: number): Tensor =>
  lifted ? tensor : repeated(tensor, members);
