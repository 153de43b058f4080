/**
 * One compiled program in the calling thread, on any device. `run` blocks that thread while it computes,
 * although it returns a promise.
 */
import '../device/telemetry.js';

import ort from 'onnxruntime-node';
import type { EncodedProgram } from '../../graph/encode.js';
import { type DType, type HostData, hostArray, type Shape, sizeOf } from '../../graph/tensor.js';
import { type Counters, DeviceArray, WAYS } from '../device/array.js';
import { nanoseconds } from '../device/clock.js';
import {
  type Accelerator,
  acceleratorOptions,
  type Device,
  lowered,
  onDevice,
  refuseReducedPrecision,
} from '../device/device.js';
import { runSession } from '../device/run-session.js';
import type { Feeds, ProgramArrays } from '../plan/run.js';

// Errors of a provider are thrown, and told in one line (`device`); its log would tell them a second time,
// over several.
ort.env.logLevel = 'fatal';

export type { Feeds, ProgramArrays };

export interface Session {
  /**
   * Outputs by name. They are the session's own arrays, overwritten by its next run: copy what is to be kept.
   * Those named in `into` are written there instead; where the same array of the host is fed to an input, the
   * program updates it in place. Outputs that stay on the device are not among what is given back.
   */
  run(feeds: ProgramArrays, into?: ProgramArrays): Promise<Record<string, HostData>>;
  close(): Promise<void>;
}

/** Where sessions run, and what is recorded of them. */
export interface SessionOptions extends Counters {
  /** Where programs run (default cpu); those with a float64 input or output run on the CPU always. */
  readonly device?: Device;
  /**
   * Prefix of the file that ONNX Runtime leaves for each session when it is closed: which provider ran which
   * operator, in JSON.
   */
  readonly profile?: string;
}

const OPTIONS: ort.InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableCpuMemArena: true,
  // From its second run on, a program would otherwise hold its memory twice: what the first run took and a
  // block laid out by its pattern. No slower without.
  enableMemPattern: false,
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
};

/**
 * The runtime's extended fusions keep scale factors as float32 attributes (x · 0.3 before a product becomes
 * alpha = 0.3f), which costs float64 programs nine of their sixteen digits. They get the basic level, which
 * only folds constants and removes redundant nodes.
 */
const DOUBLE_OPTIONS: ort.InferenceSession.SessionOptions = { ...OPTIONS, graphOptimizationLevel: 'basic' };

const asOrt = (data: HostData, dtype: DType, shape: Shape): ort.Tensor =>
  new ort.Tensor(dtype as 'float32', data as Float32Array, [...shape]);

/** The tensor of an input or output; an array on a device has to be on the program's. */
function tensorOf(
  role: 'input' | 'output',
  { name, shape, dtype }: EncodedProgram['inputs'][number],
  data: HostData | DeviceArray | undefined,
  device: Device,
) {
  const size = data instanceof DeviceArray ? data.size : data?.length;
  const fits = size === sizeOf(shape) && !(data instanceof DeviceArray && data.dtype !== dtype);
  if (data === undefined || !fits) {
    const got =
      data === undefined ? 'nothing' : `${size} values${data instanceof DeviceArray ? ` ${data.dtype}` : ''}`;
    throw new Error(`program: ${role} ${name} expects [${shape.join(',')}] ${dtype}, got ${got}`);
  }
  if (!(data instanceof DeviceArray)) return asOrt(data, dtype, shape);
  const tensor = data.tensor(shape);
  if (tensor.location !== 'cpu' && data.device !== device)
    throw new Error(
      `program: ${role} ${name} is kept on ${data.device}, expected it where the program runs, on ${device}`,
    );
  return tensor;
}

/** A device gives no order between what one run reads and what it writes. */
function refuseInPlace(feeds: ProgramArrays, into: ProgramArrays): void {
  const read = new Set(Object.values(feeds).filter((data) => data instanceof DeviceArray));
  const both = Object.entries(into).find(([, data]) => data instanceof DeviceArray && read.has(data));
  if (both !== undefined)
    throw new Error(
      `program: expected output ${both[0]} in another array than those that are read, got one of them; ` +
        'use two in turn',
    );
}

