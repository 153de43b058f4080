/** Progress of downloads on stderr: a bar on a terminal, elsewhere one line every ten seconds. */
import { Presets, SingleBar } from 'cli-progress';
import type { DownloadProgress } from '../../data/fetch/download.js';
import type { Output } from '../command.js';

export interface FetchProgress {
  update(state: DownloadProgress): void;
  /** Ends the bar with a newline. */
  stop(): void;
}

/** Starts showing progress on `output`. @param interval shortest time between plain lines, in milliseconds */
export function fetchProgress(
  output: Output,
  { now = Date.now, interval = 10_000 }: { now?: () => number; interval?: number } = {},
): FetchProgress {
  return output.isTTY ? bar(output) : plainLines(output, now, interval);
}

function bar(output: Output): FetchProgress {
  let shown: { bar: SingleBar; file: string } | undefined;
  const stop = (): void => {
    shown?.bar.stop();
    shown = undefined;
  };
  return {
    update(state) {
      if (shown?.file !== state.file) {
        stop();
        const started = new SingleBar(
          { format: '{bar} {status}', stream: output, barsize: 20, fps: 5, gracefulExit: false },
          Presets.shades_classic,
        );
        started.start(state.total ?? state.received, 0, { status: state.file });
        shown = { bar: started, file: state.file };
      }
      shown.bar.update(state.received, { status: described(state) });
    },
    stop,
  };
}

function plainLines(output: Output, now: () => number, interval: number): FetchProgress {
  let last = now();
  return {
    update(state) {
      if (now() - last < interval) return;
      last = now();
      output.write(`${described(state)}\n`);
    },
    stop() {},
  };
}

/** "cifar-10-binary.tar.gz: 85 of 170 MB", "decoded: 5000 of 110000 images". */
function described({ file, received, total, unit }: DownloadProgress): string {
  const amount = (value: number): string => (unit === 'images' ? String(value) : (value / 1e6).toFixed(1));
  return `${file}: ${amount(received)}${total === undefined ? '' : ` of ${amount(total)}`} ${unit ?? 'MB'}`;
}
