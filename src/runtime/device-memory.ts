/**
 * Memory that programs may take on a device, and how many members of a population fit into it. ONNX Runtime tells nothing of a device's
 * memory, so the system is asked: NVIDIA's tool where it is on the PATH, what amdgpu's driver says under /sys, the host's free memory for
 * the CPU and for graphics processors that share it.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { promisify } from 'node:util';
import type { Footprint } from '../graph/footprint.js';
import type { Device } from './device.js';
import type { Plan } from './plan.js';

export interface MemoryBudget {
  /** Bytes that programs may take, all together. */
  readonly bytes: number;
  /** Bytes of the largest single value. */
  readonly largest: number;
  /** Where the number comes from, for messages: "--memory", "nvidia-smi", … */
  readonly source: string;
}

const MB = 2 ** 20;

/** Where nothing can be found out: what nearly every graphics processor has. */
export const DEFAULT_BYTES = 2 ** 31;

/**
 * WebGPU's limit of one buffer, which ONNX Runtime asks of the adapter and tells nobody: between 2²⁸ bytes, which every adapter has to
 * allow, and 2³¹ or more. The software adapter SwiftShader says 2³⁰ and fails at exactly that.
 */
const LARGEST_BUFFER: Readonly<Record<Device, number>> = { cpu: Number.MAX_SAFE_INTEGER, cuda: Number.MAX_SAFE_INTEGER, webgpu: 2 ** 30 - 1 };

/** Of the free memory, what is left alone: the display and other programs want some, and the host's is everybody's. */
const SHARE = { own: 0.85, shared: 0.5 } as const;

/**
 * Memory measured as a multiple of the footprint. CPU: 1.2 to 1.9 (11 plans). WebGPU keeps freed buffers in sizes of powers of two: 1.2 to 3.
 * CUDA: not measured; its arena, too, grows by doubling.
 */
export const OVERHEAD: Readonly<Record<Device, number>> = { cpu: 2, webgpu: 3, cuda: 3 };

/** What of the system is looked at; tests give another one. */
export interface System {
  readonly platform: NodeJS.Platform;
  /** A file's text, undefined where it cannot be read. */
  read(path: string): string | undefined;
  list(path: string): readonly string[];
  /** What a program on the PATH prints, undefined where there is none or it fails. */
  output(program: string, argv: readonly string[]): Promise<string | undefined>;
  /** Bytes of the host that are free. */
  free(): number;
}

function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

const thisSystem: System = {
  platform: process.platform,
  read: (path) => attempt(() => readFileSync(path, 'utf8')),
  list: (path) => attempt(() => readdirSync(path)) ?? [],
  output: (program, argv) =>
    promisify(execFile)(program, [...argv], { timeout: 10_000 }).then(
      ({ stdout }) => stdout,
      () => undefined,
    ),
  free: freemem,
};

/** Free memory of the first graphics processor that NVIDIA's tool lists. */
async function nvidia(system: System): Promise<number | undefined> {
  const printed = await system.output('nvidia-smi', ['--query-gpu=memory.free', '--format=csv,noheader,nounits']);
  const megabytes = Number.parseInt(printed ?? '', 10);
  return megabytes > 0 ? megabytes * MB : undefined;
}

/** Free memory of the largest graphics processor of AMD; one without memory worth the name takes the host's, up to a limit of its own. */
function amd(system: System): number | undefined {
  const ofCard = (card: string): number => {
    const number = (name: string) => Number(system.read(`/sys/class/drm/${card}/device/mem_info_${name}`) ?? Number.NaN);
    const pool = number('vram_total') >= 2 ** 30 ? 'vram' : 'gtt';
    return number(`${pool}_total`) - number(`${pool}_used`);
  };
  const cards = system.list('/sys/class/drm').filter((name) => /^card\d+$/.test(name));
  const free = Math.max(0, ...cards.map(ofCard).filter((bytes) => bytes > 0));
  return free > 0 ? free : undefined;
}

