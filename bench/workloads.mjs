/**
 * The workloads W1–W6: one training step or one bound computation each, on one thread, on MNIST shapes at ε =
 * 0.1.
 *
 * Each `prepare()` gives a function that does the whole batch once, in the micro-batches that the library
 * would use.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  architecture,
  createObjective,
  createPlan,
  decodeParameters,
  initialize,
  keyOf,
  loadDataset,
  parameterLayout,
  relaxations,
} from 'tautnet';
import { decodeSafetensors } from 'tautnet/formats';
import { gemm, input } from 'tautnet/graph';
import { createExecutor, fillNormals, uniforms } from 'tautnet/runtime';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const EPSILON = 0.1;
const PIXELS = 784;
const key = keyOf(0);

/** The unit: a 1024³ float32 matrix product through the same runtime. */
export function unit() {
  const [a, b] = [input('a', [1024, 1024]), input('b', [1024, 1024])];
  const plan = createPlan([{ kind: 'whole', outputs: { c: gemm(a, b) } }]);
  const executor = createExecutor();
  const feeds = { a: new Float32Array(1024 * 1024), b: new Float32Array(1024 * 1024) };
  fillNormals(keyOf(1), feeds.a);
  fillNormals(keyOf(2), feeds.b);
  return { run: () => executor.run(plan, feeds), close: () => executor.close() };
}

/** Parameters of the reference file next to the checkout where it is, else drawn like them: U(±1/√fan_in). */
function randomParameters(network) {
  const file = join(ROOT, '..', 'shared', 'reference', `${network.name}.safetensors`);
  if (!existsSync(file)) return initialize(network, 'kaiming', key);
  const { tensors } = decodeSafetensors(readFileSync(file), file);
  const order = Object.keys(tensors)
    .filter((name) => name.startsWith('parameters/'))
    .sort(
      (x, y) =>
        Number.parseInt(x.slice(11), 10) - Number.parseInt(y.slice(11), 10) ||
        (x.endsWith('weight') ? -1 : 1),
    );
  return Object.fromEntries(parameterLayout(network).map(({ name }, i) => [name, tensors[order[i]].data]));
}

/** The newest finished quickstart run, or undefined. */
export function trainedRun() {
  const runs = join(ROOT, 'runs');
  if (!existsSync(runs)) return undefined;
  const finished = readdirSync(runs)
    .filter((name) => name.startsWith('quickstart'))
    .map((name) => join(runs, name))
    .filter((path) => existsSync(join(path, 'parameters.safetensors')));
  return finished.sort((x, y) => statSync(y).mtimeMs - statSync(x).mtimeMs)[0];
}

/** A training step or a value of the objective over a whole batch, on a device. */
function objectiveWorkload({ name, batch, microBatch, relaxation, lossFusion, natural, kappa, gradient }) {
  return async (device) => {
    const network = architecture(name, [1, 28, 28], 10);
    const objective = createObjective({
      network,
      relaxation: relaxation && relaxations[relaxation],
      lossFusion,
      microBatch,
      natural,
    });
    const plan = gradient ? objective.gradient : objective.value;
    const images = new Float32Array(microBatch * PIXELS);
    uniforms(keyOf(3), images);
    const feeds = {
      ...randomParameters(network),
      images,
      labels: Int32Array.from({ length: microBatch }, (_, i) => i % 10),
      weight: new Float32Array(microBatch).fill(1 / batch),
      epsilon: Float32Array.of(EPSILON),
      kappa: Float32Array.of(kappa),
      regularization: Float32Array.of(0),
    };
    return stepper(plan, feeds, batch / microBatch, device);
  };
}

function addTo(sum, addend) {
  for (let i = 0; i < sum.length; i++) sum[i] += addend[i];
}

function stepper(plan, feeds, calls, device) {
  const executor = createExecutor({ device });
  let sum;
  return {
    async run() {
      for (let call = 0; call < calls; call++) {
        const { gradients } = await executor.run(plan, feeds);
        sum ??= gradients.map((g) => g.slice());
        if (call === 0) for (const [k, g] of gradients.entries()) sum[k].set(g);
        else for (const [k, g] of gradients.entries()) addTo(sum[k], g);
      }
    },
    close: () => executor.close(),
  };
}

