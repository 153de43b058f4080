/**
 * Where θ, its gradients and the state of the update rule are between the steps of a training: on the host,
 * or on a device that keeps them. The loop and the estimators are the same for both, as neither looks inside.
 */

import type { PooledBatch } from '../../evaluation/batch-feeds.js';
import type { BatchObjective, Vector } from '../../evaluation/batch-objective.js';
import type { Exchange } from '../../evaluation/exchange.js';
import type { Objective, ObjectiveScalars } from '../../objective/objective.js';
import type { Pool } from '../../runtime/pool/pool.js';
import type { ParameterSlice } from '../../runtime/pool/task.js';
import type { Key } from '../../runtime/random/keys.js';
import type { Estimator } from '../../smoothing/estimator.js';
import type { UpdateRule } from '../rules/update-rule.js';

/** θ and the state of the rule, its arrays wherever they are. */
export interface Position {
  readonly theta: Vector;
  readonly rule: unknown;
}

/** An exchange that is told of each step before it is taken. */
export interface StepExchange extends Exchange {
  /** `state` gives all that the step depends on: what a process that joins begins with. */
  begin(step: number, theta: Float32Array, state: () => unknown): Promise<void>;
}

/** What of a training a placement needs. */
export interface PlacementOptions {
  readonly objective: Objective;
  readonly layout: readonly ParameterSlice[];
  readonly estimator: Estimator;
  /** A differentiable objective whose gradients stand for those that `objective` has not. */
  readonly guide?: Objective;
  readonly rule: UpdateRule;
  readonly pool: Pool;
  /** Largest norm of the gradient; 0: no limit. */
  readonly gradientClip: number;
  /** Other processes evaluate perturbations, too; θ is then on the host. */
  readonly exchange?: StepExchange;
}

/** A position on the host: plain data. */
export interface HostPosition extends Position {
  readonly theta: Float32Array;
}

export interface Descent {
  /** After the step; where the gradient was not finite it is of no use. */
  readonly position: Position;
  /** ‖g‖₂ before clipping. */
  readonly gradientNorm: number;
  /** ‖θ‖₂ after the step. */
  readonly thetaNorm: number;
}

export interface Placement {
  /** Whether positions are plain data, which nothing can happen to. */
  readonly onHost: boolean;
  objective(
    objective: Objective,
    batch: PooledBatch,
    scalars: ObjectiveScalars,
    attackKey: Key,
  ): BatchObjective;
  begin(from: HostPosition): Promise<Position>;
  /** One step along the clipped gradient. The position before and the gradient are used up by it. */
  descend(from: Position, gradient: Vector, learningRate: number): Promise<Descent>;
  /** A copy on the host. */
  copy(position: Position): Promise<HostPosition>;
  /**
   * The state of the estimator with those of its arrays that may be where θ is, and a copy of such a state on
   * the host.
   */
  beginSearch(search: unknown): Promise<unknown>;
  copySearch(search: unknown): Promise<unknown>;
  /** Lets go of a position and the state of the estimator. */
  end(position: Position, search: unknown): Promise<void>;
}
