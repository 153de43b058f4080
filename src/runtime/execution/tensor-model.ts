/**
 * An ONNX file with several inputs and outputs, run as it is; values inside its graph may be asked for as
 * outputs, too.
 */
import '../device/telemetry.js';

import ort from 'onnxruntime-node';
import { FormatError } from '../../formats/format-error.js';
import { withOutputs } from '../../formats/onnx.js';
import { notRun, openSession } from './model.js';

/** An input, with the extents that it is given. */
export interface InputTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A value of the graph that is asked for; real is float32 or float64. */
export interface ResultTensor {
  readonly name: string;
  readonly elements: number;
  readonly type: 'float32' | 'float64' | 'real';
}

export interface TensorModel {
  /** Flat values of all outputs that were asked for, of flat values of all inputs. */
  run(inputs: readonly ArrayLike<number>[]): Promise<readonly (Float32Array | Float64Array)[]>;
  close(): Promise<void>;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * Opens the bytes of an ONNX file, gzip-compressed or not, on one thread.
 * @param inputs all inputs of the file
 * @param outputs values of the graph, those inside it included
 * @param source what errors call the bytes, normally the file's path
 * @throws FormatError if ONNX Runtime cannot run it, or if a value is not of this type or size
 */
export async function openTensorModel(
  bytes: Uint8Array,
  inputs: readonly InputTensor[],
  outputs: readonly ResultTensor[],
  source = 'ONNX model',
): Promise<TensorModel> {
  const plain = await openSession(withOutputs(bytes, [], source), source);
  const inside = outputs.map(({ name }) => name).filter((name) => !plain.outputNames.includes(name));
  const session = inside.length === 0 ? plain : await withInside(plain, bytes, [...new Set(inside)], source);
  try {
    const run: TensorModel['run'] = async (values) => {
      const results = await session.run(feedsOf(session, inputs, values, source));
      return outputs.map(({ name, elements, type: wanted }) => {
        const { data, type } = results[name] as ort.Tensor;
        const fits = data instanceof Float32Array || data instanceof Float64Array;
        if (!fits || (wanted !== 'real' && wanted !== type))
          throw new FormatError(
            `${source}: expected ${name} to be ${wanted === 'real' ? 'float32 or float64' : wanted}, got ` +
              `${type}; declare its own type, or real`,
          );
        if (data.length !== elements)
          throw new FormatError(`${source}: expected ${elements} values of ${name}, got ${data.length}`);
        return data;
      });
    };
    // A file that fails only when it runs is refused now and not after hours of search.
    await run(inputs.map(({ shape }) => new Float32Array(sizeOf(shape)))).catch((error: unknown) => {
      throw error instanceof FormatError ? error : notRun(error, source);
    });
    return { run, close: () => session.release() };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** A session of the same file with values inside it as outputs. */
async function withInside(
  plain: ort.InferenceSession,
  bytes: Uint8Array,
  names: readonly string[],
  source: string,
): Promise<ort.InferenceSession> {
  await plain.release();
  return openSession(withOutputs(bytes, names, source), source);
}

function feedsOf(
  session: ort.InferenceSession,
  inputs: readonly InputTensor[],
  values: readonly ArrayLike<number>[],
  source: string,
): Record<string, ort.Tensor> {
  const feeds: Record<string, ort.Tensor> = {};
  inputs.forEach(({ name, shape }, k) => {
    const described = session.inputMetadata.find((input) => input.name === name);
    const type = described?.isTensor ? described.type : 'none';
    if (type !== 'float32' && type !== 'float64')
      throw new FormatError(`${source}: expected the input ${name} to be float32 or float64, got ${type}`);
    const of = type === 'float64' ? Float64Array : Float32Array;
    feeds[name] = new ort.Tensor(type as 'float32', of.from(values[k] ?? []) as Float32Array, [...shape]);
  });
  return feeds;
}
