/**
 * For tests: ONNX files of two-level lattice networks, max over sets of the min over affine functions of
 * each, as linear layers and ReLUs (Ferlez, Shoukry 2020): min(a, b) = (a + b)/2 − |a − b|/2, with a + b and
 * |a − b| as two ReLUs of opposite inputs each.
 */
import type { OnnxModel, OnnxNode, OnnxTensor } from '../formats/onnx.js';
import { normalNumbers, uniformNumbers } from './numbers.js';
import { model, op } from './onnx-models.js';

export interface Lattice {
  /** Slopes [functions][inputs] and offsets of the affine functions. */
  readonly slopes: readonly (readonly number[])[];
  readonly offsets: readonly number[];
  /** Functions of each set. */
  readonly sets: readonly (readonly number[])[];
}

/** Random functions and as many sets, of about half of the functions each; numbers of float32 or float64. */
export function randomLattice(seed: string, functions: number, inputs: number, double = false): Lattice {
  const held = (values: Float64Array) => Array.from(values, (v) => (double ? v : Math.fround(v)));
  const chosen = uniformNumbers(`lattice sets ${seed}`, functions * functions);
  return {
    slopes: Array.from({ length: functions }, (_, i) => held(normalNumbers(`lattice ${seed} ${i}`, inputs))),
    offsets: held(normalNumbers(`lattice offsets ${seed}`, functions)),
    sets: Array.from({ length: functions }, (_, s) => {
      const all = Array.from({ length: functions }, (_, i) => i);
      const some = all.filter((i) => (chosen[s * functions + i] as number) < 0.5);
      return some.length > 0 ? some : [s];
    }),
  };
}

/** What it is at x. */
export function latticeValue({ slopes, offsets, sets }: Lattice, x: readonly number[]): number {
  const at = slopes.map((row, f) =>
    row.reduce((sum, slope, i) => sum + slope * (x[i] as number), offsets[f] as number),
  );
  return Math.max(...sets.map((set) => Math.min(...set.map((f) => at[f] as number))));
}

/** A matrix [rows, columns] by what stands where, zeros elsewhere. */
function sparse(rows: number, columns: number, entries: readonly (readonly [number, number, number])[]) {
  const data = new Float64Array(rows * columns);
  for (const [row, column, value] of entries) data[row * columns + column] = value;
  return { shape: [rows, columns], data };
}

/** `x` [N, inputs] → `y` [N, 1]. */
export function latticeModel({ slopes, offsets, sets }: Lattice, double = false): OnnxModel {
  const [nodes, constants]: [OnnxNode[], OnnxTensor[]] = [[], []];
  const functions = slopes.length;
  const held = (data: ArrayLike<number>) => (double ? Float64Array.from(data) : Float32Array.from(data));
  let at = 'x';
  const layer = ({ shape, data }: ReturnType<typeof sparse>, bias?: readonly number[]): void => {
    const name = `layer ${constants.length}`;
    const width = shape[1] as number;
    constants.push(
      { name: `${name} w`, shape, data: held(data) },
      { name: `${name} b`, shape: [width], data: held(bias ?? new Float64Array(width)) },
    );
    nodes.push(op('MatMul', [at, `${name} w`], `${name} product`));
    nodes.push(op('Add', [`${name} product`, `${name} b`], name));
    at = name;
  };
  const inputs = (slopes[0] as readonly number[]).length;
  const ofSlopes = slopes.flatMap((row, f) => row.map((value, i) => [i, f, value] as const));
  layer(sparse(inputs, functions, ofSlopes), offsets);
  const selected = sets.flatMap((set, s) =>
    slopes.map((_, j) => [set[Math.min(j, set.length - 1)] as number, s * functions + j, 1] as const),
  );
  layer(sparse(functions, functions * sets.length, selected));
  /** Min (sign −1) or max of neighbours of each group, until one is left. */
  const reduce = (groups: number, first: number, sign: 1 | -1): void => {
    for (let size = first; size > 1; size = Math.ceil(size / 2)) {
      const pairs = Array.from({ length: groups * Math.ceil(size / 2) }, (_, p) => {
        const [group, k] = [Math.floor(p / Math.ceil(size / 2)), p % Math.ceil(size / 2)];
        return group * size + Math.min(2 * k, size - 2);
      });
      const signs = [
        [1, 1],
        [-1, -1],
        [-1, 1],
        [1, -1],
      ] as const;
      const compared = pairs.flatMap((a, p) =>
        signs.flatMap(
          ([first, second], r) =>
            [
              [a, 4 * p + r, first],
              [a + 1, 4 * p + r, second],
            ] as const,
        ),
      );
      layer(sparse(groups * size, 4 * pairs.length, compared));
      nodes.push(op('Relu', [at], `${at} relu`));
      at = `${at} relu`;
      const joined = pairs.flatMap((_, p) =>
        [0.5, -0.5, sign / 2, sign / 2].map((value, r) => [4 * p + r, p, value] as const),
      );
      layer(sparse(4 * pairs.length, pairs.length, joined));
    }
  };
  reduce(sets.length, functions, -1);
  reduce(1, sets.length, 1);
  const built = model({ input: ['N', inputs], nodes, constants, double });
  return { ...built, outputs: [{ name: at, type: double ? 'DOUBLE' : 'FLOAT' }] };
}
