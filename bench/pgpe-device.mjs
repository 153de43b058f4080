/**
 * PGPE on a device: evaluations of the loss on a whole batch per second, two for each pair, on CNN3 (MNIST)
 * and CNN5 (CIFAR-10) under IBP, CROWN-IBP and CROWN; the share of the time in which the device had nothing
 * to do; what a step moves there and back; and how far its losses are from the CPU's. What is timed are whole
 * training steps of the library, PGPE's estimate and Adam's update, at the start of training, ε full.
 */
import { createPool, deriveKey, keyOf, pgpe } from 'tautnet';
import { adapterName, isSoftwareAdapter } from '../dist/runtime/device/adapter.js';
import { digits, RECIPES, trainingOf } from './training.mjs';

const NETWORKS = { cnn3: 'CNN3, MNIST', cnn5: 'CNN5, CIFAR-10' };
const NAMES = ['ibp', 'crown-ibp', 'crown'];
const SIGMA = 1e-3;
/**
 * Seconds that a figure may take: of a device on which all would take longer, a part of the images and pairs
 * is measured.
 */
const PATIENCE = 60;
/** What is compared with the CPU. */
const COMPARED = { pairs: 2, images: 16 };

const perturbations = (pairs) => ({
  keys: Array.from({ length: pairs }, (_, i) => deriveKey(keyOf(4), i, 0)),
  sigma: SIGMA,
});

async function timed(work, pool) {
  const [start, busy, before] = [performance.now(), pool.busySeconds(), pool.movedBytes()];
  await work();
  const seconds = (performance.now() - start) / 1000;
  const after = pool.movedBytes();
  // Of the CPU all threads work, of a device the one that owns it.
  const moved = { up: after.up - before.up, down: after.down - before.down };
  return { seconds, moved, busy: (pool.busySeconds() - busy) / (pool.device === 'cpu' ? pool.threads : 1) };
}

/** How much is measured in time: all of it where a small part, opened before, says that it can be. */
async function affordable({ settings, stepper }, pool, { pairs, batch }) {
  const few = {
    pairs: Math.min(pairs, pool.device === 'cpu' ? pool.threads : 1),
    images: Math.min(batch, settings.microBatch),
  };
  const run = await stepper(pool, few.images, pgpe({ samples: few.pairs, sigma: SIGMA }));
  await run();
  const { seconds } = await timed(run, pool);
  const parts = Math.floor(PATIENCE / seconds);
  const images = Math.min(batch, few.images * Math.max(1, parts));
  return {
    images,
    pairs: Math.min(pairs, few.pairs * Math.max(1, Math.floor((parts * few.images) / images))),
  };
}

/**
 * Evaluations of the whole batch per second; the first two steps, which open programs and make arrays, are
 * not counted.
 */
async function rateOf(training, pool, wanted) {
  const part = await affordable(training, pool, wanted);
  const run = await training.stepper(pool, part.images, pgpe({ samples: part.pairs, sigma: SIGMA }));
  for (let i = 0; i < 2; i++) await run();
  const { seconds, busy, moved } = await timed(run, pool);
  return {
    rate: ((2 * part.pairs) / seconds) * (part.images / wanted.batch),
    idle: 1 - busy / seconds,
    moved,
    part,
  };
}

/** Greatest difference of a loss from the CPU's, relative to the CPU's. */
async function differenceFromCpu({ theta, on }, pool, cpu, { pairs, batch }) {
  const [each, images] = [perturbations(Math.min(pairs, COMPARED.pairs)), Math.min(batch, COMPARED.images)];
  const [expected, got] = [
    await on(cpu, images).pairs(theta, each),
    await on(pool, images).pairs(theta, each),
  ];
  const differences = ['plus', 'minus'].flatMap((side) =>
    Array.from(expected[side], (loss, i) => Math.abs(got[side][i] - loss) / Math.abs(loss)),
  );
  return Math.max(...differences);
}

const kilobytes = (bytes) => `${digits(bytes / 1000)} kB`;

/**
 * Prints the tables. `only`: names of networks and relaxations, those of one kind that are missing being all
 * of them; `memory`: megabytes.
 * @returns evaluations per second, idle share, bytes moved in a step and difference by network and
 *  relaxation, and what was measured
 */
export async function pgpeOnDevice(device, { only, memory, ...asked }) {
  const chosen = (names) =>
    only?.some((name) => names.includes(name)) ? names.filter((name) => only.includes(name)) : names;
  const adapter = await adapterName(device);
  const software = device === 'webgpu' && isSoftwareAdapter();
  const { pairs = software ? 1 : 256, batch = software ? 4 : 512 } = asked;
  console.log(
    `PGPE on ${device}, ${adapter}: ${pairs} ${pairs === 1 ? 'pair' : 'pairs'}, batch ${batch}, at the ` +
      'start of training, ε full',
  );
  if (software)
    console.log('This adapter is software: its speed means nothing, only its agreement with the CPU does.');
  console.log(
    '\n| network | relaxation | evaluations/s | device idle | moved in a step | greatest difference from ' +
      'the CPU |\n| --- | --- | --- | --- | --- | --- |',
  );
  const figures = {};
  let reduced = false;
  for (const network of chosen(Object.keys(NETWORKS)))
    for (const relaxation of chosen(NAMES)) {
      const training = trainingOf({
        ...RECIPES[network],
        relaxation,
        smoothing: 'pgpe',
        sigma: SIGMA,
        batchSize: batch,
        device,
      });
      const pool = createPool(training.settings.threads, device, memory);
      const cpu = device === 'cpu' ? undefined : createPool(training.settings.threads);
      try {
        const difference = cpu && (await differenceFromCpu(training, pool, cpu, { pairs, batch }));
        const { rate, idle, moved, part } = await rateOf(training, pool, { pairs, batch });
        const whole = part.pairs === pairs && part.images === batch;
        reduced ||= !whole;
        figures[network] = {
          ...figures[network],
          [relaxation]: { rate, idle, moved, ...(cpu && { difference }), ...part },
        };
        const of = whole ? '' : ` * (${part.pairs} pairs, ${part.images} images)`;
        const bytes = cpu ? `${kilobytes(moved.up)} there, ${kilobytes(moved.down)} back` : '–';
        console.log(
          `| ${NETWORKS[network]} | ${relaxation} | ${digits(rate)}${of} | ${(100 * idle).toFixed(0)} % ` +
            `| ${bytes} | ${difference?.toExponential(1) ?? '–'} |`,
        );
      } finally {
        await Promise.all([pool, cpu].map((each) => each?.close()));
      }
    }
  if (reduced)
    console.log(`* from a part that takes at most about ${PATIENCE} s, in evaluations of the whole batch`);
  console.log();
  return { device, adapter, software, ...figures };
}
