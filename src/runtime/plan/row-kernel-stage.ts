/**
 * A stage of a plan that bounds neurons in the row kernel instead of programs.
 *
 * A plan has both ways, its stages marked by `path`; the executor goes the kernel's where it was built and
 * the device is the CPU.
 */
import type { FloatType } from '../../graph/tensor.js';
import type { EncodedChain } from '../kernels/row-chain.js';

/** Stages of the kernel's way or of the programs'; those without are of both. */
export type Path = 'kernel' | 'programs';

export interface RowKernelStage {
  readonly kind: 'row-kernel';
  readonly path: 'kernel';
  /** As in a rows stage: bounds that decide which neurons get a row, and names of the bounds afterwards. */
  readonly cheap: { readonly lower: string; readonly upper: string };
  readonly refined: { readonly lower: string; readonly upper: string };
  readonly shape: readonly [features: number, batch: number];
  readonly places: number;
  readonly dtype: FloatType;
  readonly all?: boolean;
  readonly chain: EncodedChain;
  /** Names of the kernel's arrays, by position. */
  readonly arrays: readonly string[];
  /** Those without a derivative. */
  readonly constants: readonly string[];
}

export interface RowKernelStep {
  readonly kind: 'row-kernel' | 'row-kernel-gradient';
  readonly path?: Path;
  readonly rows: RowKernelStage;
  /** Arrays whose gradient is computed. */
  readonly wanted: readonly string[];
  /** Whether the cheap bounds get the cotangents of neurons without a row. */
  readonly passThrough: boolean;
}

/**
 * The steps of the stage, forward and, where something `active` is behind it, backward. The refined bounds
 * become active with what they depend on.
 */
export function kernelSteps(
  stage: RowKernelStage,
  active: Set<string>,
): { forward: RowKernelStep; backward: RowKernelStep | undefined } {
  const wanted = stage.arrays.filter((name) => active.has(name) && !stage.constants.includes(name));
  const passThrough = active.has(stage.cheap.lower) || active.has(stage.cheap.upper);
  const step = { rows: stage, wanted, passThrough };
  const forward: RowKernelStep = { kind: 'row-kernel', ...step };
  if (wanted.length === 0 && !passThrough) return { forward, backward: undefined };
  active.add(stage.refined.lower).add(stage.refined.upper);
  return { forward, backward: { kind: 'row-kernel-gradient', ...step } };
}
