/**
 * Reader of the ONNX subset that proofs are checked for: what one image (a batch of 1) goes through, as
 * nodes over flat float64 arrays in row-major order. What it does not know it refuses by name. Nodes are
 * input; relu; add, a sum of two; affine: output (c, p) is number c · positions + p, its bias plus, of each
 * run (from, at, length) from number first[p] to first[p + 1], Σ_t x[from + t] weight[c · taps + at + t].
 */
export const refuse = (message) => {
  throw new Error(message);
};
export const demand = (holds, message) => holds || refuse(message);
const product = (shape) => shape.reduce((a, b) => a * b, 1);
/** A protobuf varint and the place behind it. */
function varint(bytes, at, value = 0n, shift = 0n) {
  const byte = bytes[at] ?? refuse('model: a protobuf message is cut short');
  const sum = value | (BigInt(byte & 127) << shift);
  if (byte < 128) return [BigInt.asIntN(64, sum), at + 1];
  return shift < 63n ? varint(bytes, at + 1, sum, shift + 7n) : refuse('model: a number is too long');
}

/** Fields of a protobuf message by number: varints as BigInt, all else as bytes. */
class Message {
  constructor(/** @type {any} */ bytes = []) {
    const fields = [];
    this.all = (field) => fields[field] ?? [];
    for (let at = 0, key, value; at < bytes.length; ) {
      [key, at] = varint(bytes, at);
      const [field, wire] = [Number(key >> 3n), Number(key & 7n)];
      demand([0, 1, 2, 5].includes(wire) && field < 100, 'model: a protobuf field is of no known kind');
      [value, at] = wire === 1 ? [8n, at] : wire === 5 ? [4n, at] : varint(bytes, at);
      if (wire !== 0) [value, at] = [bytes.subarray(at, at + Number(value)), at + Number(value)];
      demand(at <= bytes.length, 'model: a protobuf message is cut short');
      fields[field] = [...this.all(field), value];
    }
  }
  /** The only value of a field: of two, readers differ in which they take. */
  one(field) {
    demand(this.all(field).length < 2, `model: field ${field} stands twice in a message`);
    return this.all(field)[0];
  }
  message = (field) => new Message(this.one(field));
  messages = (field) => this.all(field).map((bytes) => new Message(bytes));
  text = (field) => new TextDecoder().decode(this.one(field));
  texts = (field) => this.all(field).map((bytes) => new TextDecoder().decode(bytes));
  number = (field) => Number(this.one(field) ?? 0);
  integers = (field) =>
    this.all(field).flatMap((value) => {
      const list = typeof value === 'bigint' ? [Number(value)] : [];
      for (let at = 0, next; at < value.length; list.push(Number(next))) [next, at] = varint(value, at);
      return list;
    });
}
/** Float32, int64 and float64 by ONNX's number: bytes, the field of plain lists, and how one is read. */
const TYPES = { 1: [4, 4, 'getFloat32'], 7: [8, 7, 'getBigInt64'], 11: [8, 10, 'getFloat64'] };
function tensorOf(message) {
  const [shape, type, raw] = [message.integers(1), message.number(2), message.one(9)];
  const [size, field, read] = TYPES[type] ?? refuse(`model: tensors of type ${type} are not read`);
  demand(message.all(13).length === 0 && message.number(14) === 0, 'model: weights lie in another file');
  const bytes = new Uint8Array(raw ?? message.all(field).flatMap((part) => (part.length ? [...part] : [])));
  const at = (_, i) => Number(new DataView(bytes.buffer)[read](size * i, true));
  const listed = type === 7 && !raw && message.integers(7);
  const data = Float64Array.from(listed || Array.from({ length: bytes.length / size }, at));
  demand(data.length === product(shape), `model: a tensor of ${shape.join('×')} has ${data.length} numbers`);
  demand(data.every(Number.isFinite), 'model: a weight is no finite number');
  return { shape, data };
}
/** A constant spread to a shape by NumPy's rules. */
function spread({ shape: own, data }, shape) {
  const wide = [...Array(Math.max(0, shape.length - own.length)).fill(1), ...own];
  const fits = wide.length === shape.length && wide.every((extent, d) => extent === 1 || extent === shape[d]);
  demand(fits, `model: a constant of ${own.join('×')} does not fit a value of ${shape.join('×')}`);
  const apart = wide.map((extent, d) => (extent === 1 ? 0 : product(wide.slice(d + 1))));
  const inner = shape.map((_, d) => product(shape.slice(d + 1)));
  const place = (k) => apart.reduce((sum, step, d) => sum + step * (Math.floor(k / inner[d]) % shape[d]), 0);
  return Float64Array.from({ length: product(shape) }, (_, k) => data[place(k)]);
}
/** Attributes that are read: others might give an operator another meaning. */
const READ = new RegExp(
  '^(Gemm (alpha=1|beta=1|transA=0|transB=[01])|Flatten axis=1|Reshape allowzero=0|Constant value=|' +
    'Conv (group=1|dilations=1,1|(kernel_shape|strides|pads)=.*))$',
);
/** Attributes by name: lists of numbers, or the tensor of a constant. */
function attributesOf(message, op) {
  const found = {};
  for (const attribute of message.messages(5)) {
    const [name, float, tensor] = [attribute.text(1), attribute.one(2), attribute.all(5).length > 0];
    const list = tensor || attribute.all(8).length > 0 ? attribute.integers(8) : [attribute.number(3)];
    if (float) list[0] = new DataView(float.buffer, float.byteOffset, 4).getFloat32(0, true);
    const read = READ.test(`${op} ${name}=${list}`) && !(name in found);
    demand(read, `model: ${op} with ${name} = ${list} is not read, or stands twice`);
    found[name] = tensor ? tensorOf(attribute.message(5)) : list;
  }
  return found;
}
/** A value: its shape, and the node that computes it from other values. */
function computed(op, from, shape, rest = {}) {
  demand(Math.min(...shape) > 0, `model: ${op} with extents ${shape.join('×')}`);
  return { shape, node: { op, from: from.map(({ node }) => node), size: product(shape), ...rest } };
}
function affine(x, shape, weight, bias, first, runs) {
  const positions = first.length - 1;
  const taps = weight.length / (bias.length / positions);
  const reads = { positions, taps, first: Int32Array.from(first), runs: Int32Array.from(runs) };
  return computed('affine', [x], shape, { weight, bias, ...reads });
}
/** y_j = Σ_i x_i W[j, i] + b_j. */
function dense(x, { shape, data }, b, transposed) {
  const [size, taps] = transposed ? shape : [shape[1], shape[0]];
  const fits = shape.length === 2 && x.shape.at(-1) === taps && product(x.shape) === taps;
  demand(fits, `model: a matrix of ${shape.join('×')} does not fit a value of ${x.shape.join('×')}`);
  const rows = transposed ? data : data.map((_, k) => data[(k % taps) * size + Math.floor(k / taps)]);
  return affine(x, [...x.shape.slice(0, -1), size], rows, spread(b, [1, size]), [0, 1], [0, 0, taps]);
}
function convolution(x, { shape, data }, b, given) {
  const [[, channels, height, width], [filters, depth, tall, wide]] = [x.shape, shape];
  const { strides = [1, 1], pads = [0, 0, 0, 0], kernel_shape = [tall, wide] } = given;
  const [[down, along], [top, left, bottom, right]] = [strides, pads];
  const lengths = [x.shape, shape, strides, pads].map(({ length }) => length);
  const fits = depth === channels && `${[...lengths, ...kernel_shape]}` === `4,4,2,4,${tall},${wide}`;
  const sane = Math.min(tall, wide, down, along, ...pads.map((v) => v + 1)) >= 1;
  demand(fits && sane, 'model: Conv with these extents, strides or pads is not read');
  const rows = Math.floor((height + top + bottom - tall) / down) + 1;
  const columns = Math.floor((width + left + right - wide) / along) + 1;
  const [first, runs, to] = [[0], [], [1, filters, rows, columns]];
  for (let y = -top; y < rows * down - top; y += down)
    for (let x = -left; x < columns * along - left; x += along) {
      const [skip, end] = [Math.max(0, -x), Math.min(wide, width - x)];
      for (let c = 0; c < channels; c++)
        for (let r = Math.max(0, -y); r < Math.min(tall, height - y) && skip < end; r++)
          runs.push((c * height + y + r) * width + x + skip, (c * tall + r) * wide + skip, end - skip);
      first.push(runs.length / 3);
    }
  return affine(x, to, data, spread({ shape: [...b.shape, 1, 1], data: b.data }, to), first, runs);
}
/** x + b, x − b, x · b or x / b. */
function pointwise(op, x, constant) {
  const [by, nothing] = [spread(constant, x.shape), new Float64Array(product(x.shape))];
  // A quotient is one more rounded operation in each term, if nothing underflows.
  const sane = op !== 'Div' || by.every((v) => Math.abs(v) > 2 ** -1000 && Math.abs(v) < 2 ** 1000);
  demand(sane, 'model: Div by 0, or by what has no inverse in float64');
  const weight = op === 'Mul' ? by : nothing.map((_, i) => (op === 'Div' ? 1 / by[i] : 1));
  const bias = op === 'Add' ? by : op === 'Sub' ? by.map((v) => -v) : nothing;
  // A sum behind a product without bias is that product's bias, exactly.
  if (/Add|Sub/.test(op) && x.node.bias?.every((v) => v === 0)) return { ...x, node: { ...x.node, bias } };
  const runs = Array.from({ length: 3 * by.length }, (_, k) => (k % 3 === 2 ? 1 : Math.floor(k / 3)));
  return affine(x, x.shape, weight, bias, [...by.keys(), by.length], runs);
}
function reshaped(x, to) {
  const known = to.map((extent, d) => (extent === 0 ? x.shape[d] : extent));
  const rest = product(x.shape) / Math.abs(product(known));
  const shape = known.map((extent) => (extent === -1 ? rest : extent));
  const fits = product(shape) === product(x.shape) && shape.every((extent) => extent > 0 && extent % 1 === 0);
  demand(fits, `model: ${x.shape.join('×')} cannot be reshaped to ${to.join('×')}`);
  return { ...x, shape };
}

