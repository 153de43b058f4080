/**
 * Objectives whose batch normalisation has the statistics of the whole batch: where a point of θ is
 * evaluated, its statistics are found first and stand behind θ, as parameters of the programs that are not
 * perturbed.
 */

import { combinedStatistics } from '../network/batch-statistics.js';
import { parameterCount } from '../network/parameters.js';
import type { StatisticsLayer } from '../objective/whole-batch.js';
import { CENTRE, MEAN_COTANGENT, VARIANCE_COTANGENT } from '../objective/whole-batch.js';
import type { Pool } from '../runtime/pool/pool.js';
import type { ParameterSlice, TaskFeeds, TaskPerturbation } from '../runtime/pool/task.js';
import { sharedBuffer } from '../runtime/shared-memory.js';

/** A point that programs are run at. */
export interface Point {
  readonly theta: Float32Array;
  readonly layout: readonly ParameterSlice[];
  readonly perturbation?: TaskPerturbation;
}

/** The layout of θ with each layer's mean and variance behind it. */
function extendedLayout(
  layout: readonly ParameterSlice[],
  layers: readonly StatisticsLayer[],
): ParameterSlice[] {
  let offset = parameterCount(layout);
  const behind = layers.flatMap(({ mean, variance, channels: size }) =>
    [mean, variance].map((name) => {
      const slot = { name, offset, size };
      offset += size;
      return slot;
    }),
  );
  return [...layout, ...behind];
}

/** σ of θ's coordinates, 0 of the statistics. */
function extendedSigma(sigma: number | Float32Array, theta: number, size: number): Float32Array {
  const extended = new Float32Array(size);
  if (typeof sigma === 'number') extended.fill(sigma, 0, theta);
  else extended.set(sigma);
  return extended;
}

const imagesIn = ({ weight }: TaskFeeds): number =>
  (weight as Float32Array).reduce((count, w) => count + (w > 0 ? 1 : 0), 0);

export class WholeBatch {
  constructor(
    private readonly pool: Pool,
    private readonly layers: readonly StatisticsLayer[],
    private readonly feeds: readonly TaskFeeds[],
  ) {}

  /** The point with the statistics of the batch there. */
  async at({ theta, layout, perturbation }: Point): Promise<Point> {
    const extended = extendedLayout(layout, this.layers);
    const size = parameterCount(extended);
    const all = new Float32Array(sharedBuffer(4 * size));
    all.set(theta);
    const point: Point = {
      theta: all,
      layout: extended,
      perturbation: perturbation && {
        key: perturbation.key,
        sigma: extendedSigma(perturbation.sigma, theta.length, size),
      },
    };
    let offset = theta.length;
    for (const { value, channels } of this.layers) {
      const parts = await Promise.all(
        this.feeds.map((feeds) => this.pool.run({ plan: value, feeds, ...point })),
      );
      const { mean, variance } = combinedStatistics(
        parts.map(({ outputs }, i) => ({
          mean: outputs.mean as Float32Array,
          variance: outputs.variance as Float32Array,
          images: imagesIn(this.feeds[i] as TaskFeeds),
        })),
      );
      all.set(mean, offset);
      all.set(variance, offset + channels);
      offset += 2 * channels;
    }
    return point;
  }

  /**
   * The derivative in θ from that in θ and in the statistics, each taken as independent: what reaches a
   * layer's statistics goes on to all that they depend on.
   */
  async through(point: Point, gradient: Float32Array, coordinates: number): Promise<Float32Array> {
    const sum = gradient;
    let offset = sum.length;
    for (const { gradient: plan, channels } of [...this.layers].reverse()) {
      offset -= 2 * channels;
      const wrt = new Set(plan.wrt.map(({ name }) => name));
      const feeds = {
        [CENTRE]: point.theta.slice(offset, offset + channels),
        [MEAN_COTANGENT]: sum.slice(offset, offset + channels),
        [VARIANCE_COTANGENT]: sum.slice(offset + channels, offset + 2 * channels),
      };
      const layout = point.layout.filter(({ name }) => wrt.has(name));
      const parts = await Promise.all(
        this.feeds.map((each) => this.pool.run({ ...point, plan, feeds: { ...each, ...feeds }, layout })),
      );
      for (const { gradient: part } of parts)
        for (let j = 0; j < sum.length; j++)
          sum[j] = (sum[j] as number) + ((part as Float32Array)[j] as number);
    }
    return sum.slice(0, coordinates);
  }
}
