/**
 * `node bench/loading.mjs [--steps 40]`: how much of training is waiting for batches. CNN5 on CIFAR-10, batch
 * 128, flipped and cropped, natural training (the fastest steps there are) and IBP, on all cores; target:
 * below 2 % of the time of the steps.
 *
 * The images are CIFAR-10 where it is installed or in the cache, else random bytes of its size: neither is
 * faster to gather.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import {
  adam,
  architecture,
  assembleBatch,
  createEstimator,
  createObjective,
  createPool,
  epochBatches,
  initialize,
  initialState,
  keyOf,
  loadDataset,
  parameterLayout,
  relaxations,
  training,
} from 'tautnet';
import { augmentationNamed } from '../dist/data/augmentation.js';

const { values } = parseArgs({ options: { steps: { type: 'string', default: '40' } } });
const steps = Number(values.steps);
const SHAPE = [3, 32, 32];
const BATCH = 128;
const EPSILON = 2 / 255;

const { train, from } = await loadDataset('cifar10', { offline: true }).then(
  (dataset) => ({ train: dataset.train, from: 'CIFAR-10' }),
  () => ({ train: randomImages(50_000), from: 'random bytes of the size of CIFAR-10' }),
);
const augmentation = augmentationNamed('flip-crop', SHAPE);
console.log(`${from}, ${train.count} images; CNN5, batch ${BATCH}, ${availableParallelism()} threads`);
console.log(`a batch takes ${(await gathering()).toFixed(2)} ms to gather and augment\n`);
for (const [name, relaxation] of [
  ['natural', undefined],
  ['IBP', relaxations.ibp],
]) {
  const { step, waited, first } = await measured(relaxation);
  console.log(
    `${name.padEnd(8)} ${step.toFixed(1)} ms a step, of which ${waited.toFixed(3)} ms waiting ` +
      `(${((100 * waited) / step).toFixed(2)} %, target below 2 %); the first batch of a run: ` +
      `${first.toFixed(0)} ms`,
  );
}

function randomImages(count) {
  const images = new Uint8Array(new SharedArrayBuffer(count * 3072));
  for (let i = 0; i < images.length; i++) images[i] = (i * 2654435761) >>> 24;
  return { images, labels: Uint8Array.from({ length: count }, (_, i) => i % 10), count };
}

/** Milliseconds to make one batch on the calling thread. */
async function gathering() {
  const batches = epochBatches({ count: train.count, batchSize: BATCH, key: keyOf(1), epoch: 0 }).slice(
    0,
    60,
  );
  const start = performance.now();
  for (const batch of batches)
    assembleBatch(train, batch, undefined, { ...augmentation, key: keyOf(2), epoch: 0 });
  return (performance.now() - start) / batches.length;
}

/** Mean milliseconds of a step and of its waiting after five steps, and what the first waited. */
async function measured(relaxation) {
  const network = architecture('cnn5', SHAPE, 10, {
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.201],
  });
  const layout = parameterLayout(network);
  const pool = createPool();
  const kappa = relaxation === undefined ? 0 : 1;
  const options = {
    train,
    features: 3072,
    augmentation,
    objective: createObjective({
      network,
      relaxation,
      microBatch: 64,
      natural: relaxation === undefined ? 'loss' : 'accuracy',
    }),
    layout,
    estimator: createEstimator('none', {}),
    rule: adam(),
    pool,
    batchSize: BATCH,
    epochs: 1,
    gradientClip: 10,
    learningRate: () => 5e-4,
    epsilon: () => EPSILON,
    kappa: () => kappa,
    regularization: () => 0,
    key: keyOf(0),
  };
  const theta = new Float32Array(layout.reduce((sum, { size }) => sum + size, 0));
  const arrays = initialize(network, 'kaiming', keyOf(0));
  for (const { name, offset } of layout) theta.set(arrays[name], offset);
  const WARM = 5;
  let [start, waited, first, done] = [0, 0, 0, 0];
  for await (const report of training(options, initialState(options, theta))) {
    done++;
    if (done === 1) first = report.waited;
    if (done === WARM) start = performance.now();
    if (done > WARM) waited += report.waited;
    if (done === WARM + steps) break;
  }
  const step = (performance.now() - start) / steps;
  await pool.close();
  return { step, waited: waited / steps, first };
}
