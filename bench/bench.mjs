/**
 * `npm run bench [-- SECTION …] [--json] [--only NAME,…] [--device NAME] [--pairs N] [--batch N] [--memory
 * MB]`, the sections being
 *
 *   workloads  the default, with `--device` besides pgpe: the workloads of workloads.mjs in one process,
 *              each in one thread of its own, in ms and as a multiple of u, the median time of a 1024³
 *              float32 matrix product through the same runtime; then peak memory, each in a process of its
 *              own, PGPE's scaling and training steps with CROWN (two minutes)
 *   methods    training steps per second of every method, on CNN3 and CNN5 (tens of minutes)
 *   pgpe       PGPE evaluations per second with every relaxation (tens of minutes); with `--device`, cpu
 *              among them, on that device with 256 pairs and batch 512 (`--pairs`, `--batch`; on a device in
 *              software 1 and 4), how long it was idle and how far its losses are from the CPU's
 *   memory     peak memory of whole trainings of CNN7 with batch normalisation (about ten minutes; needs
 *              CIFAR-10)
 *   cluster    PGPE's steps per second over one and two processes and a queue, against twice one process
 *              (minutes; `--pairs`, `--queue URL`, else it needs redis-server)
 *   all        all of them
 *
 * With `--device`, the workloads run there and u stays that of the CPU; methods and memory know no device.
 * `--memory` is what programs of the section pgpe may take of it.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { chooseDevice, DEVICE_CHOICES } from 'tautnet/runtime';
import { cluster } from './cluster.mjs';
import { crownSteps } from './crown-step.mjs';
import { median } from './measure.mjs';
import { memory } from './memory.mjs';
import { methods } from './methods.mjs';
import { pgpe } from './pgpe.mjs';
import { pgpeOnDevice } from './pgpe-device.mjs';
import { pgpeRelaxations } from './pgpe-relaxations.mjs';
import { workloads } from './workloads.mjs';

const RUNS = 11;
const SECTIONS = ['workloads', 'methods', 'pgpe', 'memory', 'cluster'];
const { values, positionals } = parseArgs({
  options: {
    json: { type: 'boolean' },
    only: { type: 'string' },
    'peak-of': { type: 'string' },
    device: { type: 'string' },
    pairs: { type: 'string' },
    batch: { type: 'string' },
    memory: { type: 'string' },
    queue: { type: 'string' },
  },
  allowPositionals: true,
});
const unknown = positionals.find((name) => name !== 'all' && !SECTIONS.includes(name));
if (unknown !== undefined) {
  console.error(`bench: expected sections among ${SECTIONS.join(', ')} and all, got "${unknown}"`);
  process.exit(2);
}
if (values.device !== undefined && !DEVICE_CHOICES.includes(values.device)) {
  console.error(`bench: expected --device ${DEVICE_CHOICES.join(', ')}, got "${values.device}"`);
  process.exit(2);
}
/** A flag that is a whole number of at least 1. */
function count(name) {
  if (values[name] === undefined || /^[1-9]\d*$/.test(values[name]))
    return values[name] && Number(values[name]);
  console.error(`bench: expected --${name} to be a whole number of at least 1, got "${values[name]}"`);
  process.exit(2);
}
const accelerated = values.device !== undefined && values.device !== 'cpu';
const [pairs, batch, megabytes] = ['pairs', 'batch', 'memory'].map(count);
const sections = positionals.includes('all')
  ? SECTIONS
  : positionals.length > 0
    ? positionals
    : accelerated
      ? ['workloads', 'pgpe']
      : ['workloads'];
if (values.device !== undefined && sections.some((name) => !['workloads', 'pgpe'].includes(name))) {
  console.error(
    `bench: expected --device with the sections workloads and pgpe alone, got ${sections.join(', ')}`,
  );
  process.exit(2);
}
const device = await chooseDevice(values.device ?? 'cpu').catch(({ message }) => {
  console.error(`bench: ${message}`);
  process.exit(1);
});
const only = values.only?.split(',');

