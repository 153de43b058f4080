/**
 * What experiments will cost: steps of each kind of row are measured; certification is what finished runs of
 * the same folder took an image, or else assumed.
 */
import { type SweepCost, sweepCost } from '../cost.js';
import type { SweepDefinition } from '../definition.js';
import { sharesOf } from '../run-locally.js';
import type { SweepState } from '../sweep-state.js';
import { finalPath, readPart, tuningPath } from './evidence-folder.js';
import type { ReproductionOptions } from './reproduce.js';
import { finalSweep, type RowTrial, rowTrials, tuningSweep } from './sweeps.js';

/** What a sweep of an experiment will cost yet. */
export interface PartCost extends SweepCost {
  /** Wall clock of certification in all, with so many trials at a time. */
  readonly certifying: number;
  /** Whether finished runs told how long that takes. */
  readonly isMeasured: boolean;
}

export interface ExperimentCost {
  readonly experiment: string;
  readonly tuning: PartCost;
  readonly final: PartCost;
}

/** Test images of MNIST and CIFAR-10. */
const TEST_IMAGES = 10_000;
/**
 * Without finished runs: bounds and attack take 2 ms an image, and one image in 60 takes all the seconds of
 * branch and bound. Runs at scale small were between one in 2,000 (T) and one in 45 (S2).
 */
export const ASSUMED = { boundSeconds: 0.002, openImages: 60 } as const;

/** Measures one step of each kind of each experiment that has not ended in its folder. */
export async function reproductionCost(
  options: Pick<ReproductionOptions, 'experiments' | 'seeds' | 'sharing' | 'signal' | 'out'>,
): Promise<ExperimentCost[]> {
  const costs: ExperimentCost[] = [];
  for (const experiment of options.experiments) {
    const starts = new Map(experiment.rows.map((row) => [row.name, { ...row.settings, ...row.start }]));
    const seeds = options.seeds ?? experiment.seeds;
    const final = finalSweep(experiment, starts as never, seeds);
    costs.push({
      experiment: experiment.name,
      tuning: await partCost(
        tuningSweep(experiment),
        await readPart(tuningPath(options.out, experiment)),
        options,
      ),
      final: await partCost(final, await readPart(finalPath(options.out, experiment)), options),
    });
  }
  return costs;
}

async function partCost(
  asked: SweepDefinition,
  known: SweepState | undefined,
  { sharing, signal }: Pick<ReproductionOptions, 'sharing' | 'signal'>,
): Promise<PartCost> {
  const ended = known === undefined ? [] : rowTrials(known);
  const left = withoutEnded(asked, ended);
  if (left.labels?.length === 0)
    return { ...{ kinds: [], trials: 0, seconds: 0 }, certifying: 0, isMeasured: ended.length > 0 };
  const shares = sharesOf(sharing);
  const cost = await sweepCost(left, { ...shares, signal });
  const images = asked.judge.images ?? (asked.judge.on === 'test' ? TEST_IMAGES : heldOut(asked));
  const seconds = (left.labels ?? []).reduce(
    (sum, row) => sum + images * secondsAnImage(row, asked, ended),
    0,
  );
  return {
    ...cost,
    certifying: seconds / Math.min(shares.parallel, cost.trials),
    isMeasured: ended.length > 0,
  };
}

const heldOut = ({ settings }: SweepDefinition): number => settings.validation as number;

/** What finished runs of a row took, or those of all rows, or what is assumed. */
function secondsAnImage(row: string, { judge }: SweepDefinition, ended: readonly RowTrial[]): number {
  if (ended.length === 0) return ASSUMED.boundSeconds + (judge.complete ?? 0) / ASSUMED.openImages;
  const own = ended.filter((trial) => trial.row === row);
  const told = (own.length > 0 ? own : ended).map(({ result }) => result);
  const sum = (pick: (result: RowTrial['result']) => number): number =>
    told.reduce((total, result) => total + pick(result), 0);
  return sum(({ judgingSeconds }) => judgingSeconds) / sum(({ images }) => images);
}

/** The sweep without as many points of each row, the first, as have ended. */
function withoutEnded(asked: SweepDefinition, ended: readonly RowTrial[]): SweepDefinition {
  const counts = new Map<string, number>();
  for (const { row } of ended) counts.set(row, (counts.get(row) ?? 0) + 1);
  const kept = (asked.labels ?? []).map((row) => {
    const left = counts.get(row) ?? 0;
    counts.set(row, left - 1);
    return left <= 0;
  });
  return {
    ...asked,
    search: { ...asked.search, points: asked.search.points?.filter((_, i) => kept[i]) },
    labels: asked.labels?.filter((_, i) => kept[i]),
  };
}
