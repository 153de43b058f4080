/**
 * A training run: the loop of an experiment, and its run folder kept so that it can go on from any moment.
 */
import type { DownloadProgress } from '../data/fetch/download.js';
import { writeFileAtomic } from '../formats/atomic-file.js';
import { exportOnnx } from '../network/onnx/export.js';
import { encodeParameters, views } from '../network/parameters.js';
import { type Device, DeviceError } from '../runtime/device/device.js';
import { rowsComputedBy } from '../runtime/kernels/row-kernel.js';
import { createPool } from '../runtime/pool/pool.js';
import { chooseDevice } from '../runtime/survey/devices.js';
import {
  averages,
  DivergenceError,
  type StepReport,
  stepsPerEpoch,
  type TrainingState,
  training,
} from '../training/loop.js';
import type { StepExchange } from '../training/placement/placement.js';
import { representative } from '../training/weight-average.js';
import { Failure } from './errors.js';
import { type Experiment, prepare } from './prepare-training.js';
import { loadBest, loadLast, saveBest, saveLast } from './run/checkpoint-folder.js';
import { openEventLog } from './run/event-log.js';
import { type MetricsRecord, openMetrics, readMetrics, unstableMetric } from './run/metrics.js';
import type { Run } from './run/run-folder.js';
import { summarize } from './run/summary.js';
import { sigmaAt } from './sigma-at.js';
import { validationScore } from './training-method.js';

/** What is told of a run on its way. */
export interface TrainingWatch {
  /** While the data set is downloaded or decoded, if it has to be. */
  data?(state: DownloadProgress): void;
  /** Before the first step; `epoch` is where the run goes on. */
  begin?(run: {
    readonly parameters: number;
    readonly images: number;
    readonly epoch: number;
    readonly device: Device;
    readonly warnings: readonly string[];
  }): void;
  /** After each step. */
  step?(report: {
    readonly epoch: number;
    readonly loss: number;
    readonly metrics: Readonly<Record<string, number>>;
    readonly samplesPerSecond: number;
  }): void;
}

/** What a checkpoint holds. */
interface Saved {
  readonly training: TrainingState;
  /** Best validation score so far. */
  readonly best: number | null;
  /** Seconds spent before this checkpoint. */
  readonly seconds: number;
}

/**
 * Trains from where the run's last checkpoint is, or from the start, until its last epoch; then writes the
 * network and the summary. A run that was created for it and cannot begin, for want of data say, is removed
 * again.
 * @param exchange other processes that evaluate perturbations, too
 * @throws the reason of `signal` once it is aborted and a checkpoint is written; Failure if training
 *  diverges, naming the last checkpoint, or
 *   if its device cannot go on, once a checkpoint is written
 */
export async function trainRun(
  run: Run,
  watch: TrainingWatch = {},
  signal?: AbortSignal,
  exchange?: StepExchange,
): Promise<void> {
  const { settings, paths } = run;
  // A run that was stopped can be resumed; one that cannot begin would only be in the way of the next.
  const giveUp = async (error: unknown): Promise<never> => {
    if (!signal?.aborted) await run.discard?.();
    throw error;
  };
  const device = await chooseDevice(settings.device).catch(giveUp);
  const pool = createPool(settings.threads, device, settings.memory);
  try {
    const prepared = await prepare(settings, pool, watch.data, signal).catch(giveUp);
    const experiment = { ...prepared, options: { ...prepared.options, exchange } };
    const loaded = await loadLast(paths.checkpoints);
    const saved = loaded?.value as unknown as Saved | undefined;
    const state = saved?.training ?? experiment.first;
    const perEpoch = stepsPerEpoch(experiment.options);
    const images = experiment.options.train.count;
    watch.begin?.({
      parameters: state.theta.length,
      images,
      epoch: state.step / perEpoch,
      device,
      warnings: [...(loaded?.warnings ?? []), ...otherRows(run, device)],
    });
    const theta = await keepTraining(run, experiment, state, saved, watch, signal);
    await finish(run, experiment, theta);
  } catch (error) {
    throw error instanceof DeviceError
      ? new Failure(`${error.message}; go on with \`tautnet train --resume ${run.path}\``, { cause: error })
      : error;
  } finally {
    await pool.close();
  }
}

/** Says of a run that goes on with other kernels, or without, that its last bits may change. */
function otherRows({ path, rows }: Run, device: Device): string[] {
  const now = rowsComputedBy();
  if (device !== 'cpu' || rows === undefined || rows === now) return [];
  return [
    `${path}: expected layers and rows computed by ${rows} as before, they are by ${now}: last bits ` +
      'may differ; see TAUTNET_ROWS and npm run build',
  ];
}

/**
 * How old what is on the host of a training on a device may become: so many seconds of work are lost with the
 * device.
 */
const SETTLED_SECONDS = 10;

