/**
 * Which nodes of an ONNX graph an output needs, inputs before their readers. The file's own order is not
 * relied on.
 */
import { FormatError } from '../../formats/format-error.js';
import type { OnnxModel, OnnxNode } from '../../formats/onnx.js';
import { nodeTitle } from './operator.js';

/**
 * Nodes that `output` depends on, each after those it reads.
 * @throws FormatError if a value is made twice, is made by nothing, or depends on itself
 */
export function neededNodes(model: OnnxModel, output: string, source: string): OnnxNode[] {
  const given = new Set([...model.initializers, ...model.inputs].map(({ name }) => name));
  const makers = new Map<string, OnnxNode>();
  for (const node of model.nodes)
    for (const name of node.outputs) {
      if (name === '') continue;
      if (makers.has(name) || given.has(name))
        throw new FormatError(
          `${source}: ${nodeTitle(node)}: expected a new name for its output, got ${name}, which exists`,
        );
      makers.set(name, node);
    }
  const order: OnnxNode[] = [];
  const state = new Map<OnnxNode, 'open' | 'done'>();
  const makerOf = (name: string, reader: string): OnnxNode | undefined => {
    const maker = makers.get(name);
    if (maker === undefined && !given.has(name))
      throw new FormatError(`${source}: ${reader} reads ${name}, which nothing in the graph makes`);
    return maker;
  };
  const start = makerOf(output, 'the output');
  // A stack instead of recursion: a file may hold a chain of any length.
  const stack: { node: OnnxNode; next: number }[] = [];
  const open = (node: OnnxNode) => {
    state.set(node, 'open');
    stack.push({ node, next: 0 });
  };
  if (start) open(start);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const name = top.node.inputs[top.next++];
    if (name === undefined) {
      state.set(top.node, 'done');
      order.push(top.node);
      stack.pop();
      continue;
    }
    const maker = name === '' ? undefined : makerOf(name, nodeTitle(top.node));
    if (maker === undefined || state.get(maker) === 'done') continue;
    if (state.get(maker) === 'open')
      throw new FormatError(
        `${source}: ${nodeTitle(maker)}: expected a graph without cycles, got one that depends on itself`,
      );
    open(maker);
  }
  return order;
}
