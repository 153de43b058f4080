/**
 * Several ONNX models as one: the product network, from all free inputs side by side to all their outputs.
 *
 *   z ↦ (f(z_F), g(z_G), …)
 *
 * Models may share inputs, read outputs of one another, and have values inside them among the outputs; one
 * that is given the same inputs twice stands there once, so that its outputs are the same variables. The
 * graph is put together from theirs with Gather, Reshape and Concat alone, which compute nothing: the product
 * is exactly the models, in real numbers and in floats.
 */
import type { OnnxModel, OnnxNode, OnnxTensor } from '../../formats/onnx.js';

/** A model and what it reads and gives. */
export interface ProductPart {
  /** Of the network; names of its values begin with it. */
  readonly name: string;
  /** One object where parts are the same model, whose constants they share then. */
  readonly model: OnnxModel;
  /** Inputs of the model, with the extents that they are given. */
  readonly inputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** For each element of its inputs in turn what it is: free input k, k, or result j, −1 − j. */
  readonly of: ArrayLike<number>;
  /** Values that are results, and the number of the first element of each. */
  readonly results: readonly { readonly name: string; readonly elements: number; readonly first: number }[];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const integers = (name: string, values: readonly number[]): OnnxTensor => ({
  name,
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});

/**
 * The product of models, from `x` [1, inputs] to `y` [1, results].
 * @param parts each after those whose results it reads
 * @param inputs how many free inputs there are
 * @param type element type of all of them, FLOAT or DOUBLE
 */
export function productModel(parts: readonly ProductPart[], inputs: number, type: string): OnnxModel {
  const first = (parts[0] as ProductPart).model;
  const graph = new ProductGraph(inputs);
  for (const part of parts) graph.add(part);
  return {
    ...first,
    metadata: {},
    name: parts.map(({ name }) => name).join(' × '),
    inputs: [{ name: 'x', type, shape: [1, inputs] }],
    outputs: [{ name: 'y', type }],
    nodes: graph.finished(),
    initializers: graph.constants,
  };
}

/** A value [1, elements] that holds variables: the free inputs, or one result. */
interface Segment {
  readonly value: string;
  /** Number of its first element among the results; undefined for the free inputs. */
  readonly first?: number;
  readonly elements: number;
}

/** Place of a variable in a segment, or −1. */
function placeIn({ first, elements }: Segment, variable: number): number {
  if (first === undefined) return Math.max(variable, -1);
  const place = -1 - variable - first;
  return place >= 0 && place < elements ? place : -1;
}

/** Whether two parts are one model with the same inputs. */
const isSame = (a: ProductPart, b: ProductPart): boolean =>
  a.model === b.model &&
  a.of.length === b.of.length &&
  Array.from(a.of).every((variable, i) => variable === b.of[i]) &&
  a.inputs.every(({ name }, k) => name === b.inputs[k]?.name);

class ProductGraph {
  readonly constants: OnnxTensor[] = [];
  readonly #nodes: OnnxNode[] = [];
  readonly #results: Required<Segment>[] = [];
  /** Names that a model's constants have here. */
  readonly #shared = new Map<OnnxModel, ReadonlyMap<string, string>>();
  readonly #added: ProductPart[] = [];

  constructor(readonly inputs: number) {}

  add(part: ProductPart): void {
    const { results } = part;
    const twin = this.#added.find((other) => isSame(part, other));
    if (twin === undefined) this.#addGraph(part);
    this.#added.push(twin ?? part);
    const named = this.#naming(twin ?? part);
    for (const { name: value, elements, first } of results) {
      const flat = `result ${first}`;
      this.#reshape(named(value), flat, [1, elements]);
      this.#results.push({ value: flat, first, elements });
    }
  }

  /** Names of a part's values here. */
  #naming(part: ProductPart): (value: string) => string {
    const known = this.#constantsOf(part);
    return (value) => (value === '' ? '' : (known.get(value) ?? `${part.name}/${value}`));
  }

  #addGraph(part: ProductPart): void {
    const { name, model, inputs } = part;
    const named = this.#naming(part);
    let start = 0;
    for (const input of inputs) {
      const elements = sizeOf(input.shape);
      const of = Array.from({ length: elements }, (_, i) => part.of[start + i] as number);
      start += elements;
      this.#reshape(this.#selected(of, `${name}/${input.name}`), named(input.name), input.shape);
    }
    for (const node of model.nodes)
      this.#nodes.push({
        ...node,
        name: `${name}/${node.name ?? ''}`,
        inputs: node.inputs.map(named),
        outputs: node.outputs.map(named),
      });
  }

  /** All results in their order as the output. */
  finished(): OnnxNode[] {
    const values = [...this.#results].sort((a, b) => a.first - b.first).map(({ value }) => value);
    this.#node(values.length === 1 ? 'Identity' : 'Concat', values, 'y');
    return this.#nodes;
  }

  #constantsOf({ name, model }: ProductPart): ReadonlyMap<string, string> {
    const known = this.#shared.get(model);
    if (known !== undefined) return known;
    const names = new Map(model.initializers.map((tensor) => [tensor.name, `${name}/${tensor.name}`]));
    this.#shared.set(model, names);
    for (const tensor of model.initializers)
      this.constants.push({ ...tensor, name: names.get(tensor.name) as string });
    return names;
  }

  /** Values [1, n] that are these variables, in their order. */
  #selected(of: readonly number[], label: string): string {
    const all: Segment[] = [{ value: 'x', elements: this.inputs }, ...this.#results];
    const needed = all.filter((segment) => of.some((variable) => placeIn(segment, variable) >= 0));
    const offsets = needed.map((_, k) => needed.slice(0, k).reduce((sum, { elements }) => sum + elements, 0));
    const table = of.map((variable) => {
      const k = needed.findIndex((segment) => placeIn(segment, variable) >= 0);
      const segment = needed[k];
      if (segment === undefined) throw new RangeError(`product: nothing gives variable ${variable}`);
      return (offsets[k] as number) + placeIn(segment, variable);
    });
    const total = needed.reduce((sum, { elements }) => sum + elements, 0);
    const values = needed.map(({ value }) => value);
    let pool = values[0] as string;
    if (values.length > 1) {
      pool = `all of ${label}`;
      this.#node('Concat', values, pool);
    }
    if (table.length === total && table.every((at, i) => at === i)) return pool;
    const chosen = `flat ${label}`;
    this.constants.push(integers(`places of ${label}`, table));
    this.#node('Gather', [pool, `places of ${label}`], chosen);
    return chosen;
  }

  #reshape(from: string, to: string, shape: readonly number[]): void {
    this.constants.push(integers(`extents of ${to}`, shape));
    this.#nodes.push({
      opType: 'Reshape',
      name: `to ${to}`,
      inputs: [from, `extents of ${to}`],
      outputs: [to],
      attributes: {},
    });
  }

  #node(opType: string, inputs: readonly string[], output: string): void {
    const attributes: OnnxNode['attributes'] = opType === 'Identity' ? {} : { axis: { int: 1 } };
    this.#nodes.push({ opType, name: `to ${output}`, inputs, outputs: [output], attributes });
  }
}
