/**
 * Reader of the ONNX subset that proofs are checked for: what one image (a batch of 1) goes through, as
 * nodes over flat float64 arrays in row-major order. What it does not know it refuses by name. Nodes are
 * input; relu; add, a sum of two; affine: output (c, p) is number c · positions + p, bias plus, for each run
 * (from, at, length) with number first[p] to first[p + 1], x[from + t] · weight[c · taps + at + t] for t <
 * length. Weights of one more channel, zeros, stand behind the last, as bounds take two at once.
 */
export const refuse = (message) => {
  throw new Error(message);
};
export const demand = (holds, message) => holds || refuse(message);

/** A protobuf varint and the place behind it. */
function varint(bytes, at) {
  for (let value = 0n, shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[at++] ?? refuse('model: a protobuf message is cut short');
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [BigInt.asIntN(64, value), at];
  }
  return refuse('model: a protobuf number is too long');
}

/** Fields of a protobuf message by number: varints as BigInt, all else as bytes. */
class Message {
  fields = [];
  constructor(/** @type {any} */ bytes = []) {
    for (let at = 0, key, value; at < bytes.length; ) {
      [key, at] = varint(bytes, at);
      const [field, wire] = [Number(key >> 3n), Number(key & 7n)];
      demand([0, 1, 2, 5].includes(wire) && field < 100, 'model: a protobuf field is of no known kind');
      [value, at] = wire === 1 ? [8n, at] : wire === 5 ? [4n, at] : varint(bytes, at);
      if (wire !== 0) [value, at] = [bytes.subarray(at, at + Number(value)), at + Number(value)];
      demand(at <= bytes.length, 'model: a protobuf message is cut short');
      this.fields[field] = [...(this.fields[field] ?? []), value];
    }
  }
  all = (field) => this.fields[field] ?? [];
  messages = (field) => this.all(field).map((bytes) => new Message(bytes));
  texts = (field) => this.all(field).map((bytes) => new TextDecoder().decode(bytes));
  /** The only value of a field: of two, readers differ in which they take. */
  one(field) {
    demand(this.all(field).length < 2, `model: field ${field} stands twice in a message`);
    return this.all(field)[0];
  }
  message = (field) => new Message(this.one(field));
  text = (field) => new TextDecoder().decode(this.one(field));
  number = (field) => Number(this.one(field) ?? 0);
  /** Repeated integers, packed or not. */
  integers = (field) =>
    this.all(field).flatMap((value) => {
      const list = typeof value === 'bigint' ? [Number(value)] : [];
      for (let at = 0, next; at < value.length; list.push(Number(next))) [next, at] = varint(value, at);
      return list;
    });
}

const product = (shape) => shape.reduce((a, b) => a * b, 1);

/** Float32, int64 and float64 by ONNX's number: bytes, the field of plain lists, and how one is read. */
const TYPES = {
  1: [4, 4, (view, i) => view.getFloat32(4 * i, true)],
  7: [8, 7, (view, i) => Number(view.getBigInt64(8 * i, true))],
  11: [8, 10, (view, i) => view.getFloat64(8 * i, true)],
};

function tensorOf(message) {
  const [shape, type, raw] = [message.integers(1), message.number(2), message.one(9)];
  demand(TYPES[type], `model: tensor type ${type} is no float32, float64 or int64`);
  demand(message.all(13).length === 0 && message.number(14) === 0, 'model: weights lie in another file');
  if (type === 7 && !raw) return { shape, data: Float64Array.from(message.integers(7)) };
  const [size, field, read] = TYPES[type];
  const bytes = new Uint8Array(raw ?? message.all(field).flatMap((part) => [...part]));
  const view = new DataView(bytes.buffer);
  const data = Float64Array.from({ length: bytes.length / size }, (_, i) => read(view, i));
  demand(data.length === product(shape), `model: a tensor of ${shape.join('×')} has ${data.length} numbers`);
  demand(data.every(Number.isFinite), 'model: a weight is no finite number');
  return { shape, data };
}

/** A constant spread to a shape by NumPy's rules. */
function spread({ shape: own, data }, shape) {
  const wide = [...Array(Math.max(0, shape.length - own.length)).fill(1), ...own];
  const fits = wide.length === shape.length && wide.every((extent, d) => extent === 1 || extent === shape[d]);
  demand(fits, `model: a constant of ${own.join('×')} does not fit a value of ${shape.join('×')}`);
  let [places, stride] = [[0], data.length];
  for (const [d, extent] of shape.entries()) {
    stride /= wide[d];
    const steps = Array.from({ length: extent }, (_, i) => (wide[d] === 1 ? 0 : i * stride));
    places = places.flatMap((place) => steps.map((step) => place + step));
  }
  return Float64Array.from(places, (place) => data[place]);
}

