/**
 * Checkpoints: the state of a run as plain data in one safetensors file.
 *
 * Typed arrays are tensors of the file; everything else is JSON in its metadata, in which an array is a
 * reference to its tensor. A SHA-256 digest over both shows a torn or damaged file for what it is. All values
 * come back exactly, −0, NaN and infinities included.
 */
import { createHash, type Hash } from 'node:crypto';
import { decodeSafetensors, encodeSafetensors, type SafetensorsArray } from '../../formats/safetensors.js';
import { Failure } from '../errors.js';

export type CheckpointArray = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;
/**
 * What a checkpoint may hold. Typed arrays are compared and copied by value; two references to one array
 * become two arrays.
 */
export type CheckpointValue =
  | null
  | undefined
  | boolean
  | number
  | string
  | CheckpointArray
  | readonly CheckpointValue[]
  | { readonly [key: string]: CheckpointValue };

/** Version of the encoding, so that a later one can be told apart. */
const ENCODING = '1';

/**
 * The bytes of a checkpoint. Any value is taken, as the states of estimators and update rules are of types of
 * their own, and checked here.
 * @param value a CheckpointValue
 * @throws TypeError naming the place of a value that cannot be saved (a function, a class instance, …)
 */
export function encodeCheckpoint(value: unknown): Uint8Array {
  const tensors: Record<string, SafetensorsArray> = {};
  const state = JSON.stringify(toJson(value, '', tensors));
  return encodeSafetensors(tensors, { checkpoint: ENCODING, state, sha256: digest(state, tensors) });
}

/** A whole checkpoint that another version wrote: no older one stands in for it. */
export class ForeignCheckpoint extends Failure {}

/**
 * The value of a checkpoint's bytes.
 * @param source what errors call the bytes, normally the path
 * @throws Failure, in one line, for bytes that are torn, damaged or no checkpoint
 */
export function decodeCheckpoint(bytes: Uint8Array, source = 'checkpoint'): CheckpointValue {
  const damaged = (reason: string, cause?: unknown) =>
    new Failure(`${source}: expected a whole checkpoint, got a damaged one (${reason})`, { cause });
  let decoded: ReturnType<typeof decodeSafetensors>;
  try {
    decoded = decodeSafetensors(bytes, source);
  } catch (error) {
    throw damaged(error instanceof Error ? error.message.replace(`${source}: `, '') : String(error), error);
  }
  const { checkpoint, state, sha256 } = decoded.metadata;
  if (checkpoint === undefined || state === undefined)
    throw new Failure(`${source}: expected a checkpoint of a run, got other tensors; check the path`);
  if (checkpoint !== ENCODING)
    throw new ForeignCheckpoint(
      `${source}: expected checkpoint encoding ${ENCODING}, got ${checkpoint}; read it with the version ` +
        'that wrote it',
    );
  if (digest(state, decoded.tensors) !== sha256) throw damaged('its digest does not fit its content');
  return fromJson(JSON.parse(state), decoded.tensors);
}

function digest(state: string, tensors: Readonly<Record<string, SafetensorsArray>>): string {
  const hash: Hash = createHash('sha256').update(state);
  for (const name of Object.keys(tensors).sort()) {
    const { dtype, shape, data } = tensors[name] as SafetensorsArray;
    hash
      .update(`\0${name}\0${dtype}\0${shape.join(',')}\0`)
      .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

/**
 * Marks an object of the JSON that stands for something JSON has not; keys that begin with it get a second
 * one.
 */
const MARK = '$';

function toJson(value: unknown, path: string, tensors: Record<string, SafetensorsArray>): unknown {
  if (value === undefined) return { $number: 'undefined' };
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { $number: Object.is(value, -0) ? '-0' : String(value) };
  if (Array.isArray(value)) return value.map((item, i) => toJson(item, `${path}/${i}`, tensors));
  if (ArrayBuffer.isView(value)) {
    // Numbered, because a path may be any text, a reserved name too.
    const name = `${Object.keys(tensors).length}${path}`;
    tensors[name] = toTensor(value as CheckpointArray, path);
    return { $array: name, ...(value instanceof Uint32Array ? { $as: 'uint32' } : {}) };
  }
  if (
    typeof value !== 'object' ||
    (Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null)
  ) {
    throw new TypeError(
      `checkpoint${path}: expected plain data or a typed array, got ` +
        `${typeof value === 'object' ? value.constructor?.name : typeof value}`,
    );
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.startsWith(MARK) ? MARK + key : key,
      toJson(item, `${path}/${key}`, tensors),
    ]),
  );
}

function toTensor(data: CheckpointArray, path: string): SafetensorsArray {
  const shape = [data.length];
  if (data instanceof Float32Array) return { dtype: 'float32', shape, data };
  if (data instanceof Float64Array) return { dtype: 'float64', shape, data };
  if (data instanceof Int32Array) return { dtype: 'int32', shape, data };
  if (data instanceof Uint32Array)
    return { dtype: 'int32', shape, data: new Int32Array(data.buffer, data.byteOffset, data.length) };
  if (data instanceof Uint8Array) return { dtype: 'uint8', shape, data };
  throw new TypeError(
    `checkpoint${path}: expected a Float32, Float64, Int32, Uint32 or Uint8 array, got ` +
      `${(data as object).constructor.name}`,
  );
}

const NUMBERS: Readonly<Record<string, number | undefined>> = {
  '-0': -0,
  NaN: Number.NaN,
  Infinity: Infinity,
  '-Infinity': -Infinity,
  undefined: undefined,
};

function fromJson(json: unknown, tensors: Readonly<Record<string, SafetensorsArray>>): CheckpointValue {
  if (json === null || typeof json !== 'object') return json as CheckpointValue;
  if (Array.isArray(json)) return json.map((item) => fromJson(item, tensors));
  const { $number, $array, $as } = json as { $number?: string; $array?: string; $as?: string };
  if ($number !== undefined) return NUMBERS[$number];
  if ($array !== undefined) {
    const { data } = tensors[$array] as SafetensorsArray;
    return (
      $as === 'uint32' ? new Uint32Array(data.buffer, data.byteOffset, data.length) : data
    ) as CheckpointArray;
  }
  return Object.fromEntries(
    Object.entries(json).map(([key, item]) => [
      key.startsWith(MARK) ? key.slice(1) : key,
      fromJson(item, tensors),
    ]),
  );
}
