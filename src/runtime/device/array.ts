/**
 * Arrays that stay on a device from one program to the next: what one session writes there, another reads,
 * and nothing is moved.
 *
 * ONNX Runtime's binding for Node knows such tensors on WebGPU alone (docs/guide/devices.md says how that was
 * found). Elsewhere an array is kept by the host and moved as any other: the same code runs everywhere, and
 * is faster where it can be.
 */
import './telemetry.js';

import ort from 'onnxruntime-node';
import { encodeOnnx } from '../../formats/onnx.js';
import { ELEMENT_TYPE } from '../../graph/encode.js';
import { type HostData, hostArray, type Shape } from '../../graph/tensor.js';
import { acceleratorOptions, type Device, onDevice, refuseReducedPrecision } from './device.js';

/** Types that every device holds as the host does; booleans are packed differently. */
export type KeptType = 'float32' | 'int32';
type Kept = Float32Array | Int32Array;

/** Devices on which an array can stay. */
export const keepsArrays = (device: Device): boolean => device === 'webgpu';

/**
 * Bytes that went to a device, and bytes that came from it; in shared memory, those of all threads which have
 * it.
 */
export type MovedBytes = BigInt64Array;
/** Where each way is counted. */
export const WAYS = { up: 0, down: 1 } as const;

/** What is counted of the use of a device. */
export interface Counters {
  /**
   * One number to which the nanoseconds that programs ran on the device are added; in shared memory, those of
   * all threads which have it.
   */
  readonly busy?: BigInt64Array;
  /** Counts what moves to the device and back. */
  readonly moved?: MovedBytes;
}

/** Flat numbers on a device, of any shape that a program gives them. They take its memory until `dispose`. */
export class DeviceArray {
  #place: ort.Tensor | HostData | undefined;
  readonly #living: Set<DeviceArray>;

  /** @internal made by `openDeviceArrays` */
  constructor(
    readonly device: Device,
    readonly dtype: KeptType,
    readonly size: number,
    place: ort.Tensor | HostData,
    living: Set<DeviceArray>,
  ) {
    this.#place = place;
    this.#living = living;
    living.add(this);
  }

  /** @internal the same numbers as a tensor of `shape`. */
  tensor(shape: Shape): ort.Tensor {
    const place = this.#place;
    if (place === undefined)
      throw new Error(
        'device array: expected one that is still there, got one that was disposed of; dispose of it ' +
          'after its last use',
      );
    const dims = [...shape];
    if (!(place instanceof ort.Tensor))
      return new ort.Tensor(this.dtype as 'float32', place as Float32Array, dims);
    return ort.Tensor.fromGpuBuffer(place.gpuBuffer, { dataType: this.dtype, dims });
  }

