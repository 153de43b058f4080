/**
 * The place where a certification computes: one network with its parameters, one split, a pool; images in
 * padded batches, several at once.
 */
import { allocateBatch, assembleBatch, type Batch } from '../../data/batches.js';
import type { Split } from '../../data/dataset.js';
import type { HostData } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import type { Network } from '../../network/network.js';
import type { Feeds } from '../../runtime/execution/session.js';
import type { Plan } from '../../runtime/plan/plan.js';
import { inLanes } from '../../runtime/pool/lanes.js';

import { doublesOf, type VerificationContext } from '../proof/context.js';
import { isProof } from '../proof/rounding.js';
import type { Ball } from '../property/robustness.js';
import { createPrograms, type Programs } from './programs.js';

export interface Evaluation {
  readonly context: VerificationContext;
  readonly network: Network;
  readonly split: Split;
  readonly ball: Ball;
  readonly programs: Programs;
  /** Whether the network is a float64 file's, of which proofs and answers are then. */
  readonly double: boolean;
  /** Whether proofs are in float64, with their rounding errors taken off. */
  readonly sound: boolean;
  /** Outputs of a plan in float64 by name, at the file's own constants. */
  runDouble(plan: Plan, feeds: Feeds): Promise<Readonly<Record<string, HostData>>>;
  /** Outputs of a plan by name, at the network's parameters. */
  run(plan: Plan, feeds: Feeds): Promise<Readonly<Record<string, HostData>>>;
  /**
   * Works through images in batches of at most `size`, as many at once as there are threads; their order of
   * completion is not given.
   * @throws the first error of `work` or the signal's reason, when nothing is under way any more
   */
  each(
    images: readonly number[],
    size: number,
    work: (images: readonly number[]) => Promise<void>,
  ): Promise<void>;
}

/**
 * Whether a lower bound of a margin is a proof, as `isProof` says; of bounds in float64 the float32 answer at
 * the image says nothing.
 */
export const isProofHere = (
  { double, sound }: Pick<Evaluation, 'double' | 'sound'>,
  bound: number,
  atImage: number,
  scale: number,
  threshold: number,
): boolean => (sound && !double ? bound > threshold : isProof(bound, atImage, scale, threshold));

const NOTHING = new Float32Array(0);

export function createEvaluation(
  context: VerificationContext,
  split: Split,
  ball: Ball,
  { double = false, sound = false }: { readonly double?: boolean; readonly sound?: boolean } = {},
): Evaluation {
  const { network, pool, signal } = context;
  const doubles = double || sound ? doublesOf(context) : {};
  return {
    context,
    network,
    split,
    ball,
    programs: createPrograms(network, ball.clip),
    double,
    sound: double || sound,
    async runDouble(plan, feeds) {
      signal?.throwIfAborted();
      const given = { ...doubles, ...feeds };
      return (await pool.run({ plan, feeds: given, theta: NOTHING, layout: [] })).outputs;
    },
    async run(plan, feeds) {
      signal?.throwIfAborted();
      return context.run(plan, feeds);
    },
    async each(images, size, work) {
      const batches = Array.from({ length: Math.ceil(images.length / size) }, (_, i) =>
        images.slice(i * size, (i + 1) * size),
      );
      // One batch more than threads: the next is ready when a thread becomes free.
      await inLanes({ threads: pool.threads + 1, expired: () => signal?.aborted === true }, batches, work);
      signal?.throwIfAborted();
    },
  };
}

/**
 * Images of a split as a batch of `size` rows; rows beyond them are black images of label 0, whose results
 * nobody reads.
 */
export function paddedBatch(
  { split, network }: Pick<Evaluation, 'split' | 'network'>,
  images: readonly number[],
  size: number,
): Batch {
  const room = allocateBatch(size, featuresOf(network.input));
  assembleBatch(split, images, room);
  return room;
}