/** What an operator gives, by the names of what it reads. */
function apply(op, names, given, known) {
  const of = names.map((name) => known.get(name));
  const value = (k) => (of[k]?.node ? of[k] : refuse(`model: "${names[k]}" is no value computed by then`));
  const constant = (k) => (of[k]?.data ? of[k] : refuse(`model: "${names[k]}" is no constant known by then`));
  // A sum or product may have its constant in front.
  const front = /Add|Mul/.test(op) && of[0]?.data ? 1 : 0;
  const [x, bias] = [value(front), () => (names[2] ? constant(2) : { shape: [], data: [0] })];
  if (op === 'Identity') return x;
  if (/^(Flatten|Reshape)$/.test(op)) return reshaped(x, op === 'Flatten' ? [1, -1] : [...constant(1).data]);
  if (op === 'Relu') return computed('relu', [x], x.shape);
  if (op === 'Conv') return convolution(x, constant(1), bias(), given);
  if (op === 'Gemm' || op === 'MatMul') return dense(x, constant(1), bias(), given.transB?.[0] === 1);
  demand(/^(Add|Sub|Mul|Div)$/.test(op), `model: operator ${op} is not read by the checker`);
  const same = op === 'Add' && front === 0 && of[1]?.shape.join() === x.shape.join();
  return same && of[1].node ? computed('add', [x, of[1]], x.shape) : pointwise(op, x, constant(1 - front));
}