/** Free memory of the host: what the kernel could make available, not only what lies idle. */
function host(system: System): number {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(system.read('/proc/meminfo') ?? '')?.[1];
  return available === undefined ? system.free() : 1024 * Number(available);
}

/** Drivers of graphics processors in software: theirs is the host's memory. */
const SOFTWARE = /swiftshader|lvp|llvmpipe|lavapipe/i;

/** The file that names WebGPU's driver where the user chose one (Vulkan's loader reads these). */
const chosenDriver = (): string | undefined => process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;

/** Whether WebGPU runs on the processor itself, as far as that can be known without asking the adapter. */
export function isSoftwareAdapter(): boolean {
  return SOFTWARE.test(chosenDriver() ?? '');
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
    const isIntegrated = system.platform === 'darwin' || system.list('/sys/class/drm').some((name) => /^card\d+$/.test(name));
    if (isIntegrated) return shared;
  }
  return { bytes: DEFAULT_BYTES, source: `nothing is known of the device, ${DEFAULT_BYTES / MB} MB are assumed` };
}

/** What programs may take on a device: `megabytes` where the user says so, else most of what is free. */
export async function memoryBudget(device: Device, megabytes?: number, system: System = thisSystem): Promise<MemoryBudget> {
  const { bytes, source } = megabytes === undefined ? await found(device, system) : { bytes: megabytes * MB, source: '--memory' };
  return { bytes: Math.floor(bytes), largest: LARGEST_BUFFER[device], source };
}

/** Memory that a plan needs: its programs stay open and keep what they had, one after another. */
export function planFootprint({ programs }: Pick<Plan, 'programs'>): Footprint {
  return {
    peak: programs.reduce((sum, { footprint }) => sum + footprint.peak, 0),
    largest: programs.reduce((most, { footprint }) => Math.max(most, footprint.largest), 0),
  };
}

/** Share of the budget that a footprint takes, of its bytes or of the largest value; 1 is all of it. */
const load = ({ peak, largest }: Footprint, device: Device, budget: MemoryBudget): number =>
  Math.max((OVERHEAD[device] * peak) / budget.bytes, largest / budget.largest);

const megabytes = (bytes: number): string => `${Math.ceil(bytes / MB)} MB`;

/**
 * The greatest number of members, at most `wanted`, that one call may have. `footprintOf` is asked a few times, as footprints grow
 * almost evenly with the number of members.
 * @throws Error in one line if not even one fits
 */
export function membersThatFit(wanted: number, footprintOf: (members: number) => Footprint, device: Device, budget: MemoryBudget): number {
  const of = (members: number): number => load(footprintOf(members), device, budget);
  let above = { members: wanted, load: of(wanted) };
  if (above.load <= 1) return wanted;
  let below = { members: 1, load: wanted === 1 ? above.load : of(1) };
  if (below.load > 1) throw new Error(tooLarge(footprintOf(1), device, budget));
  // Along the chord, which is the answer where growth is even, and every other time by halves, which ends soon where it is not.
  for (let turn = 0; above.members - below.members > 1; turn++) {
    const slope = (above.load - below.load) / (above.members - below.members);
    const guess = turn % 2 === 0 ? Math.floor(below.members + (1 - below.load) / slope) : (below.members + above.members) >> 1;
    const members = Math.min(Math.max(guess, below.members + 1), above.members - 1);
    const middle = { members, load: of(members) };
    if (middle.load <= 1) below = middle;
    else above = middle;
  }
  return below.members;
}

function tooLarge({ peak, largest }: Footprint, device: Device, budget: MemoryBudget): string {
  if (largest > budget.largest)
    return `${device}: expected arrays of at most ${megabytes(budget.largest)}, which is what the device takes, one set of parameters needs one of ${megabytes(largest)}; take a smaller micro-batch`;
  return `${device}: expected programs within ${megabytes(budget.bytes)} (${budget.source}), one set of parameters needs about ${megabytes(OVERHEAD[device] * peak)}; take a smaller micro-batch, or allow more with --memory`;
}
