/**
 * PGPE's steps per second over one and two one-thread processes against the ideal, which is twice one process
 * without a queue: CNN3 under CROWN-IBP, batch 256. It starts a redis-server of its own unless `--queue`
 * names a server.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { queueAddress } from '../dist/cluster/broker/address.js';
import { trainByWorkers } from '../dist/cluster/lead.js';
import { createRun } from '../dist/experiment/run/run-folder.js';
import { resolveSettings } from '../dist/experiment/settings/resolve-settings.js';
import { trainRun } from '../dist/experiment/train-run.js';
import { median } from './measure.mjs';

const PROGRAM = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const PORT = 17_379;
/** Steps that are timed, after those in which programs are built and workers join. */
const STEPS = 6;
const FIRST = 3;
/** Seconds in which a worker starts and reads its data, before steps are counted. */
const JOINING = 20;

const settingsOf = (pairs, out) =>
  resolveSettings({
    ...{ dataset: 'mnist', architecture: 'cnn3', relaxation: 'crown-ibp', smoothing: 'pgpe', samples: pairs },
    ...{ batchSize: 256, trainLimit: 5120, epochs: 100, warmupEpochs: 1, threads: 1, out },
  });

/** Median seconds of a step. @param wait seconds before steps are counted */
async function stepSeconds(folder, name, pairs, wait, train) {
  const out = join(folder, name);
  const run = await createRun(out, settingsOf(pairs, out));
  const stop = new AbortController();
  const done = new Error('measured');
  const started = performance.now();
  const times = [];
  let last;
  const watch = {
    step() {
      const now = performance.now();
      if (now - started > 1000 * wait && last !== undefined) times.push(now - last);
      last = now;
      if (times.length >= FIRST + STEPS) stop.abort(done);
    },
  };
  try {
    await train(run, watch, stop.signal);
  } catch (error) {
    if (error !== done) throw error;
  } finally {
    await run.release();
  }
  return median(times.slice(FIRST)) / 1000;
}

function ownServer() {
  const args = [
    '--port',
    String(PORT),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--maxmemory-policy',
    'noeviction',
  ];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  return { url: `redis://127.0.0.1:${PORT}`, stop: () => server.kill() };
}

/** @returns steps per second, and the share of the ideal that two processes reach */
export async function cluster({ queue, pairs = 64 } = {}) {
  if (queue === undefined && spawnSync('redis-server', ['--version']).status !== 0) {
    console.error(
      'bench: cluster is skipped, as redis-server is not installed; install it or give --queue URL',
    );
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'tautnet-bench-'));
  const server = queue === undefined ? ownServer() : { url: queue, stop() {} };
  const address = queueAddress(server.url);
  const led = (run, watch, signal) => trainByWorkers(run, address, watch, signal);
  try {
    await sleep(1000);
    const alone = await stepSeconds(folder, 'alone', pairs, 0, trainRun);
    const one = await stepSeconds(folder, 'one', pairs, 0, led);
    const argv = [PROGRAM, 'worker', '--queue', server.url, '--threads', '1'];
    const worker = spawn(process.execPath, argv, { stdio: 'ignore' });
    const two = await stepSeconds(folder, 'two', pairs, JOINING, led).finally(() => worker.kill('SIGTERM'));
    const shares = { one: alone / one, two: alone / (2 * two) };
    console.log(`PGPE over a queue, CNN3 CROWN-IBP, batch 256, ${pairs} pairs, one-thread processes`);
    console.log(`  no queue      ${(1 / alone).toFixed(3)} steps/s`);
    console.log(`  one process   ${(1 / one).toFixed(3)} steps/s, ${shares.one.toFixed(2)} of the ideal`);
    const reached = `${shares.two.toFixed(2)} of the ideal (target 0.85)`;
    console.log(`  two processes ${(1 / two).toFixed(3)} steps/s, ${reached}\n`);
    return { alone: 1 / alone, one: 1 / one, two: 1 / two, share: shares.two };
  } finally {
    server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
