/**
 * PGPE trains one small network against bounds without a derivative: the triangle LP and the exact minimum,
 * beside intervals.
 *
 * `npm run build && node examples/pgpe-exact.mjs [seed …]`: a disc inside a ring of the unit square, no point
 * nearer than ε to the other class, a network of two hidden layers of 10 neurons, the same steps for every
 * bound; all networks are certified by `exact`.
 */
import {
  adam,
  chain,
  createObjective,
  createPool,
  deriveKey,
  evaluateBatch,
  flatten,
  initialize,
  initialState,
  keyOf,
  linearLayer,
  parameterLayout,
  pgpe,
  relaxations,
  reluLayer,
  schedules,
  training,
} from 'tautnet';
import { uniforms } from 'tautnet/runtime';

const EPSILON = 0.1;
const EPOCHS = 60;
const BATCH = 32;
const [TRAIN, TEST] = [256, 500];

/**
 * Points of the square, as bytes like pixels, whose ε-ball lies on one side of the circle, in turn from
 * outside and inside.
 */
function points(count, seed) {
  const draws = new Float32Array(64 * count);
  uniforms(keyOf(seed), draws);
  const images = new Uint8Array(2 * count);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  for (let i = 0, at = 0; i < count; at += 2) {
    const bytes = [Math.round(255 * draws[at]), Math.round(255 * draws[at + 1])];
    const [x, y] = bytes.map((byte) => byte / 255 - 0.5);
    const ends = [
      Math.max(Math.abs(x) - EPSILON, 0),
      Math.max(Math.abs(y) - EPSILON, 0),
      Math.abs(x) + EPSILON,
      Math.abs(y) + EPSILON,
    ];
    const inside = Math.hypot(ends[2], ends[3]) < 0.36;
    const outside = Math.hypot(ends[0], ends[1]) > 0.36;
    if (labels[i] === 1 ? !inside : !outside) continue;
    images.set(bytes, 2 * i++);
  }
  return { images, labels, count };
}

const hidden = [10, 1, 1];
const network = chain(
  'fc [10, 10]',
  [2, 1, 1],
  [
    linearLayer([2, 1, 1], 10),
    reluLayer(hidden),
    linearLayer(hidden, 10),
    reluLayer(hidden),
    linearLayer(hidden, 2),
  ],
);
const layout = parameterLayout(network);
const pool = createPool();
const percent = (share) => `${(100 * share).toFixed(1)} %`;

async function train(relaxation, seed) {
  const key = keyOf(seed);
  const options = {
    train: points(TRAIN, `train ${seed}`),
    features: 2,
    objective: createObjective({ network, relaxation, microBatch: BATCH, natural: 'accuracy' }),
    layout,
    estimator: pgpe({ samples: 8, sigma: 0.1, sigmaDecay: { shape: 'linear', final: 0.2 } }),
    rule: adam(),
    pool,
    batchSize: BATCH,
    epochs: EPOCHS,
    gradientClip: 10,
    learningRate: schedules.stepDecay(0.03, { at: [45], factor: 0.3 }),
    epsilon: schedules.smoothWarmup({ start: 0, end: 30, from: 0, to: EPSILON }),
    kappa: schedules.constant(1),
    regularization: schedules.constant(0),
    key: deriveKey(key, 1, 0),
  };
  let { theta } = initialState(
    options,
    flatten(initialize(network, 'kaiming', deriveKey(key, 2, 0)), layout),
  );
  for await (const { epochEnded, state } of training(options, initialState(options, theta)))
    if (epochEnded) ({ theta } = await state());
  return theta;
}

const judges = ['ibp', 'lp', 'exact'].map((name) => [
  name,
  createObjective({ network, relaxation: relaxations[name], microBatch: 50, natural: 'accuracy' }),
]);
const seeds = process.argv.length > 2 ? process.argv.slice(2) : ['0', '1', '2'];
console.log(
  '| seed | trained with | natural | certified by ibp | by lp | by exact | seconds |\n| --- | --- | --- ' +
    '| --- | --- | --- | --- |',
);
try {
  for (const seed of seeds) {
    const { images, labels } = points(TEST, `test ${seed}`);
    const test = { images: Float32Array.from(images, (byte) => byte / 255), labels };
    for (const name of ['ibp', 'lp', 'exact']) {
      const start = performance.now();
      const theta = await train(relaxations[name], seed);
      const seconds = (performance.now() - start) / 1000;
      const found = [];
      for (const [, judge] of judges)
        found.push(
          (
            await evaluateBatch(pool, judge, layout, theta, test, {
              epsilon: EPSILON,
              kappa: 1,
              regularization: 0,
            })
          ).metrics,
        );
      const shares = [found[0].natural, ...found.map(({ certified }) => certified)].map(percent);
      console.log(`| ${seed} | ${name}-pgpe | ${shares.join(' | ')} | ${seconds.toFixed(0)} |`);
    }
  }
} finally {
  await pool.close();
}
