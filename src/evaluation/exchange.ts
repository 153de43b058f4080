/**
 * One evaluation done by several processes: each keeps θ and draws the same perturbations from the same keys,
 * computes some of the values, and is given all of them. What travels is the values, in 64 bits: the losses
 * and counts of points or, for means of gradients, gradients as well.
 *
 * Values go into sums in the order of the perturbations, whoever computed them, so that the bits do not
 * depend on how many processes there are.
 */
import type { Objective } from '../objective/objective.js';
import type { Pool } from '../runtime/pool/pool.js';
import type { TaskPerturbation } from '../runtime/pool/task.js';
import { type BatchValues, metricsOf } from './batch-feeds.js';
import type { BatchObjective, Perturbations } from './batch-objective.js';
import { CpuObjective, type EvaluatedBatch, type PairValues } from './cpu.js';
import type { HostGradient } from './sums.js';

/** Tasks of one step: the bytes of task i do not depend on who computes it. */
export interface ExchangedTasks {
  readonly count: number;
  /** Bytes of the tasks from, …, to − 1, one after the other, all of one length. */
  compute(from: number, to: number): Promise<Uint8Array>;
}

/** Where the values of a step come from. */
export interface Exchange {
  /** @returns the bytes of all tasks, one after the other */
  values(tasks: ExchangedTasks): Promise<Uint8Array>;
}

/** Numbers of a point: its loss, and its metrics in the order of their names. */
const numbersOf = (objective: Objective, { loss, metrics }: BatchValues): number[] => [
  loss,
  ...metricsOf(objective).map((name) => metrics[name] as number),
];

const valuesOf = (objective: Objective, numbers: Float64Array): BatchValues => ({
  loss: numbers[0] as number,
  metrics: Object.fromEntries(metricsOf(objective).map((name, k) => [name, numbers[1 + k] as number])),
});

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Bytes may lie anywhere in their buffer: numbers need a place at a multiple of their size. */
const float64 = (bytes: Uint8Array): Float64Array => new Float64Array(Uint8Array.from(bytes).buffer);

/** The objective on one batch with perturbations evaluated by several processes. */
export class SpreadObjective extends CpuObjective {
  constructor(
    pool: Pool,
    on: EvaluatedBatch,
    private readonly exchange: Exchange,
    guide?: BatchObjective,
  ) {
    super(pool, on, guide);
  }

  protected override async pairsAt(theta: Float32Array, { keys, sigma }: Perturbations): Promise<PairValues> {
    const { objective } = this.on;
    const bytes = await this.exchange.values({
      count: keys.length,
      compute: async (from, to) => {
        const { plus, minus } = await super.pairsAt(theta, { keys: keys.slice(from, to), sigma });
        const numbers = plus.flatMap((value, i) =>
          [value, minus[i] as BatchValues].flatMap((each) => numbersOf(objective, each)),
        );
        return bytesOf(Float64Array.from(numbers));
      },
    });
    const numbers = float64(bytes);
    const width = 1 + metricsOf(objective).length;
    const point = (i: number) => valuesOf(objective, numbers.subarray(i * width, (i + 1) * width));
    return { plus: keys.map((_, i) => point(2 * i)), minus: keys.map((_, i) => point(2 * i + 1)) };
  }

  protected override async gradientsAt(
    theta: Float32Array,
    points: readonly TaskPerturbation[],
  ): Promise<readonly HostGradient[]> {
    const { objective } = this.on;
    const head = 8 * (1 + metricsOf(objective).length);
    const each = head + 4 * theta.length;
    const bytes = await this.exchange.values({
      count: points.length,
      compute: async (from, to) => {
        const all = await super.gradientsAt(theta, points.slice(from, to));
        const packed = new Uint8Array(all.length * each);
        for (const [i, point] of all.entries()) {
          packed.set(bytesOf(Float64Array.from(numbersOf(objective, point))), i * each);
          packed.set(bytesOf(point.gradient), i * each + head);
        }
        return packed;
      },
    });
    return points.map((_, i) => {
      const own = bytes.subarray(i * each, (i + 1) * each);
      const values = valuesOf(objective, float64(own.subarray(0, head)));
      return { ...values, gradient: new Float32Array(Uint8Array.from(own.subarray(head)).buffer) };
    });
  }
}
