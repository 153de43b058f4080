/**
 * Where programs run: the processor, or a graphics processor through one of ONNX Runtime's execution
 * providers.
 *
 * The same plan runs on every device; what differs is said here. Devices other than the processor compute in
 * float32 alone: a program with a float64 input or output runs on the processor whatever the device, so it is
 * never rounded in silence.
 */
import type { InferenceSession } from 'onnxruntime-node';
import type { EncodedProgram } from '../../graph/encode.js';
import { withoutSums, withoutXor } from '../../graph/lowering.js';

/** Devices that programs may run on. */
export const DEVICES = ['cpu', 'webgpu', 'cuda'] as const;
/** A device that programs run on. */
export type Device = (typeof DEVICES)[number];

/** A user's choice: a device, or the fastest that passes the self-test. */
export const DEVICE_CHOICES = ['auto', ...DEVICES] as const;
/** A device, or the fastest that passes its self-test. */
export type DeviceChoice = (typeof DEVICE_CHOICES)[number];

/** A device that programs have to be taken to. */
export type Accelerator = Exclude<Device, 'cpu'>;
export const ACCELERATORS: readonly Accelerator[] = ['webgpu', 'cuda'];

/** A program as an accelerator's provider compiles it. */
const lowerings: Readonly<Record<Accelerator, (program: EncodedProgram) => EncodedProgram>> = {
  webgpu: (program) => withoutXor(withoutSums(program)),
  cuda: withoutXor,
};
export const lowered = (program: EncodedProgram, device: Accelerator): EncodedProgram =>
  lowerings[device](program);

/**
 * Options of a session on an accelerator. A program of which a single operator would be handed back to the
 * CPU is refused.
 */
export const acceleratorOptions = (device: Accelerator): InferenceSession.SessionOptions => ({
  // In WebGPU's own layout, which is for convolutions, the runtime would move transpositions past
  // comparisons, and has none of booleans.
  executionProviders: [device === 'webgpu' ? { name: device, preferredLayout: 'NCHW' } : device],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  enableMemPattern: false,
  graphOptimizationLevel: 'all',
  // What goes wrong is thrown; the runtime's own log would say it a second time.
  logSeverityLevel: 4,
  extra: { session: { disable_cpu_ep_fallback: '1' } },
});

/**
 * Before a provider is loaded: cuBLAS would otherwise round the factors of products to ten bits (TF32), which
 * no bound allows for.
 */
export function refuseReducedPrecision(): void {
  // A browser has no environment, and no such provider.
  const { env } = globalThis.process ?? { env: {} };
  env.NVIDIA_TF32_OVERRIDE ??= '0';
}

/**
 * Why a device cannot go on: it is gone, its memory does not suffice, an operator is missing, or anything
 * else its provider says.
 */
export type DeviceTrouble = 'lost' | 'memory' | 'fallback' | 'other';

const PATTERNS: readonly (readonly [DeviceTrouble, RegExp])[] = [
  ['fallback', /fallback to CPU EP has been explicitly disabled/],
  [
    'memory',
    new RegExp(
      [
        'out[ _-]?of[ _-](device[ _-]|host[ _-]|pool[ _-])?memory',
        'bad_alloc|failed to allocate|memory allocation',
        'memory of the device does not suffice',
        'exceeds the max buffer size|allocation size too large|too many storage buffers',
        'Invalid Buffer.* is invalid due to a previous error',
        'CUDA failure 2:|(CUBLAS|CUDNN|CUSPARSE)_STATUS_ALLOC_FAILED',
      ].join('|'),
      'i',
    ),
  ],
  [
    'lost',
    /device (was |is )?lost|lost device|device is destroyed|CUDA (error|failure)|illegal memory access/i,
  ],
];

const ADVICE: Readonly<Record<DeviceTrouble, readonly [what: string, advice: string]>> = {
  lost: ['the device was lost', 'check its driver and its power, or use the device cpu'],
  memory: [
    'the memory of the device does not suffice',
    'take a smaller micro-batch or batch, or use the device cpu',
  ],
  fallback: [
    'an operator of the program would fall back to the CPU',
    'use the device cpu, and please report it',
  ],
  other: ['the device cannot run the program', 'use the device cpu'],
};

/**
 * A device that stopped in the middle of its work; one line: what happened, in whose words, and what can be
 * done.
 */
export class DeviceError extends Error {
  override name = 'DeviceError';
  readonly trouble: DeviceTrouble;
  /** `tried` says for what the memory did not suffice: " for …". */
  constructor(
    readonly device: Device,
    cause: unknown,
    tried?: string,
  ) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const trouble = PATTERNS.find(([, pattern]) => pattern.test(said))?.[0] ?? 'other';
    const [what, advice] = ADVICE[trouble];
    // A worker's error has lost its class on the way, not its line.
    const own = said.startsWith(`${device}: `);
    const words = own ? (/\((.*)\); /.exec(said)?.[1] ?? said) : firstSentence(said);
    const told =
      tried === undefined
        ? `${what} (${words}); ${advice}`
        : `${what} ${tried} (${words}); let programs take less with --memory, ${advice}`;
    super(own && tried === undefined ? said : `${device}: ${told}`, { cause });
    this.trouble = trouble;
  }
}

/** The first line of what ONNX Runtime says, without the place in its sources. */
export const firstSentence = (text: string): string =>
  (text.split('\n')[0] as string)
    .replace(/^.*\bStatus Message: /, '')
    .replace(/^.*?\bwas false\. /, '')
    .replace(/^\S+\.(cc|cpp|h|cu):\d+ (\S+::\S+ (?=[A-Z])|.*?\) (const )?)/, '')
    .replace(/ ; GPU=\d.*$/, '')
    .replace(/[.\s]+$/, '')
    .slice(0, 200);

/** The result of `work`. @throws DeviceError in place of what it throws */
export async function onDevice<Result>(device: Device, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new DeviceError(device, error);
  }
}
