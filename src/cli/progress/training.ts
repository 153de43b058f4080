/**
 * Progress of training on stderr: a bar on a terminal; elsewhere (a file, a batch system's log) one plain
 * line per epoch, or every ten seconds within a long one.
 */
import { Presets, SingleBar } from 'cli-progress';
import type { Output } from '../command.js';

/** What is known after a step. */
export interface ProgressState {
  /** Epochs done, fractional: 2.5 is halfway through the third. */
  readonly epoch: number;
  readonly loss: number;
  /** Accuracies on training batches, in [0, 1]; undefined where not computed. */
  readonly naturalAccuracy?: number;
  readonly certifiedAccuracy?: number;
  readonly adversarialAccuracy?: number;
  /** Images per second. */
  readonly samplesPerSecond?: number;
}

export interface Progress {
  update(state: ProgressState): void;
  /** Ends the bar with a newline, so that what follows starts on a line of its own. */
  stop(): void;
}

export interface ProgressOptions {
  readonly epochs: number;
  /** Epochs done when progress begins, more than 0 for a resumed run. */
  readonly startEpoch?: number;
  /** Milliseconds. */
  readonly now?: () => number;
  /** Longest time between plain lines, in milliseconds. */
  readonly interval?: number;
}

/** Starts showing progress on `output`. */
export function trainingProgress(output: Output, options: ProgressOptions): Progress {
  const now = options.now ?? Date.now;
  const start = now();
  const first = options.startEpoch ?? 0;
  const secondsLeft = (epoch: number): number => {
    const done = epoch - first;
    return done > 0 ? (((now() - start) / 1000) * (options.epochs - epoch)) / done : Number.NaN;
  };
  const describe = (state: ProgressState): string =>
    description(state, options.epochs, secondsLeft(state.epoch));
  return output.isTTY
    ? bar(output, options.epochs, first, describe)
    : plainLines(output, options.interval ?? 10_000, now, first, describe);
}

function bar(
  output: Output,
  epochs: number,
  first: number,
  describe: (state: ProgressState) => string,
): Progress {
  const shown = new SingleBar(
    { format: '{bar} {status}', stream: output, barsize: 20, fps: 5, gracefulExit: false },
    Presets.shades_classic,
  );
  shown.start(epochs, first, { status: `epoch ${first}/${epochs}` });
  return {
    update: (state) => shown.update(state.epoch, { status: describe(state) }),
    stop: () => shown.stop(),
  };
}

function plainLines(
  output: Output,
  interval: number,
  now: () => number,
  first: number,
  describe: (state: ProgressState) => string,
): Progress {
  let lastTime = now();
  let lastEpoch = Math.floor(first);
  return {
    update(state) {
      const epochEnded = Math.floor(state.epoch) > lastEpoch;
      if (!epochEnded && now() - lastTime < interval) return;
      lastTime = now();
      lastEpoch = Math.floor(state.epoch);
      output.write(`${describe(state)}\n`);
    },
    stop() {},
  };
}

/** "epoch 3.2/70, loss 0.412, natural 97.1%, certified 88.0%, 5210 images/s, 12m 30s left". */
function description(state: ProgressState, epochs: number, secondsLeft: number): string {
  const percent = (accuracy: number): string => `${(100 * accuracy).toFixed(1)}%`;
  const parts = [
    `epoch ${Number.isInteger(state.epoch) ? state.epoch : state.epoch.toFixed(1)}/${epochs}`,
    `loss ${state.loss.toPrecision(3)}`,
  ];
  if (state.naturalAccuracy !== undefined) parts.push(`natural ${percent(state.naturalAccuracy)}`);
  if (state.certifiedAccuracy !== undefined) parts.push(`certified ${percent(state.certifiedAccuracy)}`);
  if (state.adversarialAccuracy !== undefined)
    parts.push(`adversarial ${percent(state.adversarialAccuracy)}`);
  if (state.samplesPerSecond !== undefined) parts.push(`${Math.round(state.samplesPerSecond)} images/s`);
  if (Number.isFinite(secondsLeft)) parts.push(`${duration(secondsLeft)} left`);
  return parts.join(', ');
}

/** Seconds as "45s", "12m 30s", "3h 05m". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const padded = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${padded(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${padded(Math.floor((whole % 3600) / 60))}m`;
}
