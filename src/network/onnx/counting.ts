/**
 * Files that count: how many of their decisions between two classes are what a part of the input says, as
 * segmentation is judged. A count is not continuous; what is continuous lies on one side of it.
 *
 *   ArgMax of (a, b) ↦ v = b − a,   Equal of v and a mask m ∈ {0, 1} ↦ (2m − 1) v
 *   Σ [v > 0] ≥ Σ clip(v/δ, 0, 1),   Σ [v ≥ 0] ≤ Σ (1 − clip(−v/δ, 0, 1))
 *
 * Each v is a score: positive where the file says 1, negative where it says 0; where it is 0 both sums hold
 * for either answer. Softmax keeps the order of what it compares.
 */
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from '../../formats/onnx.js';

/** Which side of the count the sums lie on. */
export type Side = 'below' | 'above';

/** δ, in logits. */
const STEP = 2 ** -4;

/** Operators that pass scores, and parts of the input, in another order or under other extents. */
const PASSING = new Set([
  'Cast',
  'Flatten',
  'Gather',
  'Identity',
  'Reshape',
  'Slice',
  'Split',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/** A score, a part of the input, a count, the scores of both classes, or a softmax along an axis. */
type Meaning =
  | { readonly kind: 'score' }
  | { readonly kind: 'part' }
  | { readonly kind: 'count' }
  | { readonly kind: 'hot'; readonly score: string; readonly axis: number }
  | { readonly kind: 'ordered'; readonly axis: number };

const SCORE: Meaning = { kind: 'score' };

/**
 * A model of supported operators whose output lies below a counting model's, or above it, wherever the part
 * of the input that is compared with consists of zeros and ones; undefined for a model that counts nothing.
 */
export function countingModel(model: OnnxModel, side: Side): OnnxModel | undefined {
  if (!model.nodes.some(({ opType }) => opType === 'ArgMax')) return undefined;
  return new Rewriting(model, side).model();
}

const integer = ({ attributes }: OnnxNode, name: string, otherwise: number): number => {
  const attribute = attributes[name];
  return attribute !== undefined && 'int' in attribute ? attribute.int : otherwise;
};

class Rewriting {
  readonly #nodes: OnnxNode[] = [];
  readonly #constants: OnnxTensor[];
  /** Constants by name, those of nodes too. */
  readonly #known: ReadonlyMap<string, OnnxTensor>;
  readonly #meanings = new Map<string, Meaning>();

  constructor(
    readonly whole: OnnxModel,
    readonly side: Side,
  ) {
    this.#constants = [...whole.initializers];
    const known = new Map(whole.initializers.map((tensor) => [tensor.name, tensor]));
    for (const { opType, outputs, attributes } of whole.nodes) {
      const { value } = attributes;
      if (opType === 'Constant' && value && 'tensor' in value) known.set(outputs[0] ?? '', value.tensor);
    }
    this.#known = known;
    for (const { name } of whole.inputs) if (!known.has(name)) this.#meanings.set(name, { kind: 'part' });
  }

  model(): OnnxModel | undefined {
    for (const node of this.whole.nodes) if (!this.#read(node)) return undefined;
    const output = this.whole.outputs[0]?.name ?? '';
    return this.#meanings.get(output)?.kind === 'count'
      ? { ...this.whole, nodes: this.#nodes, initializers: this.#constants }
      : undefined;
  }

  /** Takes a node; false where scores go into what is not understood. */
  #read(node: OnnxNode): boolean {
    const { opType, inputs } = node;
    const meanings = inputs.map((name) => this.#meanings.get(name));
    const [first] = meanings;
    if (opType === 'Softmax') return this.#softmax(node);
    if (opType === 'ArgMax') return this.#argMax(node, first);
    if (opType === 'Equal') return this.#equal(node, meanings);
    if (first?.kind === 'ordered') return this.#passOrdered(node, first.axis);
    if (first?.kind === 'hot') return this.#passHot(node, first);
    if (first?.kind === 'score' && opType === 'OneHot') return this.#oneHot(node);
    if (first?.kind === 'score' && opType === 'ReduceSum') return this.#sum(node);
    const hasScores = meanings.some((meaning) => meaning !== undefined && meaning.kind !== 'part');
    if (first !== undefined && PASSING.has(opType) && meanings.slice(1).every((one) => one === undefined)) {
      // What is cast stays the number that it is: a score, or zero or one.
      const cast: OnnxNode = { ...node, opType: 'Identity', attributes: {} };
      this.#nodes.push(opType === 'Cast' ? cast : node);
      for (const name of node.outputs) this.#meanings.set(name, first);
      return true;
    }
    this.#nodes.push(node);
    return !hasScores;
  }

  #emit(
    opType: string,
    inputs: readonly string[],
    output: string,
    attributes: Record<string, OnnxAttribute> = {},
  ) {
    this.#nodes.push({ opType, name: `${opType} of ${output}`, inputs, outputs: [output], attributes });
    return output;
  }

  #constant(name: string, data: OnnxTensor['data'], shape: readonly number[]): string {
    this.#constants.push({ name, shape, data });
    return name;
  }

  #number = (name: string, value: number): string => this.#constant(name, Float32Array.of(value), []);

  /** Before version 13 everything from the axis on is one distribution, in order along each axis. */
  #softmax(node: OnnxNode): boolean {
    const axis = integer(node, 'axis', this.whole.opset < 13 ? 1 : -1);
    const [output = ''] = node.outputs;
    if (this.#meanings.get(node.inputs[0] ?? '')?.kind === 'score') return false;
    this.#nodes.push({ ...node, opType: 'Identity', attributes: {} });
    this.#meanings.set(output, { kind: 'ordered', axis });
    return true;
  }

  /** One image of a batch, and the axis that this leaves. */
  #passOrdered(node: OnnxNode, axis: number): boolean {
    const { opType, inputs, outputs } = node;
    const indices = this.#known.get(inputs[1] ?? '');
    const drops =
      (opType === 'Gather' && integer(node, 'axis', 0) === 0 && indices?.shape.length === 0) ||
      (opType === 'Squeeze' && this.#axesOf(node)?.join() === '0');
    if (!drops && opType !== 'Identity') return false;
    this.#nodes.push(node);
    const left = drops && axis > 0 ? axis - 1 : axis;
    if (drops && axis === 0) return false;
    this.#meanings.set(outputs[0] ?? '', { kind: 'ordered', axis: left });
    return true;
  }

  #axesOf(node: OnnxNode): readonly number[] | undefined {
    const attribute = node.attributes.axes;
    if (attribute && 'ints' in attribute) return attribute.ints;
    const given = this.#known.get(node.inputs[1] ?? '');
    return given && Array.from(given.data as ArrayLike<number | bigint>, Number);
  }

  #argMax(node: OnnxNode, meaning: Meaning | undefined): boolean {
    const [input = ''] = node.inputs;
    const [output = ''] = node.outputs;
    const axis = integer(node, 'axis', 0);
    const ordered =
      meaning?.kind !== 'ordered' || meaning.axis === axis || this.#isOldRow(meaning.axis, axis);
    if (meaning?.kind === 'score' || !ordered || integer(node, 'select_last_index', 0) !== 0) return false;
    if (this.#convolved(node, axis)) return true;
    const sizes = this.#constant(`${output} sizes`, BigInt64Array.of(1n, 1n), [2]);
    const halves = [`${output} of 0`, `${output} of 1`];
    this.#nodes.push({
      opType: 'Split',
      name: `halves of ${output}`,
      inputs: [input, sizes],
      outputs: halves,
      attributes: { axis: { int: axis } },
    });
    const keeps = integer(node, 'keepdims', 1) !== 0;
    const score = keeps ? output : `${output} kept`;
    this.#emit('Sub', [halves[1] as string, halves[0] as string], score);
    if (!keeps) {
      const axes = this.#constant(`${output} axes`, BigInt64Array.of(BigInt(axis)), [1]);
      this.#emit('Squeeze', [score, axes], output);
    }
    this.#meanings.set(output, SCORE);
    return true;
  }

  /**
   * The score of two channels of a convolution as a convolution, of the differences of their weights; false
   * where the input is another, or a bias has no exact difference.
   */
  #convolved(node: OnnxNode, axis: number): boolean {
    const [output = ''] = node.outputs;
    let maker: OnnxNode | undefined;
    let dropped = 0;
    for (let name = node.inputs[0]; ; name = maker.inputs[0]) {
      maker = this.#nodes.find(({ outputs }) => outputs[0] === name);
      if (maker === undefined) return false;
      if (maker.opType === 'Gather' || maker.opType === 'Squeeze') dropped++;
      else if (maker.opType !== 'Identity') break;
    }
    const [x = '', weights, biases = ''] = maker.inputs;
    const [w, b] = [this.#known.get(weights ?? ''), this.#known.get(biases)];
    if (maker.opType !== 'Conv' || integer(maker, 'group', 1) !== 1 || w?.shape[0] !== 2) return false;
    if (axis !== 1 - dropped || dropped > 1 || this.#batchOf() !== 1) return false;
    const weight = differences(w);
    const bias = b && differences(b);
    if (bias && bias[0] !== exactDifference(b)) return false;
    const inputs = [x, this.#constant(`${output} weight`, weight, [1, ...w.shape.slice(1)])];
    if (bias) inputs.push(this.#constant(`${output} bias`, bias, [1]));
    const keeps = integer(node, 'keepdims', 1) !== 0;
    const gone = [...(dropped ? [0] : []), ...(keeps ? [] : [1])];
    const made = gone.length > 0 ? `${output} of all axes` : output;
    this.#nodes.push({ ...maker, name: `scores of ${output}`, inputs, outputs: [made] });
    if (gone.length > 0) {
      const axes = this.#constant(`${output} gone`, BigInt64Array.from(gone, BigInt), [gone.length]);
      this.#emit('Squeeze', [made, axes], output);
    }
    this.#meanings.set(output, SCORE);
    return true;
  }

  /** The input's first extent. */
  readonly #batchOf = (): unknown => this.whole.inputs.find(({ name }) => !this.#known.has(name))?.shape?.[0];

  /** Whether all along an axis were of one distribution in the old sense. */
  readonly #isOldRow = (from: number, axis: number): boolean =>
    this.whole.opset < 13 && from >= 0 && axis >= from;

  #oneHot(node: OnnxNode): boolean {
    const [score = '', depth, values] = node.inputs;
    const numbers = (name: string | undefined) =>
      Array.from((this.#known.get(name ?? '')?.data ?? []) as ArrayLike<number | bigint>, Number).join();
    if (numbers(depth) !== '2' || numbers(values) !== '0,1') return false;
    this.#meanings.set(node.outputs[0] ?? '', { kind: 'hot', score, axis: integer(node, 'axis', -1) });
    return true;
  }

  /** The axis of the classes moved, or one class of them: a score. */
  #passHot(node: OnnxNode, { score, axis }: Extract<Meaning, { kind: 'hot' }>): boolean {
    const { opType, inputs, outputs, attributes } = node;
    const [output = ''] = outputs;
    if (opType === 'Transpose') {
      const order = attributes.perm && 'ints' in attributes.perm ? attributes.perm.ints : [];
      const classes = axis < 0 ? axis + order.length : axis;
      const others = order.filter((from) => from !== classes);
      if (order.length === 0 || others.some((from, k) => k > 0 && from < (others[k - 1] as number)))
        return false;
      this.#meanings.set(output, { kind: 'hot', score, axis: order.indexOf(classes) });
      return true;
    }
    const index = this.#known.get(inputs[1] ?? '');
    if (opType !== 'Gather' || integer(node, 'axis', 0) !== axis || index?.shape.length !== 0) return false;
    const chosen = Number(index.data[0]);
    if (chosen !== 0 && chosen !== 1) return false;
    this.#emit(chosen === 1 ? 'Identity' : 'Neg', [score], output);
    this.#meanings.set(output, SCORE);
    return true;
  }

  #equal(node: OnnxNode, meanings: readonly (Meaning | undefined)[]): boolean {
    const kinds = meanings.map((meaning) => meaning?.kind);
    if (!kinds.includes('score')) {
      this.#nodes.push(node);
      return true;
    }
    if (!kinds.includes('part')) return false;
    const [score, mask] = kinds[0] === 'score' ? node.inputs : [...node.inputs].reverse();
    const [output = ''] = node.outputs;
    const [two, one] = [this.#number(`${output} two`, 2), this.#number(`${output} one`, 1)];
    const double = this.#emit('Mul', [mask as string, two], `${output} double`);
    const sign = this.#emit('Sub', [double, one], `${output} sign`);
    this.#emit('Mul', [score as string, sign], output);
    this.#meanings.set(output, SCORE);
    return true;
  }

  #sum(node: OnnxNode): boolean {
    const [input = '', ...axes] = node.inputs;
    const [output = ''] = node.outputs;
    this.#meanings.set(output, { kind: 'count' });
    const factor = (this.side === 'below' ? 1 : -1) / STEP;
    const scaled = this.#emit('Mul', [input, this.#number(`${output} steps`, factor)], `${output} scaled`);
    const [low, high] = [this.#number(`${output} low`, 0), this.#number(`${output} high`, 1)];
    let each = this.#emit('Clip', [scaled, low, high], `${output} clipped`);
    if (this.side === 'above') each = this.#emit('Sub', [high, each], `${output} turned`);
    this.#nodes.push({ ...node, inputs: [each, ...axes] });
    return true;
  }
}

/** The second half of a tensor less the first, each rounded once. */
function differences({ data }: OnnxTensor): Float64Array {
  const half = data.length / 2;
  return Float64Array.from({ length: half }, (_, i) => Number(data[half + i]) - Number(data[i]));
}

/** b_1 − b_0 where float64 holds it; else NaN. */
function exactDifference({ data }: OnnxTensor): number {
  const [a, b] = [Number(data[1]), Number(data[0])];
  const difference = a - b;
  const back = difference - a;
  return a - (difference - back) - (b + back) === 0 ? difference : Number.NaN;
}