/** The network of an ONNX file: nodes that the output depends on, the input first, the output last. */
export function readOnnx(bytes) {
  const model = new Message(bytes);
  const [graph, known, nodes] = [model.message(7), new Map(), []];
  const whole = model.all(25).length + graph.all(15).length === 0 && graph.all(12).length === 1;
  demand(whole, 'model: functions, sparse weights or several outputs are not read');
  const define = (name, what) =>
    demand(!known.has(name), `model: "${name}" stands for two things`) && known.set(name, what);
  for (const tensor of graph.messages(5)) define(tensor.text(8), tensorOf(tensor));
  const [input, other] = graph.messages(11).filter((one) => !known.has(one.text(1)));
  const type = input?.message(2).message(1) ?? refuse('model: an input is missing');
  const extents = type.message(2).messages(1);
  const [batch, ...shape] = extents.map((extent) => extent.number(1));
  const sane = batch <= 1 && shape.every((extent) => extent > 0) && TYPES[type.number(1)] && !other;
  demand(sane, `model: one input with a batch of 1 in front is read, not ${[batch, ...shape].join('×')}`);
  define(input.text(1), computed('input', [], [1, ...shape]));
  for (const node of graph.messages(1)) {
    const [op, outputs, given] = [node.text(4), node.texts(2), attributesOf(node, node.text(4))];
    demand(/^(ai\.onnx)?$/.test(node.text(7)) && outputs.length === 1, `model: operator ${op} is not read`);
    define(outputs[0], given.value ?? apply(op, node.texts(1), given, known));
  }
  const output = known.get(graph.message(12).text(1));
  demand(output?.node, 'model: the output is no value that is computed');
  const place = (node) => {
    node.at ??= nodes.push({ ...node, inputs: node.from.map(place) }) - 1;
    return node.at;
  };
  place(output.node);
  return nodes;
}
