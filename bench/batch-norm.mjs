/**
 * `node bench/batch-norm.mjs [--architecture cnn7-bn] [--micro-batch 64] [--threads 1]`: time and peak memory of IBP training steps on
 * CIFAR-10 shapes, batch 128; the target is 8 GB. Random pixels: neither depends on what images show.
 */
import { parseArgs } from 'node:util';
import {
  architecture,
  createObjective,
  createPool,
  flatten,
  initialize,
  keyOf,
  parameterLayout,
  pooledObjective,
  relaxations,
  uniforms,
} from '../dist/index.js';

const { values } = parseArgs({
  options: {
    architecture: { type: 'string', default: 'cnn7-bn' },
    'micro-batch': { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
  },
});
const BATCH = 128;
const STEPS = 2;

const network = architecture(values.architecture, [3, 32, 32], 10, { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] });
const layout = parameterLayout(network);
const theta = flatten(initialize(network, 'ibp', keyOf(0)), layout);
const microBatch = Number(values['micro-batch']);
const objective = createObjective({ network, relaxation: relaxations.ibp, microBatch, natural: 'accuracy', warmupRegularizer: true, l1: 1e-6 });
const images = new Float32Array(BATCH * 3072);
uniforms(keyOf(3), images);
const labels = Int32Array.from({ length: BATCH }, (_, i) => i % 10);
const pool = createPool(Number(values.threads));
const batch = pooledObjective(pool, objective, layout, { images, labels }, { epsilon: 2 / 255, kappa: 1, regularization: 0.5 });
const times = [];
for (let step = 0; step < STEPS; step++) {
  const start = performance.now();
  await batch.gradients(theta, [undefined]);
  times.push((performance.now() - start) / 1000);
}
await pool.close();
const peak = process.resourceUsage().maxRSS / 2 ** 20;
console.log(`${network.name}, batch ${BATCH} in micro-batches of ${microBatch}, ${values.threads} threads: peak ${peak.toFixed(1)} GB (target 8)`);
console.log(
  `first step ${times[0].toFixed(1)} s (it opens the programs), then ${times
    .slice(1)
    .map((t) => t.toFixed(1))
    .join(', ')} s`,
);