/** W4 and W4b for the network that quickstart trained, on real test images, normalisation included. */
const trainedWorkload = (gradient) => async (device) => {
  const run = trainedRun();
  if (run === undefined) return undefined;
  const mnist = await loadDataset('mnist');
  const network = architecture('cnn3', mnist.shape, mnist.classes, { mean: mnist.mean, std: mnist.std });
  const batch = 32;
  const objective = createObjective({
    network,
    relaxation: relaxations.crown,
    microBatch: batch,
    natural: 'none',
  });
  const path = join(run, 'parameters.safetensors');
  const feeds = {
    ...decodeParameters(network, readFileSync(path), path),
    images: Float32Array.from(mnist.test.images.subarray(0, batch * PIXELS), (value) => value / 255),
    labels: Int32Array.from(mnist.test.labels.subarray(0, batch)),
    weight: new Float32Array(batch).fill(1 / batch),
    epsilon: Float32Array.of(EPSILON),
    kappa: Float32Array.of(1),
    regularization: Float32Array.of(0),
  };
  return stepper(gradient ? objective.gradient : objective.value, feeds, 1, device);
};

export const workloads = {
  W1: {
    what: 'CNN3 natural + IBP training step, batch 256',
    target: 1.5,
    prepare: objectiveWorkload({
      name: 'cnn3',
      batch: 256,
      microBatch: 64,
      relaxation: 'ibp',
      natural: 'loss',
      kappa: 0.5,
      gradient: true,
    }),
  },
  W2: {
    what: 'CNN5 natural + IBP training step, batch 128',
    target: 3.3,
    prepare: objectiveWorkload({
      name: 'cnn5',
      batch: 128,
      microBatch: 64,
      relaxation: 'ibp',
      natural: 'loss',
      kappa: 0.5,
      gradient: true,
    }),
  },
  W3: {
    what: 'CNN3 CROWN-IBP training step, batch 128',
    target: 3.4,
    prepare: objectiveWorkload({
      name: 'cnn3',
      batch: 128,
      microBatch: 32,
      relaxation: 'crown-ibp',
      natural: 'none',
      kappa: 1,
      gradient: true,
    }),
  },
  W4: {
    what: 'CNN3 CROWN margins, batch 32',
    target: 1.4,
    prepare: objectiveWorkload({
      name: 'cnn3',
      batch: 32,
      microBatch: 32,
      relaxation: 'crown',
      natural: 'none',
      kappa: 1,
      gradient: false,
    }),
  },
  W4b: {
    what: 'CNN3 CROWN margins with gradient, batch 32',
    target: 5.2,
    prepare: objectiveWorkload({
      name: 'cnn3',
      batch: 32,
      microBatch: 32,
      relaxation: 'crown',
      natural: 'none',
      kappa: 1,
      gradient: true,
    }),
  },
  W4t: { what: 'W4 for the network that quickstart trained', target: 0.55, prepare: trainedWorkload(false) },
  W4bt: { what: 'W4b for the network that quickstart trained', target: 1.5, prepare: trainedWorkload(true) },
  W5: {
    what: 'CNN5 natural training step, batch 128',
    target: 1.1,
    prepare: objectiveWorkload({
      name: 'cnn5',
      batch: 128,
      microBatch: 128,
      natural: 'loss',
      kappa: 0,
      gradient: true,
    }),
  },
  W6: {
    what: 'CNN5 natural + CROWN-IBP training step with loss fusion, batch 128 (at most 1.5 × W2)',
    target: 5.2,
    prepare: objectiveWorkload({
      name: 'cnn5',
      batch: 128,
      microBatch: 64,
      relaxation: 'crown-ibp',
      lossFusion: true,
      natural: 'loss',
      kappa: 0.5,
      gradient: true,
    }),
  },
};