function openOn(
  device: Accelerator,
  program: EncodedProgram,
  options: ort.InferenceSession.SessionOptions,
): Promise<ort.InferenceSession> {
  refuseReducedPrecision();
  return onDevice(device, () =>
    ort.InferenceSession.create(lowered(program, device).bytes.slice(), {
      ...acceleratorOptions(device),
      ...options,
    }),
  );
}

const isDouble = ({ inputs, outputs }: EncodedProgram): boolean =>
  [...inputs, ...outputs].some(({ dtype }) => dtype === 'float64');

/**
 * Opens a program, on one thread so that the CPU's results are bitwise reproducible.
 * @throws DeviceError if the device is not there, would leave operators to the CPU, or cannot go on later
 */
export async function openSession(program: EncodedProgram, options: SessionOptions = {}): Promise<Session> {
  const { device = 'cpu', profile } = options;
  const profiling = profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile };
  const double = isDouble(program);
  if (device !== 'cpu' && !double)
    return new ProgramSession(program, await openOn(device, program, profiling), device, options);
  const session = await ort.InferenceSession.create(program.bytes.slice(), {
    ...(double ? DOUBLE_OPTIONS : OPTIONS),
    ...profiling,
  });
  return new ProgramSession(program, session, 'cpu', options);
}

class ProgramSession implements Session {
  readonly #program: EncodedProgram;
  readonly #session: ort.InferenceSession;
  /** Where the program runs. */
  readonly #device: Device;
  readonly #options: SessionOptions;
  /**
   * Outputs that the runtime allocates are freed by the garbage collector, which does not know their size:
   * memory would grow without bound, and every run would touch fresh pages.
   */
  readonly #outputs: Record<string, HostData> = {};
  readonly #fetches: Record<string, ort.Tensor> = {};

  constructor(
    program: EncodedProgram,
    session: ort.InferenceSession,
    device: Device,
    options: SessionOptions,
  ) {
    this.#program = program;
    this.#session = session;
    this.#device = device;
    this.#options = options;
    for (const { name, shape, dtype } of program.outputs) {
      const output = hostArray(dtype, sizeOf(shape));
      this.#outputs[name] = output;
      this.#fetches[name] = asOrt(output, dtype, shape);
    }
  }

  async run(feeds: ProgramArrays, into: ProgramArrays = {}): Promise<Record<string, HostData>> {
    refuseInPlace(feeds, into);
    const { inputs, outputs } = this.#program;
    const tensors = Object.fromEntries(
      inputs.map((input) => [input.name, tensorOf('input', input, feeds[input.name], this.#device)]),
    );
    const fetches = { ...this.#fetches };
    for (const output of outputs)
      if (into[output.name] !== undefined)
        fetches[output.name] = tensorOf('output', output, into[output.name], this.#device);
    await this.#compute(tensors, fetches);
    const results: Record<string, HostData> = {};
    for (const [name, data] of Object.entries({ ...this.#outputs, ...into }))
      if (!(data instanceof DeviceArray)) results[name] = data;
    const read = inputs.map(({ name }) => feeds[name]);
    this.#count('up', read);
    this.#count('down', Object.values(results));
    return results;
  }

  close(): Promise<void> {
    if (this.#options.profile !== undefined) this.#session.endProfiling();
    return this.#session.release();
  }

  #compute(feeds: Record<string, ort.Tensor>, fetches: Record<string, ort.Tensor>): Promise<void> {
    return this.#device === 'cpu'
      ? this.#runTimed(feeds, fetches)
      : onDevice(this.#device, () => this.#runTimed(feeds, fetches));
  }

  async #runTimed(feeds: Record<string, ort.Tensor>, fetches: Record<string, ort.Tensor>): Promise<void> {
    const { busy, device = 'cpu' } = this.#options;
    const start = nanoseconds();
    try {
      await runSession(this.#session, feeds, fetches);
    } finally {
      if (busy !== undefined && this.#device === device) Atomics.add(busy, 0, nanoseconds() - start);
    }
  }

  /** Counts the bytes of the host's arrays that moved. */
  #count(way: keyof typeof WAYS, arrays: readonly (HostData | DeviceArray | undefined)[]): void {
    const { moved } = this.#options;
    if (moved === undefined || this.#device === 'cpu') return;
    const bytes = arrays.reduce(
      (sum, data) => sum + (data === undefined || data instanceof DeviceArray ? 0 : data.byteLength),
      0,
    );
    Atomics.add(moved, WAYS[way], BigInt(bytes));
  }
}
