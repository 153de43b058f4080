/**
 * What happens to a graph between differentiation and encoding: equal nodes become one, zero rows are made
 * where they are cheapest.
 */
import { isCustomGradient } from './operators/custom-gradient.js';
import {
  gatherAxis,
  gatherRows,
  gatherTable,
  isGatherRows,
  isScatterRows,
  scatterAsGathers,
  withZeroRow,
} from './operators/indexing.js';
import { isReshape, pad, reshape } from './operators/layout.js';
import { constantData, isConstant, isInput } from './operators/leaves.js';
import { isGemm } from './operators/matrix.js';
import { isStopGradient } from './operators/stop-gradient.js';
import { remembered } from './remembered.js';
import { sha1 } from './sha1.js';
import { type Attributes, apply, type Tensor, topologicalOrder } from './tensor.js';

const contents = remembered<ArrayBufferView, string>();
const contentKey = (data: ArrayBufferView): string => contents(data, 'sha1', () => sha1(data));
const attributesKey = (attributes: Attributes): string =>
  JSON.stringify(attributes, (_, value) => (ArrayBuffer.isView(value) ? contentKey(value) : value));

interface ZeroRow {
  readonly padded: Tensor;
  readonly zeroRow: number;
}

/** `x` with at least one row of zeros behind its rows, and the number of the first of them. */
function withZeros(x: Tensor, axis: 0 | 1, memo: Map<Tensor, ZeroRow>): ZeroRow {
  const known = memo.get(x);
  if (known) return known;
  const rows = x.shape[axis] as number;
  const product = isReshape(x) ? (x.inputs[0] as Tensor) : x;
  let result: ZeroRow;
  if (
    axis === 0 &&
    isGemm(product) &&
    product.inputs.length === 2 &&
    rows % (product.shape[0] as number) === 0
  ) {
    // A zero row of the left factor costs next to nothing; one behind the product would copy all of it.
    const [a, b] = product.inputs as [Tensor, Tensor];
    const widened = pad(a, product.attributes.transA ? 1 : 0, 0, 1);
    const taller = { ...product, inputs: [widened, b] };
    const { shape } = product.operator.infer(taller.inputs, product.attributes);
    const perRow = rows / (product.shape[0] as number);
    const node: Tensor = { ...taller, shape, id: product.id };
    result = { padded: reshape(node, [rows + perRow, ...x.shape.slice(1)]), zeroRow: rows };
  } else result = { padded: pad(x, axis, 0, 1), zeroRow: rows };
  memo.set(x, result);
  return result;
}

/** Every ScatterRows replaced by gathers. */
function lowerScatters(outputs: readonly Tensor[]): Tensor[] {
  const replaced = new Map<Tensor, Tensor>();
  for (const node of topologicalOrder(outputs)) {
    const inputs = node.inputs.map((x) => replaced.get(x) as Tensor);
    const same = inputs.every((x, i) => x === node.inputs[i]);
    const next = same ? node : apply(node.operator, inputs, node.attributes);
    replaced.set(node, isScatterRows(next) ? scatterAsGathers(next) : next);
  }
  return outputs.map((output) => replaced.get(output) as Tensor);
}

/**
 * The same outputs with common subexpressions merged; nodes that no output needs are gone because nothing
 * refers to them.
 */
export function simplify(outputs: readonly Tensor[]): Tensor[] {
  const canonical = new Map<string, Tensor>();
  const rebuilt = new Map<Tensor, Tensor>();
  const zeroRows = [0, 1].map(() => new Map<Tensor, ZeroRow>()) as [
    Map<Tensor, ZeroRow>,
    Map<Tensor, ZeroRow>,
  ];
  const unify = (node: Tensor): Tensor => {
    const key = isConstant(node)
      ? `const ${node.dtype} ${node.shape.join()} ${contentKey(constantData(node))}`
      : `${node.operator.name} ${node.dtype} ${node.shape.join()} ${attributesKey(node.attributes)} ` +
        `${node.inputs.map((x) => x.id).join()}`;
    const known = canonical.get(key);
    if (known) return known;
    canonical.set(key, node);
    return node;
  };
  let id = 0;
  const fresh = (node: Tensor, inputs: readonly Tensor[]): Tensor => unify({ ...node, inputs, id: id++ });
  const rebuild = (node: Tensor): Tensor => {
    const known = rebuilt.get(node);
    if (known) return known;
    const made =
      isInput(node) || isConstant(node)
        ? fresh(node, [])
        : isStopGradient(node) || isCustomGradient(node)
          ? rebuild(node.inputs[0] as Tensor)
          : fresh(node, node.inputs.map(rebuild));
    rebuilt.set(node, made);
    return made;
  };
  const lowered = lowerScatters(outputs);
  const order = topologicalOrder(lowered);
  // All selections from one source share its zero row, so that the source is not computed twice.
  const wantZeros = new Set(
    order
      .filter((node) => isGatherRows(node) && gatherTable(node).includes(-1))
      .map((node) => node.inputs[0] as Tensor),
  );
  for (const node of order) {
    if (isGatherRows(node) && wantZeros.has(node.inputs[0] as Tensor)) {
      const axis = gatherAxis(node);
      const { padded, zeroRow } = withZeros(node.inputs[0] as Tensor, axis, zeroRows[axis]);
      rebuilt.set(node, rebuild(gatherRows(padded, withZeroRow(gatherTable(node), zeroRow), axis)));
    } else rebuild(node);
  }
  return lowered.map(rebuild);
}