if (values['peak-of']) {
  const prepared = await workloads[values['peak-of']].prepare(device);
  if (prepared) for (let i = 0; i < 3; i++) await prepared.run();
  console.log(process.resourceUsage().maxRSS);
  process.exit(0);
}

/** Each section prints its table and gives its figures, rounded, by name. */
const measured = {
  workloads: workloadTimes,
  methods: async () => ({ methods: rounded(await methods(only)) }),
  pgpe: async () =>
    values.device === undefined
      ? { pgpe: rounded(await pgpeRelaxations(only)) }
      : { pgpe_device: await pgpeOnDevice(device, { pairs, batch, only, memory: megabytes }) },
  memory: () => ({ memory_gb: rounded(memory(only)) }),
  cluster: async () => ({ cluster: rounded(await cluster({ queue: values.queue, pairs })) }),
};
const figures = {};
for (const section of sections) Object.assign(figures, await measured[section]());
if (values.json) console.log(JSON.stringify(figures));

/** Numbers to three digits behind the point, at any depth. */
function rounded(value) {
  if (typeof value === 'number') return Number(value.toFixed(3));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, rounded(part)]));
}

async function workloadTimes() {
  const names = only ?? Object.keys(workloads);
  const unitTimes = [];
  const times = {};
  const milliseconds = {};
  for (const name of names) {
    const worker = new Worker(new URL('./workload-thread.mjs', import.meta.url), {
      workerData: { name, device, runs: RUNS },
    });
    const [found] = await once(worker, 'message');
    await worker.terminate();
    times[name] = null;
    if (found === null) continue;
    const [before, after] = found.units;
    unitTimes.push(before, after);
    milliseconds[name] = found.time;
    times[name] = found.time / ((before + after) / 2);
  }
  const u = median(unitTimes);
  const memory = Object.fromEntries(
    names.map((name) => {
      const out = execFileSync(
        process.execPath,
        [fileURLToPath(import.meta.url), '--peak-of', name, '--device', device],
        {
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      );
      return [name, Math.round(Number(out.toString().trim()) / 1024)];
    }),
  );
  const smoothing = only || device !== 'cpu' ? undefined : await pgpe();
  const crown = only || device !== 'cpu' ? undefined : await crownSteps();

  console.log(
    `u = ${u.toFixed(1)} ms (1024³ float32 matrix product, one ` +
      `thread)${device === 'cpu' ? '' : `; the workloads run on ${device}`}\n`,
  );
  for (const name of names) {
    const { what, target } = workloads[name];
    const measured =
      times[name] === null
        ? '   – (run `npm run quickstart` first)'
        : `${times[name].toFixed(2).padStart(6)} u ${milliseconds[name].toFixed(1).padStart(7)} ms`;
    console.log(
      `${name.padEnd(4)} ${measured}  target ${target} u  ${String(memory[name]).padStart(5)} MB  ${what}`,
    );
  }
  if (smoothing) {
    console.log(
      `\nPGPE, CNN3 IBP, batch 256: ${smoothing.one.toFixed(0)} evaluations/s on one worker, ` +
        `${smoothing.two.toFixed(0)} on two (${smoothing.scaling.toFixed(2)} ×, target 1.8)`,
    );
    console.log(
      `drawing normals takes ${(100 * smoothing.normals).toFixed(1)} % of such a step (target below 10 %)`,
    );
  }
  if (crown) {
    const trained = crown.trained?.toFixed(2) ?? '– (run `npm run quickstart` first)';
    console.log(
      `CROWN training step on ${crown.threads} threads, s: CNN3, batch 256, initialisation ` +
        `${crown.initial.toFixed(2)} (target 0.35 on two), trained ${trained} (0.12); ` +
        `CNN5, batch 128, from 64 images ${crown.cnn5.toFixed(1)}`,
    );
  }
  console.log();
  return {
    u_ms: rounded(u),
    ...rounded(times),
    ms: rounded(milliseconds),
    ...(crown && {
      crown_step_s: rounded(crown.initial),
      crown_step_trained_s: rounded(crown.trained),
      crown_step_cnn5_s: rounded(crown.cnn5),
    }),
    ...(smoothing && { pgpe_scaling: rounded(smoothing.scaling) }),
  };
}
