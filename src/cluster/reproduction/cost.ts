/**
 * What experiments will cost: steps of each kind of row are measured; certification is what finished runs of
 * the same folder took an image, or else assumed.
 */
import { type SweepCost, sweepCost } from '../cost.js';
import type { SweepDefinition } from '../definition.js';
import { type Sharing, sharesOf } from '../run-locally.js';
import type { Assignment } from '../search/parameter.js';
import type { Experiment } from './claims.js';
import { finalPath, readPart, tuningPath } from './evidence-folder.js';
import { knownTrials, type Phase, runsOf } from './known-runs.js';
import type { ReproductionOptions } from './reproduce.js';
import { bestPoints, finalSweep, type RowTrial, rowTrials, tuningSweep } from './sweeps.js';

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

type CostOptions = Pick<ReproductionOptions, 'experiments' | 'seeds' | 'known' | 'signal' | 'out'> & {
  /** How this machine is shared among trials, where it does them all. */
  readonly sharing: Sharing;
};

/** Measures one step of each kind of each experiment that has not ended in its folder. */
export async function reproductionCost(options: CostOptions): Promise<ExperimentCost[]> {
  const costs: ExperimentCost[] = [];
  for (const experiment of options.experiments) {
    const tuning = tuningSweep(experiment);
    const tuned = await endedIn(tuningPath(options.out, experiment), tuning, experiment, 'tuning', options);
    const seeds = options.seeds ?? experiment.seeds;
    const final = finalSweep(experiment, likelyPoints(experiment, tuning, tuned), seeds);
    const ran = await endedIn(finalPath(options.out, experiment), final, experiment, 'final', options);
    costs.push({
      experiment: experiment.name,
      tuning: await partCost(tuning, tuned, options),
      final: await partCost(final, ran, options),
    });
  }
  return costs;
}

/** What has ended in a part's folder; where it has none, what tables tell of it. */
async function endedIn(
  path: string,
  definition: SweepDefinition,
  { name }: Experiment,
  phase: Phase,
  { known = [] }: Pick<ReproductionOptions, 'known'>,
): Promise<RowTrial[]> {
  const folder = await readPart(path);
  return folder === undefined ? knownTrials(definition, runsOf(known, name, phase)) : rowTrials(folder);
}

/** The best point of rows whose whole tuning has ended; where the others begin. */
function likelyPoints(
  experiment: Experiment,
  { labels = [] }: SweepDefinition,
  tuned: readonly RowTrial[],
): ReadonlyMap<string, Assignment> {
  const count = (names: readonly string[], row: string): number =>
    names.filter((name) => name === row).length;
  const ended = tuned.map(({ row }) => row);
  const whole = experiment.rows.filter(({ name }) => count(ended, name) >= count(labels, name));
  const starts = experiment.rows.map((row) => [row.name, { ...row.settings, ...row.start }] as const);
  return new Map([...starts, ...bestPoints({ ...experiment, rows: whole }, tuned)] as [string, Assignment][]);
}

async function partCost(
  asked: SweepDefinition,
  ended: readonly RowTrial[],
  { sharing, signal }: Pick<CostOptions, 'sharing' | 'signal'>,
): Promise<PartCost> {
  const left = withoutEnded(asked, ended);
  if (left.labels?.length === 0)
    return { ...{ kinds: [], trials: 0, seconds: 0 }, certifying: 0, isMeasured: ended.length > 0 };
  const shares = sharesOf(sharing);
  const cost = await sweepCost(left, { ...shares, signal });
  const images = asked.judge.images ?? (asked.judge.on === 'test' ? TEST_IMAGES : heldOut(asked));
  const timed = ended.filter(({ result }) => result.judgingSeconds !== undefined);
  const seconds = (left.labels ?? []).reduce(
    (sum, row) => sum + images * secondsAnImage(row, asked, timed),
    0,
  );
  return {
    ...cost,
    certifying: seconds / Math.min(shares.parallel, cost.trials),
    isMeasured: timed.length > 0,
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
  return sum(({ judgingSeconds = 0 }) => judgingSeconds) / sum(({ images }) => images);
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
