/** Progress of work in steps on stderr: a bar on a terminal, elsewhere a line every ten seconds. */
import { Presets, SingleBar } from 'cli-progress';
import type { Output } from '../command.js';

export interface StepsProgress {
  update(done: number, total: number): void;
  /** Ends the bar with a newline. */
  stop(): void;
}

/** @param what is counted, "curves" say */
export function stepsProgress(output: Output, what: string, interval = 10_000): StepsProgress {
  let bar: SingleBar | undefined;
  let told = Date.now();
  return {
    update(done, total) {
      if (output.isTTY) {
        const format = `{bar} {value}/{total} ${what}`;
        bar ??= new SingleBar({ format, stream: output, gracefulExit: false }, Presets.shades_classic);
        if (!bar.isActive) bar.start(total, done);
        bar.update(done);
      } else if (Date.now() - told >= interval) {
        told = Date.now();
        output.write(`${done}/${total} ${what}\n`);
      }
    },
    stop: () => bar?.stop(),
  };
}
