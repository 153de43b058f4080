// interleaved: kernel, ort, u; CPU-time medians
import { createRequire } from 'node:module';
const addon = createRequire(import.meta.url)('/work/wt-ibp/dist/native/rows.node');
import { workloads, unit } from '/work/wt-ibp/bench/workloads.mjs';
const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; };
let inKernel = 0; const calls = [];
const original = addon.propagate;
addon.propagate = (...args) => { const t = cpu(); original(...args); const d = cpu() - t; inKernel += d; calls.push(d.toFixed(1)); };
const median = (a) => a.toSorted((x, y) => x - y)[a.length >> 1];
const u = unit();
for (const name of (process.argv[2] ?? 'W1,W2,W5').split(',')) {
  process.env.TAUTNET_ROWS = 'native';
  const k = await workloads[name].prepare('cpu');
  process.env.TAUTNET_ROWS = 'ort';
  const o = await workloads[name].prepare('cpu');
  const t = { k: [], o: [], u: [], inKernel: [] };
  for (let i = 0; i < 12; i++) for (const [what, job, env] of [['k', k, 'native'], ['o', o, 'ort'], ['u', u, 'ort']]) {
    process.env.TAUTNET_ROWS = env; inKernel = 0; calls.length = 0;
    const a = cpu(); await job.run(); const d = cpu() - a;
    if (i > 1) { t[what].push(d); if (what === 'k') t.inKernel.push(inKernel); }
    if (i === 11 && what === 'k') t.calls = calls.join(' ');
  }
  const m = Object.fromEntries(['k', 'o', 'u', 'inKernel'].map((x) => [x, median(t[x])]));
  console.log(name, `kernel ${(m.k / m.u).toFixed(2)} u, programs ${(m.o / m.u).toFixed(2)} u; ms`, Object.entries(m).map(([a, b]) => a + ' ' + b.toFixed(1)).join(', '), 'calls', t.calls);
}
process.exit(0);
