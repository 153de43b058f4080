/**
 * Where θ, its gradients and the state of the update rule are between the steps of a training: on the host,
 * or on a device that keeps them. The loop and the estimators are the same for both, as neither looks inside.
 */

import type { PooledBatch } from '../../evaluation/batch-feeds.js';
import type { Objective, ObjectiveScalars } from '../../objective/objective.js';
import type { Pool } from '../../runtime/pool/pool.js';
import type { ParameterSlice } from '../../runtime/pool/task.js';
import type { Key } from '../../runtime/random/keys.js';
import type { BatchObjective, Estimator, Vector } from '../../smoothing/estimator.js';
import type { UpdateRule } from '../rules/update-rule.js';

/** θ and the state of the rule, its arrays wherever they are. */
export interface Position<V extends Vector> {
  readonly theta: V;
  readonly rule: unknown;
}

/** What of a training a placement needs. */
export interface PlacementOptions {
  readonly objective: Objective;
  readonly layout: readonly ParameterSlice[];
  readonly estimator: Estimator;
  readonly rule: UpdateRule;
  readonly pool: Pool;
  /** Largest norm of the gradient; 0: no limit. */
  readonly gradientClip: number;
}

/** A position on the host: plain data. */
export type HostPosition = Position<Float32Array>;

export interface Descent<V extends Vector> {
  /** After the step; where the gradient was not finite it is of no use. */
  readonly position: Position<V>;
  /** ‖g‖₂ before clipping. */
  readonly gradientNorm: number;
  /** ‖θ‖₂ after the step. */
  readonly thetaNorm: number;
}

export interface Placement<V extends Vector> {
  /** Whether positions are plain data, which nothing can happen to. */
  readonly onHost: boolean;
  objective(batch: PooledBatch, scalars: ObjectiveScalars, attackKey: Key): BatchObjective<V>;
  begin(from: HostPosition): Promise<Position<V>>;
  /** One step along the clipped gradient. The position before and the gradient are used up by it. */
  descend(from: Position<V>, gradient: V, learningRate: number): Promise<Descent<V>>;
  /** A copy on the host. */
  copy(position: Position<V>): Promise<HostPosition>;
  /**
   * The state of the estimator with those of its arrays that may be where θ is, and a copy of such a state on
   * the host.
   */
  beginSearch(search: unknown): Promise<unknown>;
  copySearch(search: unknown): Promise<unknown>;
  /** Lets go of a position and the state of the estimator. */
  end(position: Position<V>, search: unknown): Promise<void>;
}
