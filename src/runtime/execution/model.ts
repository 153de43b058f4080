/**
 * Somebody's own ONNX file, run as it is: what a counterexample is checked with, so that it rests on the file
 * and on ONNX Runtime alone and not on our reading of the file.
 */
import '../device/telemetry.js';

import ort from 'onnxruntime-node';
import { FormatError } from '../../formats/format-error.js';
import { gunzipped } from '../../formats/gzip.js';

/** An ONNX file that ONNX Runtime runs as it is. */
export interface Model {
  /** Values of one input and of its output. */
  readonly inputs: number;
  readonly outputs: number;
  /**
   * Flat outputs of one flat input, in the file's order and in its own arithmetic, float32 or float64; calls
   * follow one another.
   */
  run(x: ArrayLike<number>): Promise<Float32Array | Float64Array>;
  close(): Promise<void>;
}

/** Values of one input and one output as the file's reader understands it. */
export interface ModelSizes {
  readonly inputs: number;
  readonly outputs: number;
}

/**
 * Opens the bytes of an ONNX file, gzip-compressed or not, on one thread. Symbolic extents are 1; where the
 * file's batch is fixed above 1 an input is repeated and the first output is given.
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError if ONNX Runtime cannot run it, or if its input or output is not of these sizes
 */
export async function openModel(
  bytes: Uint8Array,
  { inputs, outputs }: ModelSizes,
  source = 'ONNX model',
): Promise<Model> {
  const session = await openSession(gunzipped(bytes, source), source);
  try {
    const { name, type, shape, rows } = inputOf(session, inputs, source);
    const output = onlyOne('output', session.outputNames, source);
    const run = async (x: ArrayLike<number>): Promise<Float32Array | Float64Array> => {
      if (x.length !== inputs)
        throw new RangeError(`${source}: expected an input of ${inputs} values, got ${x.length}`);
      const data = type === 'float64' ? new Float64Array(rows * inputs) : new Float32Array(rows * inputs);
      for (let row = 0; row < rows; row++) data.set(x, row * inputs);
      const result = (
        await session.run({ [name]: new ort.Tensor(type as 'float32', data as Float32Array, shape) })
      )[output];
      const values = numbersOf(result, source);
      if (values.length !== rows * outputs)
        throw new FormatError(
          `${source}: expected an output of ${rows * outputs} values, got ${values.length} ` +
            `(${result?.dims.join('×')})`,
        );
      return values.slice(0, outputs);
    };
    // A file that fails only when it runs is refused now and not after hours of search.
    await run(new Float32Array(inputs)).catch((error: unknown) => {
      throw error instanceof FormatError ? error : notRun(error, source);
    });
    return { inputs, outputs, run, close: () => session.release() };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** What ONNX Runtime says against a model. */
export const notRun = (error: unknown, source: string): FormatError =>
  new FormatError(
    `${source}: expected a model that ONNX Runtime can run, it says: ` +
      `${(error as Error).message.split('\n')[0]}`,
    { cause: error },
  );

/** A session of one thread. @throws FormatError if ONNX Runtime does not take the model */
export async function openSession(bytes: Uint8Array, source: string): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(bytes, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 4,
    });
  } catch (error) {
    throw notRun(error, source);
  }
}

/** An output's values; whole numbers and truth values as float64. */
function numbersOf(result: ort.Tensor | undefined, source: string): Float32Array | Float64Array {
  const data = result?.data;
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  const whole = data instanceof BigInt64Array || data instanceof Int32Array || data instanceof Uint8Array;
  if (whole && result?.type !== 'float16') return Float64Array.from(data as ArrayLike<number>, Number);
  throw new FormatError(
    `${source}: expected an output of float32, float64, int64, int32, uint8 or bool, got ` +
      `${result?.type ?? 'none'}`,
  );
}

function onlyOne<T>(what: string, values: readonly T[], source: string): T {
  if (values.length !== 1)
    throw new FormatError(`${source}: expected a model with one ${what}, got ${values.length}`);
  return values[0] as T;
}

/** The model's input: its extents, symbolic ones as 1, hold `rows` inputs of `size` values. */
function inputOf(
  session: ort.InferenceSession,
  size: number,
  source: string,
): { name: string; type: 'float32' | 'float64'; shape: number[]; rows: number } {
  const described = onlyOne('input', session.inputMetadata, source);
  if (!described.isTensor || (described.type !== 'float32' && described.type !== 'float64'))
    throw new FormatError(
      `${source}: expected a float32 or float64 input, got ` +
        `${described.isTensor ? described.type : 'no tensor'}`,
    );
  const shape = described.shape.map((extent) => (typeof extent === 'number' && extent > 0 ? extent : 1));
  const rows = shape.reduce((product, extent) => product * extent, 1) / size;
  if (!Number.isInteger(rows))
    throw new FormatError(`${source}: expected an input of ${size} values, got ${described.shape.join('×')}`);
  return { name: described.name, type: described.type, shape, rows };
}
