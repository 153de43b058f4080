/** One compiled program in the calling thread. `run` blocks that thread while it computes, although it returns a promise. */
import './telemetry.js';

import ort from 'onnxruntime-node';
import type { EncodedProgram } from '../graph/encode.js';
import { type DType, type HostData, hostArray, type Shape, sizeOf } from '../graph/tensor.js';

export type Feeds = Readonly<Record<string, HostData>>;

export interface Session {
  /**
   * Outputs by name. They are the session's own arrays, overwritten by its next run: copy what is to be kept. Those named in `into` are
   * written there instead; where the same array is fed to an input, the program updates it in place.
   */
  run(feeds: Feeds, into?: Feeds): Promise<Record<string, HostData>>;
  close(): Promise<void>;
}

const OPTIONS: ort.InferenceSession.SessionOptions = {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableCpuMemArena: true,
  enableMemPattern: true,
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
};

/**
 * The runtime's extended fusions keep scale factors as float32 attributes (x · 0.3 before a product becomes alpha = 0.3f), which costs
 * float64 programs nine of their sixteen digits. They get the basic level, which only folds constants and removes redundant nodes.
 */
const DOUBLE_OPTIONS: ort.InferenceSession.SessionOptions = { ...OPTIONS, graphOptimizationLevel: 'basic' };

const asOrt = (data: HostData, dtype: DType, shape: Shape): ort.Tensor => new ort.Tensor(dtype as 'float32', data as Float32Array, [...shape]);

/** Opens a program on one thread (so that results are bitwise reproducible). */
export async function openSession(program: EncodedProgram): Promise<Session> {
  const double = [...program.inputs, ...program.outputs].some(({ dtype }) => dtype === 'float64');
  const session = await ort.InferenceSession.create(program.bytes.slice(), double ? DOUBLE_OPTIONS : OPTIONS);
  // Outputs that the runtime allocates are freed by the garbage collector, which does not know their size: memory would grow
  // without bound, and every run would touch fresh pages.
  const outputs: Record<string, HostData> = {};
  const fetches: Record<string, ort.Tensor> = {};
  for (const { name, shape, dtype } of program.outputs) {
    outputs[name] = hostArray(dtype, sizeOf(shape));
    fetches[name] = asOrt(outputs[name] as HostData, dtype, shape);
  }
  return {
    async run(feeds, into = {}) {
      const tensors: Record<string, ort.Tensor> = {};
      for (const { name, shape, dtype } of program.inputs) {
        const data = feeds[name];
        const size = sizeOf(shape);
        if (data === undefined || data.length !== size)
          throw new Error(`program: input ${name} expects [${shape.join(',')}] ${dtype}, got ${data === undefined ? 'nothing' : `${data.length} values`}`);
        tensors[name] = asOrt(data, dtype, shape);
      }
      const redirected = program.outputs.filter(({ name }) => into[name] !== undefined);
      if (redirected.length === 0) await session.run(tensors, fetches);
      else {
        const elsewhere = redirected.map(({ name, shape, dtype }) => [name, asOrt(into[name] as HostData, dtype, shape)]);
        await session.run(tensors, { ...fetches, ...Object.fromEntries(elsewhere) });
      }
      return { ...outputs, ...into };
    },
    close: () => session.release(),
  };
}
