/**
 * Progress of a sweep on stderr: on a terminal a table of what runs and what is best so far, drawn again in
 * place; elsewhere one line for each trial that ends.
 */
import { sweepLine, trialLine, trialTable } from '../../cluster/sweep-progress.js';
import type { SweepState } from '../../cluster/sweep-state.js';
import type { Output } from '../command.js';

export interface SweepProgress {
  update(state: SweepState): void;
  stop(): void;
}

/** Milliseconds between drawings. */
const INTERVAL = 500;

export function sweepProgress(output: Output): SweepProgress {
  return output.isTTY ? table(output) : lines(output);
}

function table(output: Output): SweepProgress {
  let latest: SweepState | undefined;
  let height = 0;
  const draw = (): void => {
    if (latest === undefined) return;
    const width = (output.columns || 100) - 1;
    const rows = [...trialTable(latest), sweepLine(latest)].map((row) => row.slice(0, width));
    // Back to the first row of the last drawing, and everything below it away.
    const back = height > 0 ? `\u001b[${height}A\u001b[J` : '';
    output.write(`${back}${rows.join('\n')}\n`);
    height = rows.length;
    latest = undefined;
  };
  const timer = setInterval(draw, INTERVAL).unref();
  return {
    update(state) {
      latest = state;
    },
    stop() {
      clearInterval(timer);
      draw();
    },
  };
}

function lines(output: Output): SweepProgress {
  const told = new Set<string>();
  let definition: SweepState['definition'] | undefined;
  return {
    update(state) {
      // Another sweep numbers its trials from 0 again.
      if (state.definition !== definition) told.clear();
      definition = state.definition;
      for (const each of state.states) {
        const { trial, end } = each;
        const id = `${trial.number}-${trial.rung}`;
        if (end === undefined || told.has(id)) continue;
        told.add(id);
        output.write(`${trialLine(state, each)}; ${sweepLine(state)}\n`);
      }
    },
    stop() {},
  };
}
