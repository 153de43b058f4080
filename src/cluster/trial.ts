/**
 * One trial of a sweep: a run trained up to a budget of epochs, or to its end, and judged there. A trial that
 * was stopped goes on from its last checkpoint; one that is promoted goes on from the budget before, to the
 * bits that it would have had in one go.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { commitOrVersion } from '../experiment/commit.js';
import { type Experiment, prepare } from '../experiment/prepare-training.js';
import { readDataset } from '../experiment/read-dataset.js';
import { loadLast } from '../experiment/run/checkpoint-folder.js';
import { createRun, openRun, type Run, runPaths } from '../experiment/run/run-folder.js';
import { RunInUse } from '../experiment/run/run-lock.js';
import { changeSettings, resolveSettings } from '../experiment/settings/resolve-settings.js';
import type { GivenSettings, Settings } from '../experiment/settings/settings.js';
import { trainRun } from '../experiment/train-run.js';
import { trainedNetwork } from '../experiment/trained-network.js';
import { featuresOf } from '../network/layers/layer.js';
import { flatten, type ParameterArrays, parameterLayout, views } from '../network/parameters.js';
import type { DeviceChoice } from '../runtime/device/device.js';
import { createPool, type Pool } from '../runtime/pool/pool.js';
import { stepsPerEpoch, type TrainingState } from '../training/loop.js';
import { representative } from '../training/weight-average.js';
import { certificateFiles, writeCertificate } from '../verification/certification/certificate.js';
import type { CertificationReport } from '../verification/certification/verdict.js';
import { type Judge, type Judgement, judge } from './judge.js';

/** What is to be done. Plain data. */
export interface TrialJob {
  readonly kind: 'trial';
  readonly id: string;
  /** Settings of the run; `out` is its folder. */
  readonly settings: GivenSettings;
  /** Epochs after which it pauses to be judged (default: all). */
  readonly budget?: number;
  readonly judge: Judge;
  /** Worker threads; they change no bit. */
  readonly threads: number;
  /** Where programs run; as the settings say unless given. */
  readonly device?: DeviceChoice;
}

/** How far a trial is. */
export interface TrialProgress {
  readonly epoch: number;
  readonly epochs: number;
  readonly loss?: number;
  readonly stage: 'training' | 'judging';
}

/** What a trial reached. */
export interface TrialResult extends Omit<Judgement, 'judgingSeconds'> {
  /** Wall clock of judging; unknown of a run that only a table tells. */
  readonly judgingSeconds?: number;
  /** Epochs done. */
  readonly epochs: number;
  /** Of training so far, wall clock, in minutes. */
  readonly minutes: number;
  /** SHA-256 of the parameters that were judged: equal bits, equal text. */
  readonly digest: string;
  /** What computed it: a commit, or a version. */
  readonly commit: string;
}

export interface TrialOptions {
  readonly signal?: AbortSignal;
  readonly progress?: (progress: TrialProgress) => void;
}

/** Thrown through the training loop at the end of the budget, after a checkpoint. */
class BudgetSpent extends Error {}

/** Longest wait for a process of an earlier sweep that is about to stop, in milliseconds. */
const PATIENCE = 60_000;

/** @throws Failure, UsageError, FileError as training does; the reason of `signal` after a checkpoint */
export async function performTrial(job: TrialJob, options: TrialOptions = {}): Promise<TrialResult> {
  const run = await enter(job);
  try {
    const pool = createPool(job.threads);
    try {
      const experiment = await prepare(run.settings, pool, undefined, options.signal);
      await trainTo(run, job, experiment, options);
      options.progress?.({ ...(await reached(run, experiment)), stage: 'judging' });
      return await judged(run, job.judge, experiment, pool, options.signal);
    } finally {
      await pool.close();
    }
  } finally {
    await run.release();
  }
}

