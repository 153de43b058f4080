/**
 * Progress of a certification on stderr: a bar on a terminal; elsewhere a plain line at the end of each
 * stage, or every ten seconds.
 */
import { Presets, SingleBar } from 'cli-progress';
import type { CertificationProgress } from '../../verification/certification/options.js';
import type { Output } from '../command.js';

export interface ShownProgress {
  update(progress: CertificationProgress): void;
  /** Ends the bar with a newline, so that what follows starts on a line of its own. */
  stop(): void;
}

export interface ShownProgressOptions {
  /** Milliseconds. */
  readonly now?: () => number;
  /** Longest time between plain lines, in milliseconds. */
  readonly interval?: number;
}

/** Starts showing progress on `output`. */
export function certificationProgress(
  output: Output,
  { now = Date.now, interval = 10_000 }: ShownProgressOptions = {},
): ShownProgress {
  return output.isTTY ? bar(output) : plainLines(output, now, interval);
}

function bar(output: Output): ShownProgress {
  const shown = new SingleBar(
    { format: '{bar} {status}', stream: output, barsize: 20, fps: 5, gracefulExit: false },
    Presets.shades_classic,
  );
  shown.start(1, 0, { status: 'starting' });
  return {
    update(progress) {
      shown.setTotal(progress.total);
      shown.update(progress.done, { status: description(progress) });
    },
    stop: () => shown.stop(),
  };
}

function plainLines(output: Output, now: () => number, interval: number): ShownProgress {
  let lastTime = now();
  let latest: CertificationProgress | undefined;
  let written: CertificationProgress | undefined;
  const write = (): void => {
    if (latest === undefined || latest === written) return;
    written = latest;
    lastTime = now();
    output.write(`${description(latest)}\n`);
  };
  // What takes long is said even if nothing new comes.
  const timer = setInterval(write, interval).unref();
  return {
    update(progress) {
      if (progress.stage !== latest?.stage) write();
      latest = progress;
      if (now() - lastTime >= interval) write();
    },
    stop() {
      clearInterval(timer);
      write();
    },
  };
}

/** "crown: 320/1504 images, 7589 certified, 908 falsified so far". */
function description({ stage, done, total, certified, falsified, search }: CertificationProgress): string {
  const left = search === undefined ? '' : `, ${search.undecided} undecided`;
  const wrong = stage === 'natural' ? 'misclassified' : 'falsified';
  const counts =
    `${stage}: ${done}/${total} images, ` + `${certified} certified, ${falsified} ${wrong}${left} so far`;
  return search === undefined ? counts : `${counts}; ${searched(certified, falsified, search)}`;
}

/**
 * "robust accuracy 94.25–94.66 %; image 412: 1280 subproblems, bound −0.031": what is certified, and what is
 * not falsified.
 */
function searched(
  certified: number,
  falsified: number,
  { images, current }: NonNullable<CertificationProgress['search']>,
): string {
  const percent = (count: number): string => ((100 * count) / images).toFixed(2);
  const accuracy = `robust accuracy ${percent(certified)}–${percent(images - falsified)} %`;
  if (current === undefined) return accuracy;
  const bound = current.lowerBound === undefined ? '' : `, bound ${current.lowerBound.toPrecision(3)}`;
  return (
    `${accuracy}; image ${current.image}: ${current.subproblems} ` +
    `subproblem${current.subproblems === 1 ? '' : 's'}${bound}`
  );
}
