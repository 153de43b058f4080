/**
 * Programs rewritten for execution providers that lack an operator. ONNX Runtime would hand such an operator
 * back to the CPU, and its inputs and outputs with it; an equivalent made of what the provider has keeps the
 * whole program where it is.
 *
 * The rewriting is of encoded programs, when they are opened: graphs, plans and what is sent to workers know
 * no device.
 */
import { decodeOnnx, encodeOnnx, type OnnxNode } from '../formats/onnx.js';
import type { EncodedProgram } from './encode.js';

/**
 * x₁ + x₂ + … + xₙ as n − 1 additions from left to right: the order, and so the rounding, of the variadic
 * operator.
 */
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
  return {
    ...program,
    bytes: encodeOnnx({
      ...model,
      nodes: model.nodes.flatMap((node) => (node.opType === 'Sum' ? chain(node) : [node])),
    }),
  };
}

/** Element types of ONNX by number. */
const INT32 = 6;
const UINT32 = 12;

const XOR = new TextEncoder().encode('BitwiseXor');

/** Whether a piece stands somewhere in bytes. */
function holds(bytes: Uint8Array, piece: Uint8Array): boolean {
  const first = piece[0] as number;
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1))
    if (piece.every((byte, i) => bytes[at + i] === byte)) return true;
  return false;
}

/** x ^ y of two bytes, at 256 · x + y. */
const bytesXor = (): Int32Array => Int32Array.from({ length: 65536 }, (_, i) => (i >> 8) ^ (i & 255));

/**
 * The same program without `BitwiseXor` of uint32 words: neither WebGPU nor CUDA has bitwise operators. With
 * shifts as divisions and S_k = 256 · ⌊x / 256ᵏ⌋ + ⌊y / 256ᵏ⌋, the number of the pair of bytes k in a table
 * of 2¹⁶ is S_k − 256 · S_{k+1}, wrapping around; four tables, the k-th times 256ᵏ, add up to x ^ y. The
 * runtime folds what is constant, so that a program carries one table of 256 KB.
 */
export function withoutXor(program: EncodedProgram): EncodedProgram {
  // Few programs have it: the others are not read through.
  if (!holds(program.bytes, XOR)) return program;
  const model = decodeOnnx(program.bytes, 'program');
  const initializers = [...model.initializers];
  const constant = (name: string, data: Int32Array, shape: readonly number[]): OnnxNode => {
    initializers.push({ name: `${name} int32`, data, shape });
    return {
      opType: 'Cast',
      inputs: [`${name} int32`],
      outputs: [name],
      attributes: { to: { int: UINT32 } },
    };
  };
  const bytes = [1, 2, 3];
  const power = (k: number) => `256^${k} of xor`;
  const table = (k: number) => `table ${k} of xor`;
  const tables = [
    constant(table(0), bytesXor(), [65536]),
    ...bytes.flatMap((k) => [
      constant(power(k), Int32Array.of(256 ** k), []),
      { opType: 'Mul', inputs: [table(0), power(k)], outputs: [table(k)], attributes: {} },
    ]),
  ];
  const lookUp = ({ inputs, outputs }: OnnxNode): OnnxNode[] => {
    const [x, y] = inputs as [string, string];
    const nodes: OnnxNode[] = [];
    const node = (
      opType: string,
      from: readonly string[],
      attributes: OnnxNode['attributes'] = {},
      output = `${outputs[0]} part ${nodes.length}`,
    ): string => {
      nodes.push({ opType, inputs: from, outputs: [output], attributes });
      return output;
    };
    const shifted = (word: string, k: number) => (k === 0 ? word : node('Div', [word, power(k)]));
    const sums = [0, 1, 2, 3].map((k) =>
      node('Add', [node('Mul', [shifted(x, k), power(1)]), shifted(y, k)]),
    );
    const parts = sums.map((sum, k) => {
      const above = sums[k + 1];
      const pair = above === undefined ? sum : node('Sub', [sum, node('Mul', [above, power(1)])]);
      return node('Gather', [table(k), node('Cast', [pair], { to: { int: INT32 } })], { axis: { int: 0 } });
    }) as [string, string, string, string];
    node('Add', [node('Add', [parts[0], parts[1]]), node('Add', [parts[2], parts[3]])], {}, outputs[0]);
    return nodes;
  };
  const nodes = [
    ...tables,
    ...model.nodes.flatMap((node) => (node.opType === 'BitwiseXor' ? lookUp(node) : [node])),
  ];
  return { ...program, bytes: encodeOnnx({ ...model, nodes, initializers }) };
}
