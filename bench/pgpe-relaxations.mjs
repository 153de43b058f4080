/**
 * PGPE evaluations per second with each relaxation: on CNN3 (MNIST, batch 256), and, for the bounds that a
 * solver finds, on the small network of the example pgpe-exact, batch 32; all cores.
 */
import {
  chain,
  createObjective,
  createPool,
  flatten,
  initialize,
  keyOf,
  parameterLayout,
  pooledObjective,
  relaxations,
  reluLayer,
} from 'tautnet';
import { uniforms } from 'tautnet/runtime';
import { linearLayer } from '../dist/network/layers/linear.js';
import { batchSeconds, digits, RECIPES, trainingOf } from './training.mjs';

const SOLVED = ['lp', 'exact'];
const ROWS = ['hbox', 'deepz', 'crown', 'crown-all', 'deeppoly', 'alpha-crown'];
const NAMES = ['ibp', 'crown-ibp', 'nested-crown-ibp', ...ROWS, ...SOLVED];
const SIGMA = 1e-3;

/** [10, 10] on two inputs. */
function smallTraining(relaxation, threads) {
  const hidden = [10, 1, 1];
  const layers = [
    linearLayer([2, 1, 1], 10),
    reluLayer(hidden),
    linearLayer(hidden, 10),
    reluLayer(hidden),
    linearLayer(hidden, 2),
  ];
  const network = chain('fc [10, 10]', [2, 1, 1], layers);
  const layout = parameterLayout(network);
  const settings = { batchSize: 32, microBatch: 32, threads };
  const objective = createObjective({
    network,
    relaxation: relaxations[relaxation],
    microBatch: settings.microBatch,
    natural: 'accuracy',
  });
  const on = (pool, count) => {
    const images = new Float32Array(2 * count);
    uniforms(keyOf(3), images);
    const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
    return pooledObjective(
      pool,
      objective,
      layout,
      { images, labels },
      { epsilon: 0.1, kappa: 1, regularization: 0 },
    );
  };
  return { settings, theta: flatten(initialize(network, 'kaiming', keyOf(0)), layout), on };
}

/** Evaluations of the loss on a whole batch per second: two for each pair, a pair for each thread. */
async function evaluationsPerSecond({ settings, theta, on }) {
  const { threads } = settings;
  const pool = createPool(threads);
  const pairs = { keys: Array.from({ length: threads }, (_, i) => keyOf(i)), sigma: SIGMA };
  // A pair is one thread's, which takes the micro-batches one after the other.
  const { seconds, whole } = await batchSeconds((count) => on(pool, count).pairs(theta, pairs), {
    ...settings,
    threads: 1,
  });
  await pool.close();
  return { rate: (2 * threads) / seconds, whole };
}

/**
 * Prints the table; `only`: names of relaxations. @returns evaluations per second by network and relaxation
 */
export async function pgpeRelaxations(only) {
  const rates = { cnn3: {}, small: {} };
  console.log('PGPE evaluations per second at the start of training, ε full');
  console.log(
    '| relaxation | CNN3, MNIST, batch 256 | fc [10, 10] on 2 inputs, batch 32 |\n| --- | --- | --- |',
  );
  for (const name of NAMES.filter((each) => only === undefined || only.includes(each))) {
    const training = trainingOf({ ...RECIPES.cnn3, relaxation: name, smoothing: 'pgpe', sigma: SIGMA });
    const large = SOLVED.includes(name) ? undefined : await evaluationsPerSecond(training);
    const small = await evaluationsPerSecond(smallTraining(name, training.settings.threads));
    rates.small[name] = small.rate;
    if (large !== undefined) rates.cnn3[name] = large.rate;
    console.log(
      `| ${name} | ${large === undefined ? '–' : `${digits(large.rate)}${large.whole ? '' : ' *'}`} | ` +
        `${digits(small.rate)} |`,
    );
  }
  console.log('* from one micro-batch\n');
  return rates;
}
