/**
 * `loss-kernel`: a whole objective, values only, in the loss kernel (`kernels/`) instead of programs: many
 * members, sets of parameters, in one call.
 *
 * A plan has both ways, as it may run where no kernel was built or on a device. The values are the same but
 * for the order in which sums are rounded.
 */
import { hostArray } from '../../../graph/tensor.js';
import type { KernelLoss, MemberPoints } from '../../kernels/loss-chain.js';
import { kernelLosses, LOSS_SUM_COUNT, LOSS_SUMS, type LossImages } from '../../kernels/loss-kernel.js';
import type { Feeds, Floats, Members } from '../run.js';
import type { Step } from '../step.js';
import type { StageKind } from './kind.js';

/**
 * The results of a plan without derivatives. Its feeds are those of an objective: images, labels, weight,
 * epsilon, kappa and regularization.
 */
export interface LossKernelStage {
  readonly kind: 'loss-kernel';
  readonly loss: KernelLoss;
}

export interface LossKernelStep extends Step {
  readonly kind: 'loss-kernel';
  readonly loss: KernelLoss;
}

const first = (feeds: Feeds, name: string): number => Number(feeds[name]?.[0] ?? 0);

/** Several micro-batches as one array. */
function joined<T extends Floats | Int32Array>(feeds: readonly Feeds[], name: string): T {
  const parts = feeds.map((feed) => feed[name] as T);
  const [one] = parts as [T, ...T[]];
  if (parts.length === 1) return one;
  const all = new (one.constructor as new (length: number) => T)(one.length * parts.length);
  for (const [i, part] of parts.entries()) all.set(part as never, i * one.length);
  return all;
}

/** Loss, counts and parts of a member on a micro-batch, by name, from the kernel's sums. */
function outputsOf(
  { natural, l1, warmup }: KernelLoss,
  sums: Float64Array,
  feeds: Feeds,
): Record<string, number> {
  const of = (name: keyof typeof LOSS_SUMS) => sums[LOSS_SUMS[name]] as number;
  const mixes = natural === 'loss';
  const kappa = first(feeds, 'kappa');
  const [share, rest] = mixes ? [kappa, 1 - kappa] : [1, 0];
  let [weights, images] = [0, 0];
  for (const w of feeds.weight as Floats) {
    weights += w;
    images += w > 0 ? 1 : 0;
  }
  const penalty = l1 * of('norm') + (warmup ? first(feeds, 'regularization') * of('regularizer') : 0);
  const robust = share * of('robustWeighted');
  return {
    loss: (mixes ? rest * of('naturalWeighted') + robust : robust) + penalty * weights,
    natural: of('natural'),
    certified: of('certified'),
    naturalLoss: rest * of('naturalSum'),
    robustLoss: share * of('robustSum'),
    regularizationLoss: penalty * images,
  };
}

/** Results of each member on each micro-batch, [members, micro-batches, results]. */
function losses(
  loss: KernelLoss,
  results: readonly string[],
  members: MemberPoints,
  feeds: readonly Feeds[],
): Float64Array {
  const [one] = feeds as readonly [Feeds, ...Feeds[]];
  const on: LossImages = {
    images: joined<Floats>(feeds, 'images'),
    labels: joined<Int32Array>(feeds, 'labels'),
    weight: joined<Floats>(feeds, 'weight'),
    epsilon: first(one, 'epsilon'),
    regularizer: loss.warmup && first(one, 'regularization') !== 0,
  };
  const sums = kernelLosses(loss, members, on);
  const rounded = on.images instanceof Float64Array ? (x: number) => x : Math.fround;
  const values = new Float64Array((sums.length / LOSS_SUM_COUNT) * results.length);
  for (let i = 0, at = 0; at < sums.length; at += LOSS_SUM_COUNT) {
    const feed = feeds[(at / LOSS_SUM_COUNT) % feeds.length] as Feeds;
    const outputs = outputsOf(loss, sums.subarray(at, at + LOSS_SUM_COUNT), feed);
    for (const name of results) values[i++] = rounded(outputs[name] as number);
  }
  return values;
}

/** The parameters that are fed by name, as one member. */
function onlyMember({ layers }: KernelLoss, arrays: ReadonlyMap<string, unknown>): MemberPoints {
  const names = layers.flatMap(({ weight, bias }) => [weight, bias]);
  const found = names.map((name) => arrays.get(name) as Floats);
  const coordinates = found.reduce((sum, { length }) => sum + length, 0);
  const points = hostArray(found[0] instanceof Float64Array ? 'float64' : 'float32', coordinates) as Floats;
  const offsets: Record<string, number> = {};
  let offset = 0;
  for (const [i, array] of found.entries()) {
    offsets[names[i] as string] = offset;
    points.set(array, offset);
    offset += array.length;
  }
  return { points, coordinates, offsets };
}

export const lossKernel: StageKind<LossKernelStage, LossKernelStep> = {
  hasPopulations: false,
  compile({ kind, loss }, compiler) {
    const step: LossKernelStep = { kind, loss };
    compiler.forward(step);
  },
  async run(run, { loss }) {
    const feeds = Object.fromEntries(run.arrays) as Feeds;
    const { results } = run.plan;
    const values = losses(loss, results, onlyMember(loss, run.arrays), [feeds]);
    const dtype = feeds.images instanceof Float64Array ? 'float64' : 'float32';
    for (const [i, name] of results.entries()) {
      const scalar = hostArray(dtype, 1);
      scalar[0] = values[i] as number;
      run.arrays.set(name, scalar);
    }
  },
  runMembers({ loss }, results, { points, layout, coordinates }: Members, feeds) {
    const offsets = Object.fromEntries(layout.map(({ name, offset }) => [name, offset]));
    return losses(loss, results, { points, coordinates, offsets }, feeds);
  },
};
