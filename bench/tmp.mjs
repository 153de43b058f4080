import { createRequire } from 'node:module';
import { architecture, createObjective, initialize, keyOf, relaxations } from 'tautnet';
import { createExecutor, uniforms } from 'tautnet/runtime';

const addon = createRequire(import.meta.url)('../dist/native/rows.node');
const network = architecture('cnn3', [1, 28, 28], 10);
const images = new Float32Array(32 * 784);
uniforms(keyOf(3), images);
const cpu = () => {
  const c = process.cpuUsage();
  return (c.user + c.system) / 1000;
};
let spent = {};
const orig = addon.rows;
addon.rows = (...a) => {
  const t = cpu();
  orig(...a);
  const k = a[5].length ? 'kernel grad' : 'kernel value';
  spent[k] = (spent[k] ?? 0) + cpu() - t;
};
const { InferenceSession } = (await import('onnxruntime-node')).default;
for (const name of process.argv.slice(2))
  for (const gradient of [false, true]) {
    const o = createObjective({ network, relaxation: relaxations[name], microBatch: 32, natural: 'none' });
    const plan = gradient ? o.gradient : o.value;
    const ex = createExecutor();
    const feeds = {
      ...initialize(network, 'kaiming', keyOf(0)),
      images,
      labels: Int32Array.from({ length: 32 }, (_, i) => i % 10),
      weight: new Float32Array(32).fill(1 / 32),
      epsilon: Float32Array.of(0.1),
      kappa: Float32Array.of(1),
      regularization: Float32Array.of(0),
    };
    await ex.run(plan, feeds);
    await ex.run(plan, feeds);
    const s = Object.getPrototypeOf(await InferenceSession.create(plan.programs[0].bytes.slice()));
    const run0 = s.run;
    const per = {};
    s.run = async function (...a) {
      const t = cpu();
      const r = await run0.apply(this, a);
      const k = Object.keys(a[1] ?? {})
        .slice(0, 2)
        .join(',');
      per[k] = (per[k] ?? 0) + cpu() - t;
      return r;
    };
    spent = {};
    const c0 = cpu();
    const n = 10;
    for (let i = 0; i < n; i++) await ex.run(plan, feeds);
    const all = (cpu() - c0) / n;
    s.run = run0;
    console.log(
      name,
      gradient,
      all.toFixed(1),
      JSON.stringify(
        Object.fromEntries(
          [...Object.entries(spent), ...Object.entries(per)].map(([k, v]) => [k, +(v / n).toFixed(1)]),
        ),
      ),
    );
  }