/** Attributes that are read: others might give an operator another meaning. */
const READ = new RegExp(
  '^(Gemm (alpha=1|beta=1|transA=0|transB=[01])|Flatten axis=1|Reshape allowzero=0|' +
    'Conv (group=1|dilations=1,1|(kernel_shape|strides|pads)=.*))$',
);

/** Attributes by name, lists of numbers or a tensor. */
function attributesOf(message, op) {
  const found = {};
  for (const attribute of message.messages(5)) {
    const [name, float] = [attribute.text(1), attribute.one(2)];
    const tensor = op === 'Constant' && attribute.all(5).length > 0;
    const list = attribute.all(8).length > 0 ? attribute.integers(8) : [attribute.number(3)];
    if (float) list[0] = new DataView(float.buffer, float.byteOffset, 4).getFloat32(0, true);
    const read = tensor || READ.test(`${op} ${name}=${list}`);
    demand(read && !(name in found), `model: ${op} with ${name} = ${list} is not read, or stands twice`);
    found[name] = tensor ? tensorOf(attribute.message(5)) : list;
  }
  return found;
}

/** y_j = Σ_i x_i W[j, i] + b_j. */
function dense(x, { shape, data }, b, transposed) {
  const [size, taps] = transposed ? shape : [shape[1], shape[0]];
  const fits = shape.length === 2 && x.shape.at(-1) === taps && product(x.shape) === taps;
  demand(fits, `model: a matrix of ${shape.join('×')} does not fit a value of ${x.shape.join('×')}`);
  const rows = transposed ? data : data.map((_, k) => data[(k % taps) * size + Math.floor(k / taps)]);
  const bias = spread(b ?? { shape: [], data: [0] }, [1, size]);
  return affine(x, [...x.shape.slice(0, -1), size], rows, bias, [0, 1], [0, 0, taps]);
}

function convolution(x, { shape, data }, b, { strides = [1, 1], pads = [0, 0, 0, 0], kernel_shape }) {
  const [[, channels, height, width], [filters, depth, tall, wide]] = [x.shape, shape];
  const [[down, along], [top, left, bottom, right]] = [strides, pads];
  const fits = x.shape.length === 4 && shape.length === 4 && depth === channels;
  const given = !kernel_shape || kernel_shape.join() === [tall, wide].join();
  const sane =
    strides.length === 2 && pads.length === 4 && Math.min(down, along, ...pads.map((v) => v + 1)) >= 1;
  demand(fits && given && sane, 'model: Conv with these extents, strides or pads is not read');
  const rows = Math.floor((height + top + bottom - tall) / down) + 1;
  const columns = Math.floor((width + left + right - wide) / along) + 1;
  const [first, runs] = [[0], []];
  for (let y = -top; y < rows * down - top; y += down)
    for (let x = -left; x < columns * along - left; x += along) {
      const [skip, end] = [Math.max(0, -x), Math.min(wide, width - x)];
      for (let c = 0; c < channels; c++)
        for (let r = Math.max(0, -y); r < Math.min(tall, height - y) && skip < end; r++)
          runs.push((c * height + y + r) * width + x + skip, (c * tall + r) * wide + skip, end - skip);
      first.push(runs.length / 3);
    }
  const to = [1, filters, rows, columns];
  const bias = spread(b ? { shape: [...b.shape, 1, 1], data: b.data } : { shape: [], data: [0] }, to);
  return affine(x, to, data, bias, first, runs);
}

/** y_i = x_i w_i + b_i. */
function each(x, weight, bias) {
  const [places, runs] = [[...bias.keys()], []];
  for (const i of places) runs.push(i, i, 1);
  return affine(x, x.shape, weight, bias, [...places, bias.length], runs);
}

function affine(x, shape, data, bias, first, runs) {
  const taps = data.length / (product(shape) / (first.length - 1));
  const weight = new Float64Array(data.length + taps);
  weight.set(data);
  const reads = { positions: first.length - 1, first: Int32Array.from(first), runs: Int32Array.from(runs) };
  return { op: 'affine', from: [x], shape, weight, taps, bias, ...reads };
}

function reshaped(x, to) {
  const known = to.map((extent, d) => (extent === 0 ? x.shape[d] : extent));
  const rest = product(x.shape) / Math.abs(product(known));
  const shape = known.map((extent) => (extent === -1 ? rest : extent));
  const fits = product(shape) === product(x.shape) && shape.every((extent) => extent > 0 && extent % 1 === 0);
  demand(fits, `model: ${x.shape.join('×')} cannot be reshaped to ${to.join('×')}`);
  return { ...x, shape };
}

