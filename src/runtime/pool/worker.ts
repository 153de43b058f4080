/** Worker thread of a pool: does its tasks, and moves results to the caller rather than copying them. */
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina';
import type { SessionOptions } from '../execution/session.js';
import type { PopulationResult, PopulationTask, RunResult, RunTask } from './task.js';
import { Tasks } from './tasks.js';

const tasks = new Tasks(workerData as SessionOptions);

/** A result whose arrays are moved to the caller rather than copied. */
const moved = <T extends object>(value: T, buffers: ArrayBufferLike[]): T =>
  move({ [transferableSymbol]: buffers, [valueSymbol]: value } as unknown as Parameters<
    typeof move
  >[0]) as unknown as T;

export async function run(task: RunTask): Promise<RunResult> {
  const result = await tasks.run(task);
  return result.gradient === undefined ? result : moved(result, [result.gradient.buffer]);
}

export async function population(task: PopulationTask): Promise<PopulationResult[]> {
  const results = await tasks.population(task);
  return moved(
    results,
    results.flatMap(({ gradients }) => gradients.map(({ buffer }) => buffer)),
  );
}

export const { pairs, weigh, score, compute, upload, read, drop, normals, project } = tasks;
