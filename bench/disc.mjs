/**
 * A task small enough for bounds that a solver computes: a disc inside a ring of the unit square, no point
 * nearer than ε to the other class, and a network of two hidden layers of 10 neurons, 162 parameters.
 */
import {
  adam,
  chain,
  createObjective,
  deriveKey,
  evaluateBatch,
  flatten,
  initialize,
  initialState,
  keyOf,
  linearLayer,
  parameterLayout,
  relaxations,
  reluLayer,
  schedules,
  training,
} from 'tautnet';
import { uniforms } from 'tautnet/runtime';

const EPSILON = 0.1;
const RADIUS = 0.36;
const EPOCHS = 60;
const BATCH = 32;
const [TRAIN, TEST] = [256, 500];

/** The bounds that networks are judged by; the last one is the truth. */
export const JUDGES = ['ibp', 'crown-ibp', 'crown', 'lp', 'exact'];

/** Points as bytes, like pixels, whose ε-ball lies on one side of the circle, in turn outside and inside. */
function points(count, seed) {
  const draws = new Float32Array(64 * count);
  uniforms(keyOf(seed), draws);
  const images = new Uint8Array(2 * count);
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  for (let i = 0, at = 0; i < count; at += 2) {
    const bytes = [Math.round(255 * draws[at]), Math.round(255 * draws[at + 1])];
    const offsets = bytes.map((byte) => Math.abs(byte / 255 - 0.5));
    const nearest = offsets.map((offset) => Math.max(offset - EPSILON, 0));
    const farthest = offsets.map((offset) => offset + EPSILON);
    const fits = labels[i] === 1 ? Math.hypot(...farthest) < RADIUS : Math.hypot(...nearest) > RADIUS;
    if (fits) images.set(bytes, 2 * i++);
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
const objectives = new Map();
/** One objective for each bound and size, so that a pool opens its programs once. */
function objectiveOf(name, microBatch) {
  const known = objectives.get(`${name} ${microBatch}`);
  if (known !== undefined) return known;
  const relaxation = relaxations[name];
  const made = createObjective({ network, relaxation, microBatch, natural: 'accuracy' });
  objectives.set(`${name} ${microBatch}`, made);
  return made;
}

/** θ after 480 steps; the seed draws data, initialisation and perturbations. */
export async function train({ relaxation, guide, estimator, learningRate, seed, pool }) {
  const key = keyOf(seed);
  const options = {
    train: points(TRAIN, `train ${seed}`),
    features: 2,
    objective: objectiveOf(relaxation, BATCH),
    guide: guide && objectiveOf(guide, BATCH),
    layout,
    estimator,
    rule: adam(),
    pool,
    batchSize: BATCH,
    epochs: EPOCHS,
    gradientClip: 10,
    learningRate: schedules.stepDecay(learningRate, { at: [45], factor: 0.3 }),
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

/** Natural accuracy on points of the seed's own, and by each judge what is certified and the loss. */
export async function judge(theta, seed, pool) {
  const { images, labels } = points(TEST, `test ${seed}`);
  const test = { images: Float32Array.from(images, (byte) => byte / 255), labels };
  const scalars = { epsilon: EPSILON, kappa: 1, regularization: 0 };
  const [certified, losses] = [{}, {}];
  let natural = 0;
  for (const name of JUDGES) {
    const { loss, metrics } = await evaluateBatch(pool, objectiveOf(name, 50), layout, theta, test, scalars);
    natural = metrics.natural;
    certified[name] = metrics.certified;
    losses[name] = loss;
  }
  return { natural, certified, losses };
}
