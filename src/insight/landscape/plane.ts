/** Losses on a plane θ + a·d + b·e in parameter space, raw or smoothed. */
import { deriveKey, type Key } from '../../runtime/random/keys.js';
import { moved } from './direction.js';
import { meanOf, pairMeans } from './line.js';
import type { Surface } from './surface.js';

export interface PlaneOptions {
  readonly surfaces: Readonly<Record<string, Surface>>;
  readonly theta: Float32Array;
  /** Each as long as θ. */
  readonly directions: readonly [Float32Array, Float32Array];
  /** a and b go from −span to span. */
  readonly span: number;
  /** Points of each axis. */
  readonly points: number;
  readonly sigmas: readonly number[];
  /** Antithetic pairs for each point, where σ > 0. */
  readonly samples: number;
  readonly key: Key;
  readonly progress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface PlaneScan {
  /** Values of a and of b. */
  readonly axis: readonly number[];
  readonly surfaces: readonly {
    readonly relaxation: string;
    readonly sigma: number;
    /** A row for each b, a column for each a. */
    readonly values: readonly number[];
  }[];
}

/** @throws the reason of `signal` */
export async function scanPlane(options: PlaneOptions): Promise<PlaneScan> {
  const { surfaces, theta, directions, span, points, sigmas, samples, key, progress, signal } = options;
  const axis = Array.from({ length: points }, (_, i) => span * ((2 * i) / (points - 1) - 1));
  const keys = Array.from({ length: samples }, (_, i) => deriveKey(key, i, 0));
  const names = Object.keys(surfaces);
  const cells = axis.flatMap((b) => axis.map((a) => [a, b] as const));
  const found: PlaneScan['surfaces'][number][] = [];
  for (const sigma of sigmas)
    for (const relaxation of names) {
      const surface = surfaces[relaxation] as Surface;
      const at = async ([a, b]: readonly [number, number]): Promise<number> => {
        signal?.throwIfAborted();
        const point = moved(theta, [a, directions[0]], [b, directions[1]]);
        return sigma === 0
          ? surface.value(point)
          : meanOf(pairMeans(await surface.pairs(point, sigma, keys)));
      };
      found.push({ relaxation, sigma, values: await Promise.all(cells.map(at)) });
      progress?.(found.length, sigmas.length * names.length);
    }
  return { axis, surfaces: found };
}
