/**
 * Programs rewritten for execution providers that lack an operator. ONNX Runtime would hand such an operator back to the CPU, and its
 * inputs and outputs with it; an equivalent made of what the provider has keeps the whole program where it is.
 *
 * The rewriting is of encoded programs, when they are opened: graphs, plans and what is sent to workers know no device.
 */
import { decodeOnnx, encodeOnnx, type OnnxNode } from '../formats/onnx.js';
import type { EncodedProgram } from './encode.js';

/** x₁ + x₂ + … + xₙ as n − 1 additions from left to right: the order, and so the rounding, of the variadic operator. */
function chain({ inputs, outputs }: OnnxNode): OnnxNode[] {
  const [first, ...rest] = inputs as [string, ...string[]];
  let sum = first;
  return rest.map((term, i) => {
    const output = i === rest.length - 1 ? (outputs[0] as string) : `${outputs[0]} part ${i}`;
    const node = { opType: 'Add', inputs: [sum, term], outputs: [output], attributes: {} };
    sum = output;
    return node;
  });
}

/** The same program without variadic sums: WebGPU has `Add` but no `Sum`. */
export function withoutSums(program: EncodedProgram): EncodedProgram {
  const model = decodeOnnx(program.bytes, 'program');
  if (!model.nodes.some(({ opType }) => opType === 'Sum')) return program;
  return { ...program, bytes: encodeOnnx({ ...model, nodes: model.nodes.flatMap((node) => (node.opType === 'Sum' ? chain(node) : [node])) }) };
}
