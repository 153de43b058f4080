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
import { nanoseconds } from './clock.js';
import { acceleratorOptions, type Device, onDevice, refuseReducedPrecision } from './device.js';
import { runSession } from './run-session.js';

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

/** Counters of the use of a device. */
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
  /** A new array of zeros on the device. @throws DeviceError if its memory does not suffice */
  allocate(dtype: KeptType, size: number): Promise<DeviceArray>;
  /** Overwrites an array with as many other numbers. */
  write(array: DeviceArray, data: Kept): Promise<void>;
  /** A copy on the host. */
  read(array: DeviceArray): Promise<Kept>;
  /** a + b of float32 arrays, written to a third one. */
  add(a: DeviceArray, b: DeviceArray, into: DeviceArray): Promise<void>;
  /** Disposes of all arrays and closes the programs that copy. */
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

const hostTensor = (data: Kept): ort.Tensor =>
  new ort.Tensor(typeOf(data) as 'float32', data as Float32Array, [data.length]);

/** Opens what moves arrays to a device and back, in the calling thread, whose sessions alone can use them. */
export const openDeviceArrays = (device: Device, counters: Counters = {}): DeviceArrays =>
  new CopyPrograms(device, counters);

type OpenSession = () => Promise<ort.InferenceSession>;
type Tensors = ort.InferenceSession.OnnxValueMapType;

class CopyPrograms implements DeviceArrays {
  readonly #device: Device;
  readonly #counters: Counters;
  readonly #sessions = new Map<string, Promise<ort.InferenceSession>>();
  /**
   * With its last session the provider forgets the device, and who then lets go of an array ends the process:
   * arrays have to go before.
   */
  readonly #living = new Set<DeviceArray>();

  constructor(device: Device, counters: Counters) {
    this.#device = device;
    this.#counters = counters;
  }

  async upload(data: Kept): Promise<DeviceArray> {
    const dtype = typeOf(data);
    if (!keepsArrays(this.#device)) return this.#array(dtype, data.length, data.slice());
    this.#count('up', data);
    const { y } = await this.#run(() => this.#copier(dtype, true), { x: hostTensor(data) });
    return this.#array(dtype, data.length, y as ort.Tensor);
  }

  async allocate(dtype: KeptType, size: number): Promise<DeviceArray> {
    if (!keepsArrays(this.#device)) return this.#array(dtype, size, hostArray(dtype, size));
    const inputs = [vector(dtype, 'x', [1]), { name: 'shape', type: 'INT64', shape: [1] }];
    const zeros = () => this.#open(`zeros ${dtype}`, () => vectorModel(dtype, 'Expand', inputs), true);
    const { y } = await this.#run(zeros, {
      x: hostTensor(hostArray(dtype, 1) as Kept),
      shape: new ort.Tensor('int64', BigInt64Array.of(BigInt(size)), [1]),
    });
    return this.#array(dtype, size, y as ort.Tensor);
  }

  async write(array: DeviceArray, data: Kept): Promise<void> {
    if (typeOf(data) !== array.dtype || data.length !== array.size)
      throw new TypeError(
        `device array: expected ${array.size} numbers ${array.dtype}, got ${data.length} ${typeOf(data)}`,
      );
    const target = array.tensor([array.size]);
    if (target.location === 'cpu') {
      (target.data as Kept).set(data);
      return;
    }
    this.#count('up', data);
    await this.#copy(array.dtype, hostTensor(data), target);
  }

  async read(array: DeviceArray): Promise<Kept> {
    const source = array.tensor([array.size]);
    if (source.location === 'cpu') return (source.data as Kept).slice();
    // Never by the tensor's own `getData`, which ends the process: the binding throws what nothing catches.
    const data = hostArray(array.dtype, array.size) as Kept;
    this.#count('down', data);
    await this.#copy(array.dtype, source, hostTensor(data));
    return data;
  }

  async add(a: DeviceArray, b: DeviceArray, into: DeviceArray): Promise<void> {
    if ([b, into].some(({ size }) => size !== a.size) || [a, b].includes(into))
      throw new RangeError(
        `device array: expected a sum of arrays of ${a.size} numbers in a third one, got ${b.size} and ` +
          `${into.size} numbers`,
      );
    const inputs = [vector('float32', 'a'), vector('float32', 'b')];
    const adder = () => this.#open('add', () => vectorModel('float32', 'Add', inputs));
    const shape = [a.size];
    await this.#write(adder, { a: a.tensor(shape), b: b.tensor(shape) }, { y: into.tensor(shape) });
  }

  async close(): Promise<void> {
    for (const array of [...this.#living]) array.dispose();
    const open = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(open.map(async (session) => (await session).release()));
  }

  #array(dtype: KeptType, size: number, place: ort.Tensor | HostData): DeviceArray {
    return new DeviceArray(this.#device, dtype, size, place, this.#living);
  }

  /** The program of a name; `allocates`: its output is a new array on the device. */
  #open(name: string, model: () => Uint8Array, allocates = false): Promise<ort.InferenceSession> {
    const create = async () => {
      refuseReducedPrecision();
      const where = allocates ? { preferredOutputLocation: 'gpu-buffer' as const } : {};
      const provider = this.#device === 'cpu' ? {} : acceleratorOptions(this.#device);
      return ort.InferenceSession.create(model(), { ...provider, ...where });
    };
    const session = this.#sessions.get(name) ?? create();
    this.#sessions.set(name, session);
    return session;
  }

  #copier(dtype: KeptType, allocates = false): Promise<ort.InferenceSession> {
    const model = () => vectorModel(dtype, 'Identity', [vector(dtype, 'x')]);
    return this.#open(`copy ${dtype} ${allocates}`, model, allocates);
  }

  #copy(dtype: KeptType, from: ort.Tensor, to: ort.Tensor): Promise<void> {
    return this.#write(() => this.#copier(dtype), { x: from }, { y: to });
  }

  /** Outputs, which are new arrays. */
  #run(open: OpenSession, feeds: Record<string, ort.Tensor>): Promise<Tensors> {
    return this.#timed(open, (session) => session.run(feeds));
  }

  #write(open: OpenSession, feeds: Record<string, ort.Tensor>, into: Record<string, ort.Tensor>) {
    return this.#timed(open, (session) => runSession(session, feeds, into));
  }

  #timed<Result>(
    open: OpenSession,
    work: (session: ort.InferenceSession) => Promise<Result>,
  ): Promise<Result> {
    return onDevice(this.#device, async () => {
      const opened = await open();
      const { busy } = this.#counters;
      const start = nanoseconds();
      try {
        return await work(opened);
      } finally {
        if (busy !== undefined && this.#device !== 'cpu') Atomics.add(busy, 0, nanoseconds() - start);
      }
    });
  }

  #count(way: keyof typeof WAYS, data: Kept): void {
    const { moved } = this.#counters;
    if (moved !== undefined && this.#device !== 'cpu') Atomics.add(moved, WAYS[way], BigInt(data.byteLength));
  }
}
