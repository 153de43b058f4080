/**
 * The kinds of stages, one line each. A stage and its steps have the name of their kind, so that plans, which
 * are plain data, find it again in any thread.
 */
import type { Step } from '../step.js';
import { type AscentKernelStage, ascentKernel } from './ascent-kernel.js';
import { type HostStage, host } from './host.js';
import { type IntervalKernelStage, intervalKernel } from './interval-kernel.js';
import { type IterateStage, iterate } from './iterate.js';
import type { StageKind } from './kind.js';
import { type LossKernelStage, lossKernel } from './loss-kernel.js';
import { type MarginSearchStage, marginSearch } from './margin-search.js';
import { type RowKernelStage, rowKernel } from './row-kernel.js';
import { rows } from './rows/rows.js';
import type { RowsStage } from './rows/stage.js';
import { type WholeStage, whole } from './whole.js';

/** A part of a computation that is compiled and run by itself, by its kind. */
export type Stage =
  | WholeStage
  | RowsStage
  | RowKernelStage
  | IntervalKernelStage
  | IterateStage
  | AscentKernelStage
  | MarginSearchStage
  | HostStage;

const KINDS = {
  whole,
  rows,
  'row-kernel': rowKernel,
  'interval-kernel': intervalKernel,
  'loss-kernel': lossKernel,
  'ascent-kernel': ascentKernel,
  'margin-search': marginSearch,
  iterate,
  host,
} satisfies Record<Stage['kind'] | LossKernelStage['kind'], unknown>;

/** The kind of a stage or of a step. @throws Error for a name that is no kind */
export function kindOf({ kind }: Stage | Step): StageKind<Stage> {
  const found = KINDS[kind as keyof typeof KINDS];
  if (found === undefined)
    throw new Error(`plan: expected a stage of ${Object.keys(KINDS).join(', ')}, got ${kind}`);
  return found as unknown as StageKind<Stage>;
}
