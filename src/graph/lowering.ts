/**
 * Programs rewritten for execution providers that lack an operator. ONNX Runtime would hand such an operator back to the CPU, and its
 * inputs and outputs with it; an equivalent made of what the provider has keeps the whole program where it is.
 *
 * The rewriting is of encoded programs, when they are opened: graphs, plans and what is sent to workers know no device.
 */
import onnxProto from 'onnx-proto';
import type { EncodedProgram } from './encode.js';

const { onnx } = onnxProto;
type Node = InstanceType<typeof onnx.NodeProto>;

/** x₁ + x₂ + … + xₙ as n − 1 additions from left to right: the order, and so the rounding, of the variadic operator. */
function chain(node: Node): Node[] {
  const [first, ...rest] = node.input as string[];
  let sum = first as string;
  return rest.map((term, i) => {
    const output = i === rest.length - 1 ? (node.output?.[0] as string) : `${node.output?.[0]} part ${i}`;
    const added = onnx.NodeProto.create({ opType: 'Add', input: [sum, term], output: [output] });
    sum = output;
    return added;
  });
}

/** The same program without variadic sums: WebGPU has `Add` but no `Sum`. */
export function withoutSums(program: EncodedProgram): EncodedProgram {
  const model = onnx.ModelProto.decode(program.bytes);
  const nodes = model.graph?.node as Node[];
  if (!nodes.some(({ opType }) => opType === 'Sum')) return program;
  const node = nodes.flatMap((each) => (each.opType === 'Sum' ? chain(each) : [each]));
  return { ...program, bytes: onnx.ModelProto.encode({ ...model, graph: { ...model.graph, node } }).finish() };
}
