/**
 * Memory that programs may take on a device. ONNX Runtime tells nothing of it, so the system is asked:
 * NVIDIA's tool where it is on the PATH, what amdgpu's driver says under /sys, the host's free memory for the
 * CPU and for graphics processors that share it.
 */
import { isSoftwareAdapter } from './adapter.js';
import type { Device } from './device.js';
import { cards, nvidiaSays, type System, thisSystem } from './system.js';

export interface MemoryBudget {
  /** Bytes that programs may take, all together and with all that the runtime adds to them. */
  readonly bytes: number;
  /** Bytes of footprints (`graph/footprint`) that fit into it. */
  readonly memory: number;
  /** Bytes of the longest array. */
  readonly array: number;
  /**
   * Whether each open program keeps its memory to itself, so that those of a plan take all that they need
   * together.
   */
  readonly perProgram: boolean;
  /** Where the number comes from, for messages: "--memory", "nvidia-smi", … */
  readonly source: string;
}

const MB = 2 ** 20;

/** Where nothing can be found out: what nearly every graphics processor has. */
export const DEFAULT_BYTES = 2 ** 31;

/**
 * WebGPU's limit of one buffer, which ONNX Runtime asks of the adapter and tells nobody: between 2²⁸ bytes,
 * which every adapter has to allow, and 2³¹ or more. The software adapter SwiftShader says 2³⁰ and fails at
 * exactly that.
 */
const LARGEST_BUFFER: Readonly<Record<Device, number>> = {
  cpu: Number.MAX_SAFE_INTEGER,
  cuda: Number.MAX_SAFE_INTEGER,
  webgpu: 2 ** 30 - 1,
};

/**
 * Share of the free memory that may be taken: a display and other programs want some of a device's, and the
 * host's is everybody's.
 */
const SHARE = { own: 0.85, shared: 0.5 } as const;

/**
 * Memory measured as a multiple of the footprint. CPU: 1.2 to 1.9 (11 plans). WebGPU keeps freed buffers in
 * sizes of powers of two: 1.1 to 3. CUDA: not measured; its arenas, one of each session, grow by doubling,
 * too (microsoft/onnxruntime issue 29351).
 */
export const OVERHEAD: Readonly<Record<Device, number>> = { cpu: 2, webgpu: 3, cuda: 3 };

/** Free memory of the first graphics processor that NVIDIA's tool lists. */
async function nvidia(system: System): Promise<number | undefined> {
  const megabytes = Number.parseInt((await nvidiaSays('memory.free', system)) ?? '', 10);
  return megabytes > 0 ? megabytes * MB : undefined;
}

/**
 * Free memory of the largest graphics processor of AMD; one without memory worth the name takes the host's,
 * up to a limit of its own.
 */
function amd(system: System): number | undefined {
  const ofCard = (card: string): number => {
    const number = (name: string) =>
      Number(system.read(`/sys/class/drm/${card}/device/mem_info_${name}`) ?? Number.NaN);
    const pool = number('vram_total') >= 2 ** 30 ? 'vram' : 'gtt';
    return number(`${pool}_total`) - number(`${pool}_used`);
  };
  const free = Math.max(
    0,
    ...cards(system)
      .map(ofCard)
      .filter((bytes) => bytes > 0),
  );
  return free > 0 ? free : undefined;
}

/** Free memory of the host: what the kernel could make available, not only what lies idle. */
function host(system: System): number {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(system.read('/proc/meminfo') ?? '')?.[1];
  return available === undefined ? system.free() : 1024 * Number(available);
}

async function found(device: Device, system: System): Promise<Pick<MemoryBudget, 'bytes' | 'source'>> {
  const shared = { bytes: SHARE.shared * host(system), source: 'half of the free memory of the host' };
  if (device === 'cpu' || (device === 'webgpu' && isSoftwareAdapter())) return shared;
  const own = await nvidia(system);
  if (own !== undefined) return { bytes: SHARE.own * own, source: 'nvidia-smi' };
  if (device === 'webgpu') {
    const bytes = amd(system);
    if (bytes !== undefined) return { bytes: SHARE.own * bytes, source: 'amdgpu' };
    // Apple's processors share the host's memory; so do Intel's, of which Linux says nothing else.
    const isIntegrated = system.platform === 'darwin' || cards(system).length > 0;
    if (isIntegrated) return shared;
  }
  return {
    bytes: DEFAULT_BYTES,
    source: `nothing is known of the device, ${DEFAULT_BYTES / MB} MB are assumed`,
  };
}

/** Memory that programs may take on a device: `megabytes` if the user says so, else most of what is free. */
export async function memoryBudget(
  device: Device,
  megabytes?: number,
  system: System = thisSystem,
): Promise<MemoryBudget> {
  const { bytes, source } =
    megabytes === undefined ? await found(device, system) : { bytes: megabytes * MB, source: '--memory' };
  return {
    bytes: Math.floor(bytes),
    memory: Math.floor(bytes / OVERHEAD[device]),
    array: LARGEST_BUFFER[device],
    perProgram: device === 'cuda',
    source,
  };
}
