/**
 * The landscape of networks: the loss of each relaxation along one line through the parameters of each
 * network, and perhaps on a plane; everything random comes from one seed.
 */

import type { PooledBatch } from '../../evaluation/batch-feeds.js';
import { UsageError } from '../../experiment/errors.js';
import type { Network } from '../../network/network.js';
import { flatten, type ParameterArrays, parameterLayout } from '../../network/parameters.js';
import { createPool } from '../../runtime/pool/pool.js';
import { deriveKey, type Key, keyOf } from '../../runtime/random/keys.js';
import { directionTo, gradientDirection, randomDirection } from './direction.js';
import { type LineScan, scanLine } from './line.js';
import { type PlaneScan, scanPlane } from './plane.js';
import { relaxedLoss, type Surface } from './surface.js';

/** A network at a point in parameter space. */
export interface Subject {
  /** "at initialisation", "after training". */
  readonly name: string;
  readonly network: Network;
  readonly parameters: ParameterArrays;
}

/** Along −∇L of the first relaxation, at random, or towards parameters θ' of the same network. */
export type DirectionChoice = 'random' | 'gradient' | ParameterArrays;

export interface LandscapeOptions {
  readonly subjects: readonly Subject[];
  /** Names of relaxations. */
  readonly relaxations: readonly string[];
  readonly batch: PooledBatch;
  /** Radius of the ball in pixels of [0, 1]. */
  readonly epsilon: number;
  readonly clipBox?: boolean;
  readonly direction?: DirectionChoice;
  /** Half the length of the line; 0.01 is 1 % of the weights of each layer (of θ' − θ: 1 % of the way). */
  readonly span: number;
  readonly points: number;
  /** σ of smoothing; 0 is the loss itself. */
  readonly sigmas: readonly number[];
  /** Antithetic pairs for each smoothed value. */
  readonly samples: number;
  /** Points of each axis of a plane; none is looked at unless given. */
  readonly plane?: number;
  readonly seed?: number;
  readonly threads?: number;
  readonly progress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface SubjectLandscape {
  readonly name: string;
  readonly line: LineScan;
  readonly plane?: PlaneScan;
}

/** Plain data: what is printed, drawn and written as JSON. */
export interface Landscape {
  readonly network: string;
  readonly images: number;
  readonly epsilon: number;
  readonly samples: number;
  readonly seed: number;
  readonly subjects: readonly SubjectLandscape[];
}

/** Purposes of the seed; a purpose never changes its number. */
const STREAMS = { direction: 1, second: 2, smoothing: 3 } as const;

type Look = Omit<LandscapeOptions, 'subjects' | 'progress'> & { readonly key: Key };

async function directionFrom(
  { direction = 'random', key, relaxations }: Look,
  { network }: Subject,
  theta: Float32Array,
  surfaces: Readonly<Record<string, Surface>>,
): Promise<Float32Array> {
  const layout = parameterLayout(network);
  if (direction === 'random') return randomDirection(deriveKey(key, STREAMS.direction, 0), theta, layout);
  if (direction !== 'gradient') return directionTo(flatten(direction, layout), theta);
  const differentiable = relaxations.find((name) => surfaces[name]?.gradient !== undefined);
  if (differentiable === undefined)
    throw new UsageError(
      `direction gradient: expected a relaxation with a derivative, got ${relaxations.join(', ')}; add ibp`,
    );
  const gradient = surfaces[differentiable]?.gradient as NonNullable<Surface['gradient']>;
  return gradientDirection(await gradient(theta), theta);
}

/** @throws UsageError for a direction that cannot be; the reason of `signal` */
export async function landscape(options: LandscapeOptions): Promise<Landscape> {
  const { subjects, relaxations, batch, epsilon, samples, seed = 0, sigmas, plane } = options;
  const look: Look = { ...options, key: keyOf(seed) };
  const pool = createPool(options.threads);
  const scans = relaxations.length * sigmas.length * (plane === undefined ? 1 : 2);
  const found: SubjectLandscape[] = [];
  try {
    for (const [s, subject] of subjects.entries()) {
      const { network, parameters } = subject;
      const layout = parameterLayout(network);
      const theta = flatten(parameters, layout);
      const losses = relaxations.map((name) => [
        name,
        relaxedLoss(pool, name, { ...options, network, batch }),
      ]);
      const surfaces: Record<string, Surface> = Object.fromEntries(losses);
      const direction = await directionFrom(look, subject, theta, surfaces);
      const common = { ...options, surfaces, theta, key: deriveKey(look.key, STREAMS.smoothing, 0) };
      const told = (before: number) => (done: number) =>
        options.progress?.(s * scans + before + done, subjects.length * scans);
      const line = await scanLine({ ...common, direction, progress: told(0) });
      const second = randomDirection(deriveKey(look.key, STREAMS.second, 0), theta, layout);
      const directions: [Float32Array, Float32Array] = [direction, second];
      const seen =
        plane === undefined
          ? undefined
          : await scanPlane({ ...common, directions, points: plane, progress: told(scans / 2) });
      found.push({ name: subject.name, line, ...(seen && { plane: seen }) });
    }
  } finally {
    await pool.close();
  }
  const network = subjects[0]?.network.name ?? '';
  return { network, images: batch.labels.length, epsilon, samples, seed, subjects: found };
}
