/**
 * How much memory a program needs at its peak, from its graph alone: every value lives from where it is made
 * to its last use, in the order in which ONNX Runtime executes. What its allocators round up or keep and what
 * operators need for themselves comes on top: `runtime/device-memory` has the factor that was measured.
 */
import { isReshape } from './operators/layout.js';
import { isConstant, isInput } from './operators/leaves.js';
import { type DType, sizeOf, type Tensor } from './tensor.js';

/** Memory that one run of a program takes, in bytes. */
export interface Footprint {
  /**
   * Most bytes that are alive at once. Inputs, constants and outputs are among them: they stay until the
   * program ends.
   */
  readonly peak: number;
  /** Bytes of the largest single value: some devices limit how large one may be. */
  readonly largest: number;
}

const BYTES: Readonly<Record<DType, number>> = { float32: 4, float64: 8, int32: 4, bool: 1 };
const bytesOf = ({ shape, dtype }: Tensor): number => sizeOf(shape) * BYTES[dtype];

/** What a value's numbers are those of: a reshaped tensor has none of its own. */
function source(node: Tensor): Tensor {
  let result = node;
  while (isReshape(result)) result = result.inputs[0] as Tensor;
  return result;
}

/**
 * Depth first from the outputs, the last of them and the last made inputs before the others, each node behind
 * its inputs: the order of ONNX Runtime's sequential execution, whatever the order of the nodes in the file.
 */
function executionOrder(outputs: readonly Tensor[]): Tensor[] {
  const seen = new Set<Tensor>();
  const order: Tensor[] = [];
  const stack = outputs.map((node) => ({ node, done: false }));
  for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
    const { node, done } = entry;
    if (done) order.push(node);
    if (done || seen.has(node)) continue;
    seen.add(node);
    stack.push({ node, done: true });
    const inputs = [...new Set(node.inputs)].sort((a, b) => a.id - b.id);
    stack.push(...inputs.map((input) => ({ node: input, done: false })));
  }
  return order;
}

/**
 * The footprint of a graph whose outputs are these, simplified before (and lifted, if it is) as
 * `encodeProgram` does.
 */
export function footprint(outputs: readonly Tensor[]): Footprint {
  const order = executionOrder(outputs);
  // What depends on constants alone is computed when the program is opened, and kept.
  const folded = new Set<Tensor>();
  for (const node of order)
    if (isConstant(node) || (!isInput(node) && node.inputs.every((x) => folded.has(x)))) folded.add(node);

  const lastUse = new Map<Tensor, number>();
  for (const [step, node] of order.entries())
    if (!folded.has(node)) for (const x of node.inputs) lastUse.set(source(x), step);
  for (const output of outputs) lastUse.set(source(output), order.length);
  const isGiven = (node: Tensor) => isInput(node) || folded.has(node);
  const freed = new Map<number, number>();
  for (const [node, step] of lastUse)
    if (!isGiven(node)) freed.set(step, (freed.get(step) ?? 0) + bytesOf(node));

  let alive = [...lastUse.keys()].filter(isGiven).reduce((sum, node) => sum + bytesOf(node), 0);
  let peak = alive;
  for (const [step, node] of order.entries()) {
    if (!isReshape(node) && !isGiven(node)) alive += bytesOf(node);
    peak = Math.max(peak, alive);
    alive -= freed.get(step) ?? 0;
  }
  return { peak, largest: order.reduce((most, node) => Math.max(most, bytesOf(node)), 0) };
}
