/** Graphs with some of their nodes replaced. */
import { type GradientRule, isCustomGradient } from './operators/custom-gradient.js';
import { type Attributes, apply, type Tensor, topologicalOrder } from './tensor.js';

/** The outputs with what `made` has replaced; notes there what else it makes. */
function rebuilt(outputs: readonly Tensor[], made: Map<Tensor, Tensor>): Tensor[] {
  for (const node of topologicalOrder(outputs)) {
    if (made.has(node)) continue;
    const inputs = node.inputs.map((x) => made.get(x) as Tensor);
    const same = inputs.every((x, i) => x === node.inputs[i]);
    made.set(node, same ? node : apply(node.operator, inputs, attributesOf(node, made)));
  }
  return outputs.map((output) => made.get(output) as Tensor);
}

/** A derivative of its own may be computed from nodes that are replaced. */
function attributesOf(node: Tensor, made: Map<Tensor, Tensor>): Attributes {
  if (!isCustomGradient(node)) return node.attributes;
  const rule = node.attributes.rule as GradientRule;
  const replaced: GradientRule = (output) => {
    const contributions = rule(output);
    const defined = contributions.filter((x) => x !== undefined);
    const values = rebuilt(defined, made);
    return contributions.map((x) => x && values[defined.indexOf(x)]);
  };
  return { ...node.attributes, rule: replaced };
}

/**
 * The same outputs computed from replacements of the same shapes and types, their derivatives too; what only
 * fed a replaced node is gone.
 */
export function substitute(outputs: readonly Tensor[], replacements: ReadonlyMap<Tensor, Tensor>): Tensor[] {
  if (replacements.size === 0) return [...outputs];
  return rebuilt(outputs, new Map(replacements));
}
