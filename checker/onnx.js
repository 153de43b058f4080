/**
 * Reader of the ONNX subset that proofs are checked for: what one image (a batch of 1) goes through, as nodes
 * over flat float64 arrays in row-major order. What it does not know it refuses by name.
 *
 * @typedef {{ op: string, inputs: number[], size: number, by?: any, weight?: any, bias?: any, positions?:
 *   any, taps?: any, first?: any, runs?: any }} Node
 *   input, relu; add: sum of two nodes; shift, scale, divide: x_i + by_i, x_i · by_i, x_i / by_i;
 *   affine: output (c, p) is number c · positions + p. It is bias plus, for each run (from, at, length) with
 *   number first[p] to first[p + 1], x[from + t] · weight[c · taps + at + t] for t < length. Weights of three
 *   more channels, zeros, stand behind the last, as bounds take four at once.
 */

/** @returns {any} */
export const refuse = (message) => {
  throw new Error(message);
};
export const demand = (holds, message) => holds || refuse(message);

/** A protobuf varint and the place behind it. @returns {[bigint, number]} */
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
  constructor(/** @type {any} */ bytes = []) {
    /** @type {any[][]} */
    this.fields = [];
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
  integers(field) {
    return this.all(field).flatMap((value) => {
      if (typeof value === 'bigint') return [Number(value)];
      const list = [];
      for (let at = 0, next; at < value.length; list.push(Number(next))) [next, at] = varint(value, at);
      return list;
    });
  }
}

/** @param {any[]} shape */
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
  return Float64Array.from({ length: product(shape) }, (_, index) => {
    let [at, stride, rest] = [0, 1, index];
    for (let d = shape.length - 1; d >= 0; d--) {
      if (wide[d] !== 1) at += (rest % shape[d]) * stride;
      stride *= wide[d];
      rest = Math.floor(rest / shape[d]);
    }
    return data[at];
  });
}

/** Attributes that are read: others might give an operator another meaning. */
const READ = new RegExp(
  '^(Gemm (alpha=1|beta=1|transA=0|transB=[01])|Flatten axis=1|Reshape allowzero=0|' +
    'Conv (group=1|dilations=1,1|(kernel_shape|strides|pads)=.*))$',
);

/** Attributes by name, lists of numbers or a tensor. */
function attributesOf(message, op) {
  const entries = message.messages(5).map((attribute) => {
    const [name, float] = [attribute.text(1), attribute.one(2)];
    if (attribute.all(5).length > 0 && op === 'Constant') return [name, tensorOf(attribute.message(5))];
    const list = attribute.all(8).length > 0 ? attribute.integers(8) : [attribute.number(3)];
    if (float) list[0] = new DataView(float.buffer, float.byteOffset, 4).getFloat32(0, true);
    demand(READ.test(`${op} ${name}=${list}`), `model: ${op} with ${name} = ${list} is not read`);
    return [name, list];
  });
  return Object.fromEntries(entries);
}

/** Where each position of a convolution reads: see Node. */
function convolutionReads([channels, height, width], kernel, [down, along], pads) {
  const [[tall, wide], [top, left, bottom, right]] = [kernel, pads];
  const rows = Math.floor((height + top + bottom - tall) / down) + 1;
  const columns = Math.floor((width + left + right - wide) / along) + 1;
  const [first, runs] = [[0], [0].slice(1)];
  for (let y = -top; y < rows * down - top; y += down)
    for (let x = -left; x < columns * along - left; x += along) {
      const [skip, end] = [Math.max(0, -x), Math.min(wide, width - x)];
      for (let c = 0; c < channels; c++)
        for (let r = Math.max(0, -y); r < Math.min(tall, height - y) && skip < end; r++)
          runs.push((c * height + y + r) * width + x + skip, (c * tall + r) * wide + skip, end - skip);
      first.push(runs.length / 3);
    }
  return { rows, columns, first: Int32Array.from(first), runs: Int32Array.from(runs) };
}

/** The network in the making: its nodes; constants { shape, data } and values { node, shape } by name. */
class Builder {
  /** @type {Node[]} */
  nodes = [];
  constants = new Map();
  values = new Map();