  dispose(): void {
    if (this.#place instanceof ort.Tensor) this.#place.dispose();
    this.#place = undefined;
    this.#living.delete(this);
  }
}

export interface DeviceArrays {
  /** A new array on the device with these numbers. @throws DeviceError if its memory does not suffice */
  upload(data: Kept): Promise<DeviceArray>;
  /** A new array of zeros, made there. @throws DeviceError if its memory does not suffice */
  allocate(dtype: KeptType, size: number): Promise<DeviceArray>;
  /** Other numbers, as many, for an array that is there. */
  write(array: DeviceArray, data: Kept): Promise<void>;
  /** A copy on the host. */
  read(array: DeviceArray): Promise<Kept>;
  /** a + b of float32 arrays, written to a third one. */
  add(a: DeviceArray, b: DeviceArray, into: DeviceArray): Promise<void>;
  /** Disposes of all arrays that are still there and ends the programs that copy. */
  close(): Promise<void>;
}

const vector = (dtype: KeptType, name: string, shape: readonly (string | number)[] = ['n']) => ({
  name,
  type: ELEMENT_TYPE[dtype],
  shape,
});

/** y = f(inputs), f being one operator and y of any length. */
function vectorModel(
  dtype: KeptType,
  opType: string,
  inputs: Parameters<typeof encodeOnnx>[0]['inputs'],
): Uint8Array {
  return encodeOnnx({
    irVersion: 8,
    opset: 18,
    producer: 'tautnet',
    description: '',
    metadata: {},
    name: opType,
    inputs,
    outputs: [vector(dtype, 'y')],
    nodes: [{ opType, inputs: inputs.map(({ name }) => name), outputs: ['y'], attributes: {} }],
    initializers: [],
  });
}

const typeOf = (data: Kept): KeptType => (data instanceof Int32Array ? 'int32' : 'float32');

/** Opens what moves arrays to a device and back, in the calling thread, whose sessions alone can use them. */
export function openDeviceArrays(device: Device, { moved, busy }: Counters = {}): DeviceArrays {
  const sessions = new Map<string, Promise<ort.InferenceSession>>();
  // With its last session the provider forgets the device, and who then lets go of an array ends the process:
  // arrays have to go before.
  const living = new Set<DeviceArray>();
  const opened = (
    name: string,
    model: () => Uint8Array,
    allocates = false,
  ): Promise<ort.InferenceSession> => {
    const open = async () => {
      refuseReducedPrecision();
      const where = allocates ? { preferredOutputLocation: 'gpu-buffer' as const } : {};
      return ort.InferenceSession.create(model(), {
        ...(device === 'cpu' ? {} : acceleratorOptions(device)),
        ...where,
      });
    };
    const session = sessions.get(name) ?? open();
    sessions.set(name, session);
    return session;
  };
  const run = (
    session: () => Promise<ort.InferenceSession>,
    ...given: [Record<string, ort.Tensor>, Record<string, ort.Tensor>?]
  ) =>
    onDevice(device, async () => {
      const opened = await session();
      const start = process.hrtime.bigint();
      try {
        return await opened.run(...(given as [never]));
      } finally {
        if (busy !== undefined && device !== 'cpu') Atomics.add(busy, 0, process.hrtime.bigint() - start);
      }
    });
  const copier = (dtype: KeptType, allocates = false) =>
    opened(
      `copy ${dtype} ${allocates}`,
      () => vectorModel(dtype, 'Identity', [vector(dtype, 'x')]),
      allocates,
    );
  const hostTensor = (data: Kept) =>
    new ort.Tensor(typeOf(data) as 'float32', data as Float32Array, [data.length]);
  const copy = async (dtype: KeptType, from: ort.Tensor, to: ort.Tensor): Promise<void> => {
    await run(() => copier(dtype), { x: from }, { y: to });
  };
  const count = (way: keyof typeof WAYS, data: Kept): void => {
    if (moved !== undefined && device !== 'cpu') Atomics.add(moved, WAYS[way], BigInt(data.byteLength));
  };
  return {
    async upload(data) {
      const dtype = typeOf(data);
      if (!keepsArrays(device)) return new DeviceArray(device, dtype, data.length, data.slice(), living);
      count('up', data);
      const made = await run(() => copier(dtype, true), { x: hostTensor(data) });
      return new DeviceArray(device, dtype, data.length, made.y as ort.Tensor, living);
    },
    async allocate(dtype, size) {
      if (!keepsArrays(device)) return new DeviceArray(device, dtype, size, hostArray(dtype, size), living);
      const inputs = [vector(dtype, 'x', [1]), { name: 'shape', type: 'INT64', shape: [1] }];
      const feeds = {
        x: hostTensor(hostArray(dtype, 1) as Kept),
        shape: new ort.Tensor('int64', BigInt64Array.of(BigInt(size)), [1]),
      };
      const made = await run(
        () => opened(`zeros ${dtype}`, () => vectorModel(dtype, 'Expand', inputs), true),
        feeds,
      );
      return new DeviceArray(device, dtype, size, made.y as ort.Tensor, living);
    },
    async write(array, data) {
      if (typeOf(data) !== array.dtype || data.length !== array.size)
        throw new TypeError(
          `device array: expected ${array.size} numbers ${array.dtype}, got ${data.length} ${typeOf(data)}`,
        );
      const target = array.tensor([array.size]);
      if (target.location === 'cpu') {
        (target.data as Kept).set(data);
        return;
      }
      count('up', data);
      await copy(array.dtype, hostTensor(data), target);
    },
    async read(array) {
      const source = array.tensor([array.size]);
      if (source.location === 'cpu') return (source.data as Kept).slice();
      // Never by the tensor's own `getData`, which ends the process: the binding throws what nothing catches.
      const data = hostArray(array.dtype, array.size) as Kept;
      count('down', data);
      await copy(array.dtype, source, hostTensor(data));
      return data;
    },
    async add(a, b, into) {
      if ([b, into].some(({ size }) => size !== a.size) || [a, b].includes(into))
        throw new RangeError(
          `device array: expected a sum of arrays of ${a.size} numbers in a third one, got ${b.size} and ` +
            `${into.size} numbers`,
        );
      const [x, y, sum] = [a, b, into].map((array) => array.tensor([a.size])) as [
        ort.Tensor,
        ort.Tensor,
        ort.Tensor,
      ];
      await run(
        () =>
          opened('add', () =>
            vectorModel('float32', 'Add', [vector('float32', 'a'), vector('float32', 'b')]),
          ),
        { a: x, b: y },
        { y: sum },
      );
    },
    async close() {
      for (const array of [...living]) array.dispose();
      const open = [...sessions.values()];
      sessions.clear();
      await Promise.all(open.map(async (session) => (await session).release()));
    },
  };
}
