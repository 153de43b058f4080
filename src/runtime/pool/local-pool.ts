/**
 * A pool without threads: tasks are done in the calling thread, one after the other, to the bits of a pool of
 * threads. A browser has this one, in a worker of the page.
 */
import type { Device } from '../device/device.js';
import type { MemoryBudget } from '../device/memory.js';
import type { Pool } from './pool.js';
import { Tasks } from './tasks.js';

/** WebAssembly addresses four gigabytes; programs take up to twice their footprint. */
const MEMORY: MemoryBudget = {
  bytes: 2 ** 31,
  memory: 2 ** 30,
  array: 2 ** 30,
  perProgram: false,
  source: 'what WebAssembly addresses',
};

/**
 * A graphics processor that tells nothing of its memory: programs take three times their footprint there, and
 * every adapter of WebGPU binds arrays of 2²⁷ bytes.
 */
const OF_DEVICE: MemoryBudget = {
  bytes: 3 * 2 ** 28,
  memory: 2 ** 28,
  array: 2 ** 27,
  perProgram: false,
  source: 'what every adapter of WebGPU has',
};

/**
 * A pool that computes in the calling thread, which it blocks while a program runs on the CPU. On a device
 * nothing stays from one task to the next.
 */
export function localPool(device: Device = 'cpu'): Pool {
  const busy = new BigInt64Array(1);
  const tasks = new Tasks({ device, busy });
  let last: Promise<unknown> = Promise.resolve();
  // ONNX Runtime's WebAssembly takes one call at a time.
  const after =
    <Task, Result>(work: (task: Task) => Promise<Result>) =>
    (task: Task): Promise<Result> => {
      const result = last.then(() => work(task));
      last = result.catch(() => undefined);
      return result;
    };
  return {
    device,
    threads: 1,
    vectors: undefined,
    busySeconds: () => Number(busy[0]) / 1e9,
    movedBytes: () => ({ up: 0, down: 0 }),
    memory: async () => (device === 'cpu' ? MEMORY : OF_DEVICE),
    run: after(tasks.run),
    pairs: after(tasks.pairs),
    population: after(tasks.population),
    weigh: after(tasks.weigh),
    normals: async (task, coordinates) => tasks.normals({ ...task, start: 0, count: coordinates }),
    project: async (task) => tasks.project(task),
    // A call in this thread has ended when anybody could ask.
    renew: () => undefined,
    close: () => after(tasks.close)(undefined),
  };
}