  constant = (name) => this.constants.get(name) ?? refuse(`model: "${name}" is no constant known by then`);
  value = (name) => this.values.get(name) ?? refuse(`model: "${name}" is no value computed by then`);
  name(kind, name, what) {
    const known = this.constants.has(name) || this.values.has(name);
    demand(!known, `model: "${name}" stands for two things`);
    kind.set(name, what);
  }
  push(op, inputs, shape, more = {}) {
    const node = { op, inputs: inputs.map(({ node }) => node), size: product(shape), ...more };
    demand(node.size > 0, `model: ${op} with extents ${shape.join('×')}`);
    return { node: this.nodes.push(node) - 1, shape };
  }
  affine(x, shape, data, taps, more) {
    const weight = new Float64Array(data.length + 3 * taps);
    weight.set(data);
    return this.push('affine', [x], shape, { weight, taps, ...more });
  }
  /** y_j = Σ_i x_i W[j, i] + b_j. */
  dense(x, { shape, data }, transposed, b) {
    const [size, taps] = transposed ? shape : [shape[1], shape[0]];
    const fits = shape.length === 2 && x.shape.at(-1) === taps && product(x.shape) === taps;
    demand(fits, `model: a matrix of ${shape.join('×')} does not fit a value of ${x.shape.join('×')}`);
    const at = (k) => (transposed ? k : (k % taps) * size + Math.floor(k / taps));
    const bias = b ? spread(b, [1, size]) : new Float64Array(size);
    const more = { bias, positions: 1, first: Int32Array.of(0, 1), runs: Int32Array.of(0, 0, taps) };
    return this.affine(
      x,
      [...x.shape.slice(0, -1), size],
      data.map((_, k) => data[at(k)]),
      taps,
      more,
    );
  }
  convolution(x, { shape, data }, b, { strides = [1, 1], pads = [0, 0, 0, 0], kernel_shape }) {
    const [[, ...input], [filters, depth, ...kernel]] = [x.shape, shape];
    const fits = input.length === 3 && kernel.length === 2 && depth === input[0] && strides.length === 2;
    const given = (kernel_shape ?? kernel).join() === kernel.join() && pads.length === 4;
    const sane = Math.min(...strides) >= 1 && Math.min(...pads) >= 0;
    demand(fits && given && sane, 'model: Conv with these extents, strides or pads is not read');
    const { rows, columns, ...reads } = convolutionReads(input, kernel, /** @type {any} */ (strides), pads);
    const to = [filters, rows, columns];
    const bias = spread(b ? { shape: [...b.shape, 1, 1], data: b.data } : { shape: [], data: [0] }, to);
    const more = { bias, positions: rows * columns, ...reads };
    return this.affine(x, [1, ...to], data, data.length / filters, more);
  }
  reshaped({ node, shape }, to) {
    const known = to.map((extent, d) => (extent === 0 ? shape[d] : extent));
    const rest = product(shape) / product(known.filter((extent) => extent !== -1));
    const full = known.map((extent) => (extent === -1 ? rest : extent));
    const fits = product(full) === product(shape) && full.every((extent) => extent > 0 && extent % 1 === 0);
    demand(fits, `model: ${shape.join('×')} cannot be reshaped to ${to.join('×')}`);
    return { node, shape: full };
  }
  read(op, inputs, given) {
    const [a, b, c] = inputs;
    const optional = c && this.constant(c);
    if (op === 'Identity') return this.value(a);
    if (op === 'Flatten') return this.reshaped(this.value(a), [1, -1]);
    if (op === 'Reshape') return this.reshaped(this.value(a), [...this.constant(b).data]);
    if (op === 'Relu') return this.push('relu', [this.value(a)], this.value(a).shape);
    if (op === 'Conv') return this.convolution(this.value(a), this.constant(b), optional, given);
    if (op === 'MatMul') return this.dense(this.value(a), this.constant(b), false, undefined);
    if (op === 'Gemm') return this.dense(this.value(a), this.constant(b), given.transB?.[0] === 1, optional);
    demand(/^(Add|Sub|Mul|Div)$/.test(op), `model: operator ${op} is not read by the checker`);
    // A sum or product may have its constant in front.
    const front = (op === 'Add' || op === 'Mul') && this.constants.has(a);
    const [x, other] = front ? [this.value(b), a] : [this.value(a), b];
    if (op === 'Add' && this.values.get(other)?.shape.join() === x.shape.join())
      return this.push('add', [x, this.value(other)], x.shape);
    const by = spread(this.constant(other), x.shape);
    demand(op !== 'Div' || !by.includes(0), 'model: Div by zero');
    const as = { Add: 'shift', Sub: 'shift', Mul: 'scale', Div: 'divide' };
    return this.push(as[op], [x], x.shape, { by: op === 'Sub' ? by.map((v) => -v) : by });
  }
}

/** The network of an ONNX file: nodes in order, the input first, the output last. */
export function readOnnx(bytes) {
  const [model, builder] = [new Message(bytes), new Builder()];
  const graph = model.message(7);
  demand(
    model.all(25).length + graph.all(15).length === 0,
    'model: functions or sparse weights are not read',
  );
  for (const tensor of graph.messages(5)) builder.name(builder.constants, tensor.text(8), tensorOf(tensor));
  const inputs = graph.messages(11).filter((value) => !builder.constants.has(value.text(1)));
  demand(inputs.length === 1 && graph.all(12).length === 1, 'model: one input and one output are read');
  const type = inputs[0].message(2).message(1);
  const [batch, ...extents] = [...type.message(2).messages(1)].map((extent) => extent.number(1));
  const sane = batch <= 1 && extents.every((extent) => extent > 0) && TYPES[type.number(1)];
  demand(sane, `model: an input of ${[batch, ...extents].join('×')} is not read; a batch of 1 in front is`);
  builder.name(builder.values, inputs[0].text(1), builder.push('input', [], [1, ...extents]));
  for (const node of graph.messages(1)) {
    const [op, outputs, given] = [node.text(4), node.texts(2), attributesOf(node, node.text(4))];
    demand(/^(ai\.onnx)?$/.test(node.text(7)) && outputs.length === 1, `model: operator ${op} is not read`);
    const isConstant = op === 'Constant' && demand(given.value, 'model: Constant without a tensor');
    if (isConstant) builder.name(builder.constants, outputs[0], given.value);
    else builder.name(builder.values, outputs[0], builder.read(op, node.texts(1), given));
  }
  return builder.nodes.slice(0, builder.value(graph.message(12).text(1)).node + 1);
}
