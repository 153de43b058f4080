/**
 * Concat, of activations and constants: a view where all come from one node, else the sum of their selections
 * with zeros elsewhere.
 */
import { batchAxisOf, sameType } from './arrangement.js';
import { type Activation, append, type Constant, extentsOf, sizeOf, type Value } from './draft.js';
import {
  axisOf,
  type Call,
  checkExtents,
  describeValue,
  fileShape,
  floats,
  imageShape,
  integer,
  type OperatorReader,
  refuse,
} from './operator.js';
import { LARGEST_TABLE } from './spatial.js';
import { materialized, through } from './view.js';

/**
 * For each part the table [whole] of the entry of it that each entry of the whole is, −1 for another part's.
 */
function placesOf(
  parts: readonly (readonly number[])[],
  shape: readonly number[],
  axis: number,
): Int32Array[] {
  const inner = sizeOf(shape.slice(axis + 1));
  const row = (shape[axis] as number) * inner;
  let start = 0;
  return parts.map((part) => {
    const size = (part[axis] as number) * inner;
    const offset = start;
    start += size;
    return Int32Array.from({ length: sizeOf(shape) }, (_, i) => {
      const within = (i % row) - offset;
      return within >= 0 && within < size ? Math.floor(i / row) * size + within : -1;
    });
  });
}

function ofConstants(
  values: readonly Constant[],
  shape: readonly number[],
  tables: readonly Int32Array[],
): Constant {
  const first = (values[0] as Constant).tensor.data;
  const out = new Array<number>(sizeOf(shape));
  tables.forEach((table, k) => {
    const { data } = (values[k] as Constant).tensor;
    table.forEach((from, i) => {
      if (from >= 0) out[i] = Number(data[from]);
    });
  });
  return { kind: 'constant', tensor: { name: '', shape, data: sameType(first, out) } };
}

/** Activations by the node that they look at: seen from it, a concatenation of its parts is one table. */
function byNode(
  values: readonly Value[],
  tables: readonly Int32Array[],
): { x: Activation; table: Int32Array; constants: Float64Array }[] {
  const groups: { x: Activation; table: Int32Array; constants: Float64Array }[] = [];
  values.forEach((value, k) => {
    if (value.kind !== 'activation') return;
    const places = tables[k] as Int32Array;
    const view = through(value, places);
    const size = places.length;
    let group = groups.find(({ x }) => x.node === value.node);
    if (group === undefined) {
      group = { x: value, table: new Int32Array(size).fill(-1), constants: new Float64Array(size) };
      groups.push(group);
    }
    for (let i = 0; i < size; i++) {
      if ((places[i] as number) < 0) continue;
      group.table[i] = view ? (view.table[i] as number) : i;
      group.constants[i] = view?.constants?.[i] ?? 0;
    }
  });
  return groups;
}

const concatenation: OperatorReader = {
  attributes: ['axis'],
  read(call: Call) {
    const values = call.inputs.map((value) => value ?? refuse(call, 'inputs', 'one that is left out'));
    const shapes = values.map(fileShape);
    const first = shapes[0] ?? refuse(call, 'an input', 'none');
    const axis = axisOf(call, integer(call, 'axis', 1), first.length);
    const fits = shapes.every(
      (shape) =>
        shape.length === first.length && shape.every((extent, i) => i === axis || extent === first[i]),
    );
    const activations = values.filter((value) => value.kind === 'activation');
    const batch = activations[0] ? batchAxisOf(call, activations[0]) : -1;
    if (
      !fits ||
      batch === axis ||
      activations.some((x) => (call.batch === 1 ? -1 : (x.batchAxis ?? 0)) !== batch)
    )
      refuse(
        call,
        `inputs of one shape but for axis ${axis}, which is not the batch`,
        values.map(describeValue).join(' and '),
      );
    const shape = first.map((extent, i) =>
      i === axis ? shapes.reduce((total, part) => total + (part[axis] as number), 0) : extent,
    );
    if (!(sizeOf(shape) * values.length <= LARGEST_TABLE))
      refuse(
        call,
        `at most ${LARGEST_TABLE} (input, entry) pairs`,
        `${values.length} inputs for [${shape.join(',')}]`,
      );
    const tables = placesOf(shapes, shape, axis);
    if (activations.length === 0) return ofConstants(values as readonly Constant[], shape, tables);
    checkExtents(call, shape);
    const groups = byNode(values, tables);
    const { constants } = groups[0] as { constants: Float64Array };
    values.forEach((value, k) => {
      if (value.kind !== 'constant') return;
      const numbers = floats(call, k).values;
      tables[k]?.forEach((from, i) => {
        if (from >= 0) constants[i] = numbers[from] as number;
      });
    });
    const extents = imageShape(call, shape, batch);
    const parts = groups.map(({ x, table, constants: own }): Activation => {
      const from = x.view?.from ?? sizeOf(x.shape);
      return {
        ...x,
        ...extents,
        exclusive: false,
        view: { from, table, ...(own.some((c) => c !== 0) && { constants: own }) },
      };
    });
    if (parts.length === 1) return parts[0] as Activation;
    const inputs = parts.map((part) => materialized(call.draft, part).node);
    return {
      ...append(call.draft, { kind: 'join', inputs, output: extentsOf(extents.shape) }, extents.shape),
      ...extents,
    };
  },
};

export const concatenationOperators: Readonly<Record<string, OperatorReader>> = { Concat: concatenation };
