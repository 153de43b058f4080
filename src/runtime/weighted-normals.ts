/**
 * Weighted sums of perturbations made on a device from keys and weights: `accumulateNormals` where the programs run.
 *
 * One program serves all: it takes a chunk of members and a chunk of coordinates, so that its memory is bounded whatever θ and the number of
 * members are. A chunk is summed in float32, chunks are added in float64 and in their order.
 */
import { gemm, input, square, sub, type Tensor } from '../graph/index.js';
import type { Executor } from './executor.js';
import { normalsOf } from './normal-graph.js';
import { createPlan, type Plan } from './plan.js';
import type { Key } from './random.js';
import { keyWords } from './threefry-graph.js';

export interface WeightedNormals {
  readonly plan: Plan;
  /** Keys of one run. */
  readonly members: number;
  /** Coordinates of one run, an even number. */
  readonly coordinates: number;
  readonly withSecond: boolean;
}

/** Arrays of [members, coordinates] 32-bit numbers that are alive at once in the program, seven, and one to spare. */
const ALIVE = 8;

/** Most members of one run: of more, float32 sums would lose more than the normals themselves have lost. */
const MEMBERS = 64;

/** Σ_i first[i]·z_i and Σ_i second[i]·(z_i² − 1), [1, size] each, of z [members, size] and weights [1, members]. */
export const weightedSums = (z: Tensor, first: Tensor, second?: Tensor): Record<string, Tensor> => ({
  first: gemm(first, z),
  ...(second === undefined ? {} : { second: gemm(second, sub(square(z), 1)) }),
});

/** The program for `keys` keys and `size` coordinates, in parts that take about `bytes` bytes each. */
export function weightedNormals(keys: number, size: number, { withSecond = false, bytes = 2 ** 28 } = {}): WeightedNormals {
  if (!(keys >= 1 && size >= 1)) throw new RangeError(`weightedNormals: expected keys and coordinates, got ${keys} and ${size}`);
  const members = Math.min(keys, MEMBERS);
  const fitting = 2 * Math.max(1, Math.floor(bytes / (2 * 4 * ALIVE * members)));
  const coordinates = Math.min(fitting, 2 * Math.ceil(size / 2));
  const z = normalsOf(input('keys', [members, 2], 'int32'), coordinates, 0, input('block', [1], 'int32'));
  const weights = (name: string) => input(`${name} weights`, [1, members]);
  const outputs = weightedSums(z, weights('first'), withSecond ? weights('second') : undefined);
  return { plan: createPlan([{ kind: 'whole', outputs }]), members, coordinates, withSecond };
}

/** Rows start … start + count of an array of rows, with zeros behind its end. */
function rows(values: Int32Array, start: number, count: number): Int32Array;
function rows(values: Float32Array, start: number, count: number): Float32Array;
function rows(values: Int32Array | Float32Array, start: number, count: number): Int32Array | Float32Array {
  const out = values instanceof Int32Array ? new Int32Array(count) : new Float32Array(count);
  out.set(values.subarray(start, start + count));
  return out;
}

/**
 * Σ_i first[i]·z(keys[i]) and, if asked, Σ_i second[i]·(z(keys[i])² − 1), for coordinates start … start + size, to float32's rounding.
 * `run` runs plans where they shall run; start is even. Any number of keys and coordinates goes with any program; those that the program
 * was made for waste nothing.
 */
export async function accumulateOnDevice(
  run: Executor['run'],
  program: WeightedNormals,
  keys: readonly Key[],
  first: Float64Array,
  second: Float64Array | undefined,
  start: number,
  size: number,
): Promise<{ first: Float64Array; second?: Float64Array }> {
  const { plan, members, coordinates, withSecond } = program;
  if (first.length !== keys.length || (second !== undefined && second.length !== keys.length))
    throw new RangeError(`accumulateOnDevice: expected ${keys.length} weights, one per key, got ${first.length}${second ? ` and ${second.length}` : ''}`);
  if ((second !== undefined) !== withSecond)
    throw new RangeError(`accumulateOnDevice: expected ${withSecond ? '' : 'no '}second weights, as the program was made for, got ${second ? 'some' : 'none'}`);
  if (start % 2 !== 0 || start < 0 || start + size > 2 ** 33)
    throw new RangeError(`accumulateOnDevice: expected coordinates within 0 … 2³³ from an even one on, got ${size} from ${start}`);
  const words = keyWords(keys);
  const weights = [first, second].map((values) => Float32Array.from(values ?? []));
  const sums = { first: new Float64Array(size), ...(withSecond ? { second: new Float64Array(size) } : {}) };
  for (let from = 0; from < size; from += coordinates) {
    for (let member = 0; member < keys.length; member += members) {
      const feeds = {
        keys: rows(words, 2 * member, 2 * members),
        block: Int32Array.of(((start + from) / 2) | 0),
        'first weights': rows(weights[0] as Float32Array, member, members),
        'second weights': rows(weights[1] as Float32Array, member, members),
      };
      const { outputs } = await run(plan, feeds);
      for (const [name, sum] of Object.entries(sums)) {
        const part = outputs[name] as Float32Array;
        const count = Math.min(coordinates, size - from);
        for (let i = 0; i < count; i++) sum[from + i] = (sum[from + i] as number) + (part[i] as number);
      }
    }
  }
  return sums;
}