/** What an operator gives: a value that is known, of another shape perhaps, or what a new node is made of. */
function apply(op, names, given, known) {
  const of = names.map((name) => known.get(name));
  const value = (k) => (of[k]?.op ? of[k] : refuse(`model: "${names[k]}" is no value computed by then`));
  const constant = (k) => (of[k]?.data ? of[k] : refuse(`model: "${names[k]}" is no constant known by then`));
  if (op === 'Identity') return value(0);
  if (op === 'Flatten') return reshaped(value(0), [1, -1]);
  if (op === 'Reshape') return reshaped(value(0), [...constant(1).data]);
  if (op === 'Relu') return { op: 'relu', from: [value(0)], shape: value(0).shape };
  const bias = names[2] && constant(2);
  if (op === 'Conv') return convolution(value(0), constant(1), bias, given);
  if (op === 'Gemm' || op === 'MatMul') return dense(value(0), constant(1), bias, given.transB?.[0] === 1);
  demand(/^(Add|Sub|Mul|Div)$/.test(op), `model: operator ${op} is not read by the checker`);
  // A sum or product may have its constant in front.
  const front = /Add|Mul/.test(op) && of[0]?.data ? 1 : 0;
  const x = value(front);
  if (op === 'Add' && front === 0 && of[1]?.op && of[1].shape.join() === x.shape.join())
    return { op: 'add', from: [x, of[1]], shape: x.shape };
  const by = spread(constant(1 - front), x.shape);
  // A quotient is one more rounded operation in each term, if nothing underflows.
  const sane = by.every((v) => Math.abs(v) > 2 ** -1000 && Math.abs(v) < 2 ** 1000);
  demand(op !== 'Div' || sane, 'model: Div by 0, or by what has no inverse in float64');
  const [one, zero] = [by.map(() => 1), by.map(() => 0)];
  const factors = { Mul: by, Div: by.map((v) => 1 / v) };
  const summands = { Add: by, Sub: by.map((v) => -v) };
  // A sum behind a product without bias is that product's bias, exactly.
  if (summands[op] && x.bias?.every((v) => v === 0)) return { ...x, node: undefined, bias: summands[op] };
  return each(x, factors[op] ?? one, summands[op] ?? zero);
}

/** The network of an ONNX file: nodes in order, the input first, the output last. */
export function readOnnx(bytes) {
  const model = new Message(bytes);
  const [graph, nodes, known] = [model.message(7), [], new Map()];
  const whole = model.all(25).length + graph.all(15).length === 0;
  demand(whole, 'model: functions or sparse weights are not read');
  const define = (name, what) => {
    demand(!known.has(name), `model: "${name}" stands for two things`);
    const { node, from, shape, op, data, ...rest } = what;
    known.set(name, data ? what : { ...what, node: node ?? nodes.length });
    if (data || node !== undefined) return;
    demand(Math.min(...shape) > 0, `model: ${op} with extents ${shape.join('×')}`);
    nodes.push({ op, inputs: from.map((x) => x.node), size: product(shape), ...rest });
  };
  for (const tensor of graph.messages(5)) define(tensor.text(8), tensorOf(tensor));
  const inputs = graph.messages(11).filter((input) => !known.has(input.text(1)));
  demand(inputs.length === 1 && graph.all(12).length === 1, 'model: one input and one output are read');
  const type = inputs[0].message(2).message(1);
  const [batch, ...extents] = type
    .message(2)
    .messages(1)
    .map((extent) => extent.number(1));
  const sane = batch <= 1 && extents.every((extent) => extent > 0) && TYPES[type.number(1)];
  demand(sane, `model: an input of ${[batch, ...extents].join('×')} is not read; a batch of 1 in front is`);
  define(inputs[0].text(1), { op: 'input', from: [], shape: [1, ...extents] });
  for (const node of graph.messages(1)) {
    const [op, outputs, given] = [node.text(4), node.texts(2), attributesOf(node, node.text(4))];
    demand(/^(ai\.onnx)?$/.test(node.text(7)) && outputs.length === 1, `model: operator ${op} is not read`);
    demand(op !== 'Constant' || given.value, 'model: Constant without a tensor');
    define(outputs[0], given.value ?? apply(op, node.texts(1), given, known));
  }
  const output = known.get(graph.message(12).text(1));
  demand(output?.op, 'model: the output is no value that is computed');
  return nodes.slice(0, output.node + 1);
}
