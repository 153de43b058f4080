/**
 * For tests: ONNX files of networks over sets, as MSCN has them (Kipf et al. 2019, arXiv 1809.00677).
 *
 * The input is a table; its rows are the elements of three sets, with a mask in the column behind the
 * features. Each set is averaged, Σ_i m_i h(x_i) / Σ_i m_i, what the averages make is a sigmoid; the dual
 * network is the difference of two tables' outputs.
 */
import fc from 'fast-check';
import type { OnnxModel, OnnxNode, OnnxTensor } from '../formats/onnx.js';
import { normalNumbers } from './numbers.js';
import { integers, model, op } from './onnx-models.js';

export interface SetNetworkShape {
  /** Rows and features of the sets. */
  readonly sets: readonly { readonly rows: number; readonly features: number }[];
  readonly hidden: number;
  readonly dual: boolean;
  /** Of the weights. */
  readonly seed: number;
}

/** Columns of a table. */
export const columnsOf = ({ sets }: SetNetworkShape): number =>
  Math.max(...sets.map(({ features }) => features)) + 1;
/** Rows of one table. */
export const rowsOf = ({ sets }: SetNetworkShape): number => sets.reduce((sum, { rows }) => sum + rows, 0);

/** A network with random weights, `x` [1, rows, columns] → `y` [1, 1]. */
export function setNetwork(shape: SetNetworkShape): OnnxModel {
  const { sets, hidden, dual, seed } = shape;
  const [nodes, constants]: [OnnxNode[], OnnxTensor[]] = [[], []];
  const normals = (name: string, of: readonly number[], scale: number): OnnxTensor => {
    const size = of.reduce((a, b) => a * b, 1);
    const data = Float32Array.from(normalNumbers(`set network ${seed} ${name}`, size), (z) => scale * z);
    return { name, shape: of, data };
  };
  const weights = (name: string, from: number, to: number) =>
    constants.push(normals(`${name} w`, [from, to], 1 / Math.sqrt(from)), normals(`${name} b`, [to], 0.25));
  sets.forEach(({ features }, s) => {
    weights(`set ${s} first`, features, hidden);
    weights(`set ${s} second`, hidden, hidden);
  });
  weights('out first', hidden * sets.length, hidden);
  weights('out second', hidden, 1);
  constants.push(integers('axis 1', [1]));
  const layer = (name: string, from: string, to: string) =>
    nodes.push(
      op('MatMul', [from, `${name} w`], `${to} product`),
      op('Add', [`${to} product`, `${name} b`], to),
    );
  const average = (table: string, s: number, start: number, rows: number, features: number): string => {
    const name = `${table} set ${s}`;
    const at = (what: string) => `${name} ${what}`;
    constants.push(
      integers(
        at('indices'),
        Array.from({ length: rows }, (_, i) => start + i),
      ),
      integers(
        at('columns'),
        Array.from({ length: features }, (_, i) => i),
      ),
      integers(at('mask column'), [features]),
    );
    nodes.push(
      op('Gather', [table, at('indices')], at('rows'), { axis: { int: 1 } }),
      op('Gather', [at('rows'), at('columns')], at('features'), { axis: { int: 2 } }),
      op('Gather', [at('rows'), at('mask column')], at('mask'), { axis: { int: 2 } }),
    );
    layer(`set ${s} first`, at('features'), at('first'));
    nodes.push(op('Relu', [at('first')], at('first relu')));
    layer(`set ${s} second`, at('first relu'), at('second'));
    nodes.push(
      op('Relu', [at('second')], at('second relu')),
      op('Mul', [at('second relu'), at('mask')], at('masked')),
      op('ReduceSum', [at('masked'), 'axis 1'], at('sum'), { keepdims: { int: 0 } }),
      op('ReduceSum', [at('mask'), 'axis 1'], at('count'), { keepdims: { int: 0 } }),
      op('Div', [at('sum'), at('count')], at('mean')),
    );
    return at('mean');
  };
  const estimate = (table: string, to: string): void => {
    let start = 0;
    const means = sets.map(({ rows, features }, s) => {
      start += rows;
      return average(table, s, start - rows, rows, features);
    });
    nodes.push(op('Concat', means, `${table} all`, { axis: { int: 1 } }));
    layer('out first', `${table} all`, `${table} out`);
    nodes.push(op('Relu', [`${table} out`], `${table} out relu`));
    layer('out second', `${table} out relu`, `${table} logit`);
    nodes.push(op('Sigmoid', [`${table} logit`], to));
  };
  const rows = rowsOf(shape);
  if (dual) {
    const run = (start: number) =>
      integers(
        `rows from ${start}`,
        Array.from({ length: rows }, (_, i) => start + i),
      );
    constants.push(run(0), run(rows));
    nodes.push(
      op('Gather', ['x', 'rows from 0'], 'left', { axis: { int: 1 } }),
      op('Gather', ['x', `rows from ${rows}`], 'right', { axis: { int: 1 } }),
    );
    estimate('left', 'left estimate');
    estimate('right', 'right estimate');
    nodes.push(op('Sub', ['left estimate', 'right estimate'], 'y'));
  } else estimate('x', 'y');
  return model({ input: [1, dual ? 2 * rows : rows, columnsOf(shape)], nodes, constants });
}

/** A network over sets, and boxes of its inputs: what they fix and what they leave open. */
export interface SetRecipe {
  readonly shape: SetNetworkShape;
  /** Elements of each set that the mask leaves, for each box. */
  readonly counts: readonly (readonly number[])[];
  /** The set of which one feature of each element varies. */
  readonly open: number;
  readonly width: number;
}

const between = (min: number, max: number) => fc.integer({ min, max });

/** Recipes of small networks. */
export const setRecipes: fc.Arbitrary<SetRecipe> = fc
  .record({
    seed: between(0, 2 ** 30),
    sets: fc.array(fc.record({ rows: between(1, 3), features: between(1, 3) }), {
      minLength: 1,
      maxLength: 3,
    }),
    hidden: between(1, 4),
    dual: fc.boolean(),
    shares: fc.array(fc.array(between(0, 2), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    open: between(0, 2),
    width: between(0, 3).map((n) => 10 ** -n),
  })
  .map(({ seed, sets, hidden, dual, shares, open, width }) => ({
    shape: { sets, hidden, dual, seed },
    counts: shares.map((of) => sets.map(({ rows }, s) => 1 + ((of[s] as number) % rows))),
    open: open % sets.length,
    width,
  }));

/** Box number k of a recipe: fixed decimals, masks of ones and zeros, one interval for each open element. */
export function boxOfSets(recipe: SetRecipe, k: number): { lower: Float64Array; upper: Float64Array } {
  const { shape, counts, open, width } = recipe;
  const [columns, tables] = [columnsOf(shape), shape.dual ? 2 : 1];
  const size = tables * rowsOf(shape) * columns;
  const lower = normalNumbers(`set box ${shape.seed} ${k}`, size).map((z) => Math.round(1000 * z) / 1000);
  const upper = lower.slice();
  let row = 0;
  for (let table = 0; table < tables; table++)
    shape.sets.forEach(({ rows, features }, s) => {
      for (let element = 0; element < rows; element++, row++) {
        const isIn = element < (counts[k]?.[s] as number);
        const at = row * columns;
        lower[at + features] = isIn ? 1 : 0;
        upper[at + features] = isIn ? 1 : 0;
        if (s === open && isIn) upper[at] = (lower[at] as number) + width;
      }
    });
  return { lower, upper };
}
