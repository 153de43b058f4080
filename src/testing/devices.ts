/**
 * What tests of devices run on, and what they look at: whatever this machine has, else WebGPU in software
 * (`software-device`), else none.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { encodeProgram, input, relu } from '../graph/index.js';
import { ACCELERATORS, type Accelerator, type Device, DeviceError } from '../runtime/device/device.js';
import { createExecutor, type Executor } from '../runtime/execution/executor.js';
import { type Feeds, openSession } from '../runtime/execution/session.js';
import type { Plan } from '../runtime/plan/plan.js';
import { createPool, type Pool } from '../runtime/pool/pool.js';
import type { RunTask } from '../runtime/pool/task.js';
import { absence } from '../runtime/survey/devices.js';
import { distance } from './operator-check.js';

/** A program of one operator that every provider has. */
const simplest = () => encodeProgram({ y: relu(input('x', [1])) });

/**
 * The first device but the CPU that runs anything; without one the tests of devices are skipped, and the
 * reasons are printed. A session stays open until the process ends: with the last one the provider forgets
 * its compiled kernels, and a software device compiles them for seconds.
 */
export async function deviceForTests(): Promise<Accelerator | undefined> {
  const reasons: string[] = [];
  for (const device of ACCELERATORS) {
    const absent = absence(device);
    if (absent !== undefined) {
      reasons.push(`${device}: ${absent.reason}`);
      continue;
    }
    try {
      const session = await openSession(simplest(), { device });
      await session.run({ x: Float32Array.of(1) });
      return device;
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  console.log(`no device to test but the CPU: ${reasons.join('; ')}`);
  return undefined;
}

/**
 * Opens every program of a plan on a device, which refuses those of which an operator would be left to the
 * CPU; compiles and runs nothing.
 */
export async function expectOnDevice(device: Accelerator, plan: Plan): Promise<void> {
  for (const program of plan.programs) await (await openSession(program, { device })).close();
}

/** Workers that run on the CPU and remember every plan that they were given. */
export function recordingPool(): { readonly pool: Pool; readonly plans: ReadonlySet<Plan> } {
  const pool = createPool(1);
  const plans = new Map<string, Plan>();
  const remembered =
    <Task extends { readonly plan: Plan }, Result>(work: (task: Task) => Promise<Result>) =>
    (task: Task): Promise<Result> => {
      plans.set(task.plan.id, task.plan);
      return work(task);
    };
  return {
    pool: { ...pool, run: remembered(pool.run), pairs: remembered(pool.pairs) },
    get plans() {
      return new Set(plans.values());
    },
  };
}

/**
 * A pool that says it is a device with gigabytes, and fails as one out of memory for tasks of more than
 * `most`; `asked` are the sizes of all. What a task's size is, `sizeOf` tells.
 */
export function poolHolding(
  pool: Pool,
  most: number,
  sizeOf: (task: RunTask) => number,
): { readonly limited: Pool; readonly asked: number[] } {
  const asked: number[] = [];
  const limited: Pool = {
    ...pool,
    device: 'webgpu',
    memory: async () => ({
      bytes: 2 ** 33,
      memory: 2 ** 32,
      array: 2 ** 30,
      perProgram: false,
      source: 'a test',
    }),
    run(task) {
      const size = sizeOf(task);
      asked.push(size);
      return size > most
        ? Promise.reject(new DeviceError('webgpu', new Error('failed to allocate memory')))
        : pool.run(task);
    },
  };
  return { limited, asked };
}

/** One kernel that ran: which operator, on whose provider. */
export interface Placement {
  readonly operator: string;
  readonly provider: string;
}

/** Runs plans on a device and tells from ONNX Runtime's own profile where each of their operators ran. */
export async function profiled<Result>(
  device: Device,
  work: (executor: Executor) => Promise<Result>,
): Promise<{ result: Result; placements: Placement[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'tautnet-profile-'));
  try {
    const executor = createExecutor({ device, profile: join(folder, 'session') });
    const result = await work(executor).finally(() => executor.close());
    const events = readdirSync(folder).flatMap(
      (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as ProfileEvent[],
    );
    const kernels = events.filter(({ cat, args }) => cat === 'Node' && args?.provider !== undefined);
    return {
      result,
      placements: kernels.map(({ args }) => ({
        operator: args?.op_name as string,
        provider: args?.provider as string,
      })),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface ProfileEvent {
  readonly cat: string;
  readonly args?: { readonly op_name?: string; readonly provider?: string };
}

/** Greatest difference over the greatest size, as one norm of the whole array. */
const relative = (got: Float32Array, expected: Float32Array): number => {
  const size = expected.reduce((greatest, value) => Math.max(greatest, Math.abs(value)), Number.MIN_VALUE);
  const worst = got.reduce(
    (greatest, value, i) => Math.max(greatest, Math.abs(value - (expected[i] as number))),
    0,
  );
  return worst / size;
};

/**
 * Holds a device against the CPU's float32: outputs within 1e-4 of the largest of them or of 1, gradients
 * within 1e-3 of their largest entry, and no operator left to the CPU.
 */
export async function expectAgreement(device: Accelerator, plan: Plan, feeds: Feeds): Promise<void> {
  const cpu = createExecutor();
  const expected = await cpu.run(plan, feeds).finally(() => cpu.close());
  const { result: got, placements } = await profiled(device, (executor) => executor.run(plan, feeds));
  for (const [name, values] of Object.entries(expected.outputs))
    expect(distance(got.outputs[name] as Float32Array, values), name).toBeLessThan(1e-4);
  for (const [k, gradient] of (expected.gradients as readonly Float32Array[]).entries())
    expect(relative(got.gradients[k] as Float32Array, gradient), `∂${plan.wrt[k]?.name}`).toBeLessThan(1e-3);
  expect(placements.length).toBeGreaterThan(0);
  expect(placements.filter(({ provider }) => provider === 'CPUExecutionProvider')).toEqual([]);
}