/** The run of a trial, created or gone on with. */
async function enter({ settings, threads, device }: TrialJob): Promise<Run> {
  const resolved = { ...resolveSettings(settings), threads };
  const { out } = resolved;
  if (existsSync(runPaths(out).config)) {
    for (const deadline = Date.now() + PATIENCE; ; ) {
      try {
        const run = await openRun(out);
        return { ...run, settings: changeSettings(run.settings, { threads, ...(device && { device }) }) };
      } catch (error) {
        if (!(error instanceof RunInUse) || Date.now() > deadline) throw error;
        await sleep(250);
      }
    }
  }
  // What was killed before it had a configuration has nothing to go on with.
  await rm(out, { recursive: true, force: true });
  return createRun(out, resolved);
}

/** Epochs that the run has done by its last checkpoint. */
async function reached(run: Run, { options }: Experiment): Promise<{ epoch: number; epochs: number }> {
  const saved = (await loadLast(run.paths.checkpoints))?.value as { training?: TrainingState } | undefined;
  const epochs = run.settings.epochs;
  if (existsSync(run.paths.summary)) return { epoch: epochs, epochs };
  return { epoch: (saved?.training?.step ?? 0) / stepsPerEpoch(options), epochs };
}

async function trainTo(
  run: Run,
  { budget }: TrialJob,
  experiment: Experiment,
  { signal, progress }: TrialOptions,
): Promise<void> {
  const { epochs } = run.settings;
  const until = Math.min(budget ?? epochs, epochs);
  if ((await reached(run, experiment)).epoch >= until) return;
  const stop = new AbortController();
  const pass = (): void => stop.abort(signal?.reason);
  if (signal?.aborted) pass();
  signal?.addEventListener('abort', pass, { once: true });
  const watch = {
    step: ({ epoch, loss }: { epoch: number; loss: number }): void => {
      progress?.({ epoch, epochs, loss, stage: 'training' });
      if (epoch >= until && until < epochs) stop.abort(new BudgetSpent());
    },
  };
  try {
    await trainRun(run, watch, stop.signal);
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
  } finally {
    signal?.removeEventListener('abort', pass);
  }
}

/** The network at the end of the run, or at its last checkpoint. */
async function networkOfRun(
  run: Run,
  experiment: Experiment,
): Promise<{ network: Experiment['deployed']['network']; parameters: ParameterArrays }> {
  if (existsSync(run.paths.summary)) return trainedNetwork(run.path);
  const { deployed } = experiment;
  const saved = (await loadLast(run.paths.checkpoints))?.value as unknown as { training: TrainingState };
  const theta = await deployed.folded(representative(saved.training));
  return { network: deployed.network, parameters: views(theta, deployed.layout) };
}

async function judged(
  run: Run,
  how: Judge,
  experiment: Experiment,
  pool: Pool,
  signal: AbortSignal | undefined,
): Promise<TrialResult> {
  const { settings, paths } = run;
  const { network, parameters } = await networkOfRun(run, experiment);
  const split = how.on === 'test' ? await testImages(settings) : experiment.validation;
  if (split === undefined) throw new Error('judge: expected validation images, the run holds none out');
  // Verdicts on test images are those of the run, where `compare` and `report` look for them.
  const keep = (report: CertificationReport): Promise<void> =>
    writeCertificate(
      certificateFiles(join(run.path, 'certificate.jsonl')),
      report,
      featuresOf(network.input),
      {
        dataset: settings.dataset,
        network: network.name,
        'clip-box': String(settings.clipBox),
      },
    );
  const judgement = await judge({ network, parameters, settings, split }, how, pool, {
    signal,
    ...(how.on === 'test' && { keep }),
  });
  const saved = (await loadLast(paths.checkpoints))?.value as unknown as { seconds: number };
  const theta = flatten(parameters, parameterLayout(network));
  return {
    ...judgement,
    epochs: (await reached(run, experiment)).epoch,
    minutes: saved.seconds / 60,
    digest: createHash('sha256')
      .update(new Uint8Array(theta.buffer, theta.byteOffset, theta.byteLength))
      .digest('hex'),
    commit: commitOrVersion(),
  };
}

const testImages = async ({ dataset, dataDir, pool }: Settings) =>
  (await readDataset(dataset, { dataDir, pool })).test;
