/**
 * `npm run bench [-- --json] [--only W1,W4]`: the workloads of workloads.mjs in one process and on one thread, each as a multiple of u,
 * the median time of a 1024³ float32 matrix product through the same runtime; then peak memory, each in a process of its own.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, medianTime } from './measure.mjs';
import { pgpe } from './pgpe.mjs';
import { unit, workloads } from './workloads.mjs';

const RUNS = 11;
const { values } = parseArgs({ options: { json: { type: 'boolean' }, only: { type: 'string' }, memory: { type: 'string' } } });

if (values.memory) {
  const prepared = await workloads[values.memory].prepare();
  if (prepared) for (let i = 0; i < 3; i++) await prepared.run();
  console.log(process.resourceUsage().maxRSS);
  process.exit(0);
}

const names = values.only ? values.only.split(',') : Object.keys(workloads);
const reference = unit();
const unitTimes = [];
const times = {};
for (const name of names) {
  const prepared = await workloads[name].prepare();
  if (prepared === undefined) {
    times[name] = null;
    continue;
  }
  // The unit is measured around every workload, because the machine's speed drifts.
  const before = await medianTime(reference.run, RUNS);
  const time = await medianTime(prepared.run, RUNS);
  const after = await medianTime(reference.run, RUNS);
  unitTimes.push(before, after);
  times[name] = time / ((before + after) / 2);
  await prepared.close();
}
await reference.close();
const u = median(unitTimes);
const memory = Object.fromEntries(
  names.map((name) => {
    const out = execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--memory', name], { stdio: ['ignore', 'pipe', 'ignore'] });
    return [name, Math.round(Number(out.toString().trim()) / 1024)];
  }),
);
const smoothing = values.only ? undefined : await pgpe();

console.log(`u = ${u.toFixed(1)} ms (1024³ float32 matrix product, one thread)\n`);
for (const name of names) {
  const { what, target } = workloads[name];
  const measured = times[name] === null ? '   – (run `npm run quickstart` first)' : `${times[name].toFixed(2).padStart(6)} u`;
  console.log(`${name.padEnd(4)} ${measured}  target ${target} u  ${String(memory[name]).padStart(5)} MB  ${what}`);
}
if (smoothing) {
  console.log(
    `\nPGPE, CNN3 IBP, batch 256: ${smoothing.one.toFixed(0)} evaluations/s on one worker, ${smoothing.two.toFixed(0)} on two (${smoothing.scaling.toFixed(2)} ×, target 1.8)`,
  );
  console.log(`drawing normals takes ${(100 * smoothing.normals).toFixed(1)} % of such a step (target below 10 %)`);
}
if (values.json) {
  const rounded = Object.fromEntries(Object.entries(times).map(([name, value]) => [name, value === null ? null : Number(value.toFixed(3))]));
  console.log(JSON.stringify({ u_ms: Number(u.toFixed(3)), ...rounded, ...(smoothing && { pgpe_scaling: Number(smoothing.scaling.toFixed(3)) }) }));
}