async function keepTraining(
  run: Run,
  experiment: Experiment,
  from: TrainingState,
  saved: Saved | undefined,
  watch: TrainingWatch,
  signal: AbortSignal | undefined,
): Promise<Float32Array> {
  const { settings, paths } = run;
  const started = performance.now();
  const before = saved?.seconds ?? 0;
  const elapsed = () => before + (performance.now() - started) / 1000;
  let best = saved?.best ?? null;
  // The state after the last epoch, and the last with which nothing is left to do: what a device that stops
  // in the middle of a step leaves.
  let [last, settled] = [from, from];
  let settledAt = started;
  let images = 0;
  let lastSaved = performance.now();
  const save = async (at: TrainingState) => {
    run.check();
    await saveLast(paths.checkpoints, { training: at, best, seconds: elapsed() } satisfies Saved);
    lastSaved = performance.now();
  };
  const metrics = openMetrics(paths.metrics, from.step);
  const events = openEventLog(paths, settings, await readMetrics(paths.metrics));
  try {
    for await (const report of training(experiment.options, from)) {
      images += report.images;
      const { loss, metrics: counts } = averages(report.sums);
      const samplesPerSecond = images / ((performance.now() - started) / 1000);
      watch.step?.({ epoch: report.epoch, loss, metrics: counts, samplesPerSecond });
      const epoch = Math.round(report.epoch);
      if (report.epochEnded) {
        last = await report.state();
        const theta = representative(last);
        const { held, unstable } = await experiment.validate(theta);
        const score = validationScore(settings.method, held);
        const sigma = sigmaAt(settings, report.epoch / settings.epochs, last.estimator);
        const line = {
          ...record(report, loss, counts, held, samplesPerSecond, elapsed()),
          ...Object.fromEntries(unstable.map((share, k) => [unstableMetric(k), share])),
          sigma,
        };
        metrics.write(line);
        events.write(line);
        if (score !== undefined && (best === null || score >= best)) {
          best = score;
          await saveBest(paths.checkpoints, { step: report.step, theta, score });
        }
      }
      const stale =
        settings.checkpointSeconds > 0 && performance.now() - lastSaved > 1000 * settings.checkpointSeconds;
      const due = report.epochEnded && (epoch % settings.checkpointEvery === 0 || epoch === settings.epochs);
      const old = performance.now() - settledAt > 1000 * SETTLED_SECONDS;
      if (report.onHost || report.epochEnded || due || stale || old || signal?.aborted) {
        const state = report.epochEnded ? last : await report.state();
        if (due || stale || signal?.aborted) await save(state);
        if (signal?.aborted) throw signal.reason;
        // Never older than what was saved, which it may replace.
        settled = state;
        settledAt = performance.now();
      }
    }
  } catch (error) {
    if (error instanceof DeviceError) await save(settled);
    if (!(error instanceof DivergenceError)) throw error;
    const last = (await loadLast(paths.checkpoints))?.path;
    throw new Failure(`${error.message}; last good checkpoint: ${last ?? 'none was written yet'}`, {
      cause: error,
    });
  } finally {
    metrics.close();
    events.close();
  }
  return representative(last);
}

/** One line of the metrics file, for an epoch. */
function record(
  { step, epoch, scalars, learningRate }: StepReport,
  loss: number,
  counts: Readonly<Record<string, number>>,
  held: Readonly<Record<string, number>>,
  samplesPerSecond: number,
  seconds: number,
): MetricsRecord {
  return {
    step,
    epoch: Math.round(epoch),
    epsilon: scalars.epsilon,
    kappa: scalars.kappa,
    beta: scalars.beta,
    learningRate,
    loss,
    naturalLoss: counts.naturalLoss,
    robustLoss: counts.robustLoss,
    regularizationLoss: counts.regularizationLoss,
    naturalAccuracy: counts.natural,
    certifiedAccuracy: counts.certified,
    adversarialAccuracy: counts.adversarial,
    jumps: counts.jumps,
    clipped: counts.clipped,
    validationNaturalAccuracy: held.natural,
    validationCertifiedAccuracy: held.certified,
    validationAdversarialAccuracy: held.adversarial,
    validationLoss: held.loss,
    samplesPerSecond: Math.round(samplesPerSecond),
    seconds: Math.round(seconds * 10) / 10,
  };
}

/** The parameters that did best on the validation images. */
async function bestOf(checkpoints: string): Promise<Float32Array> {
  const best = (await loadBest(checkpoints)) as { readonly theta?: Float32Array } | undefined;
  if (best?.theta === undefined)
    throw new Failure(
      `${checkpoints}: expected the best checkpoint of the run, there is none; was it removed?`,
    );
  return best.theta;
}

async function finish(run: Run, { deployed }: Experiment, theta: Float32Array): Promise<void> {
  const { paths, settings } = run;
  run.check();
  const { network, layout } = deployed;
  const arrays = views(
    await deployed.folded(settings.select === 'best' ? await bestOf(paths.checkpoints) : theta),
    layout,
  );
  await writeFileAtomic(paths.parameters, encodeParameters(network, arrays));
  await writeFileAtomic(
    paths.network,
    exportOnnx(network, arrays, {
      dataset: settings.dataset,
      epsilon: settings.epsilon,
      ...(settings.pool !== 'none' && { metadata: { pool: settings.pool } }),
    }),
  );
  await writeFileAtomic(paths.summary, summarize(run, await readMetrics(paths.metrics)));
}
