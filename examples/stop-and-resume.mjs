/** A training that is stopped and goes on to the same bits: `node examples/stop-and-resume.mjs [folder]`. */
import { rmSync } from 'node:fs';
import { resume, train } from 'tautnet';

const folder = process.argv[2] ?? 'runs/stopped';
rmSync(folder, { recursive: true, force: true });
const settings = { architecture: 'fc-small', trainLimit: 128, validation: 32, batchSize: 32, epochs: 2 };
const stop = new AbortController();
const watch = { step: () => stop.abort(new Error('stopped after a step')) };
await train({ ...settings, out: folder, watch, signal: stop.signal }).catch((error) =>
  console.log(error.message),
);
const run = await resume(folder);
console.log(`${run.metrics.length} epochs, loss ${run.metrics.at(-1).loss}`);
