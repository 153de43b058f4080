/**
 * Margins, losses and gradients of every relaxation on the networks of the reference values, in float64:
 * against what is stored, and where nothing is, against what theory says of it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors } from '../../dist/formats/safetensors.js';
import { add, input, mul, total } from '../../dist/graph/index.js';
import { architecture } from '../../dist/network/architectures.js';
import { logits, parameterInputs } from '../../dist/network/network.js';
import { crossEntropy, marginCrossEntropy } from '../../dist/objective/losses.js';
import { relaxations } from '../../dist/relaxation/index.js';
import { createExecutor } from '../../dist/runtime/execution/executor.js';
import { createPlan } from '../../dist/runtime/plan/compile.js';
import { convolution, linear, nestedMargins } from './plain-nested.mjs';

const EPSILON = 0.1;
/** Rounding of float64, and of what is stored in float32. */
const ALLOWED = { bounds: 1e-9, gradients: 1e-6, slope: 1e-5 };
/** Relaxations with stored values. */
const STORED = {
  ibp: { key: 'ibp', natural: 0.5, elision: false },
  'crown-ibp': { key: 'crownibp', natural: 0, elision: true },
  crown: { key: 'crown', natural: 0, elision: true },
};
/** Images of what is not stored: tight bounds take long. */
const FEW = 2;

const largest = (values) => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const difference = (got, expected) =>
  got.length === expected.length ? largest(expected.map((e, i) => got[i] - e)) / largest(expected) : Infinity;
/** [rows, columns] to [columns, rows]. */
const transposed = (values, rows) => {
  const columns = values.length / rows;
  return Float64Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]);
};

function load(folder, name) {
  const file = join(folder, `${name}.safetensors`);
  const { tensors } = decodeSafetensors(readFileSync(file), file);
  const network = architecture(name, [1, 28, 28], 10);
  const names = Object.keys(parameterInputs(network));
  const layers = Object.keys(tensors).flatMap((key) => /^parameters\/(\d+)\.weight/.exec(key)?.[1] ?? []);
  layers.sort((a, b) => Number(a) - Number(b));
  const keyOf = (parameter, i) => `${layers[i >> 1]}.${parameter.split('.')[1]}`;
  const array = (key) => Float64Array.from(tensors[key].data, Number);
  return { name, network, names, keyOf, tensors, array };
}

function feedsOf({ names, keyOf, array }, count) {
  const x = array('x');
  const images = transposed(x.subarray(0, (x.length / 32) * count), count);
  return {
    x: images,
    lower: images.map((v) => v - EPSILON),
    upper: images.map((v) => v + EPSILON),
    labels: Int32Array.from(array('y').subarray(0, count)),
    ...Object.fromEntries(names.map((name, i) => [name, array(`parameters/${keyOf(name, i)}`)])),
  };
}

function plansOf({ network, names }, relaxation, count, { natural, elision }) {
  const features = 28 * 28;
  const parameters = parameterInputs(network, 'float64');
  const labels = input('labels', [count], 'int32');
  const box = {
    lower: input('lower', [features, count], 'float64'),
    upper: input('upper', [features, count], 'float64'),
  };
  const problem = { network, parameters, box, specification: { kind: 'labels', labels }, elision };
  const { stages, margins } = relaxation.bound(problem);
  const values = logits(network, parameters, input('x', [features, count], 'float64'));
  const robust = mul(total(marginCrossEntropy(margins)), 1 / count);
  const loss = natural ? add(robust, mul(total(crossEntropy(values, labels)), natural / count)) : robust;
  const all = [...stages, { kind: 'whole', outputs: { loss, margins } }];
  return { value: createPlan(all), gradient: createPlan(all, names) };
}

const rowOf =
  ({ name: network }, relaxation) =>
  (what, difference, allowed) => ({ network, relaxation, what, difference, allowed });

/** Of a relaxation with stored values. */
async function againstStored(reference, name, run) {
  const { key, ...options } = STORED[name];
  const { tensors, array, names, keyOf } = reference;
  if (!(`${key}_loss` in tensors)) return [];
  const { gradient } = plansOf(reference, relaxations[name], 32, options);
  const { outputs, gradients } = await run(gradient, feedsOf(reference, 32));
  const row = rowOf(reference, name);
  const rows = [row('loss', difference(outputs.loss, array(`${key}_loss`)), ALLOWED.bounds)];
  if (`${key}_margins` in tensors)
    rows.push(
      row('margins', difference(outputs.margins, transposed(array(`${key}_margins`), 32)), ALLOWED.bounds),
    );
  const stored = names.map((each, i) => [i, `${key}_grad.${keyOf(each, i)}`]).filter(([, k]) => k in tensors);
  const worst = Math.max(...stored.map(([i, k]) => difference(gradients[i], array(k))));
  return [...rows, row('gradient', worst, ALLOWED.gradients)];
}

/** By how much an array exceeds another anywhere. */
const excess = (upper, lower) => Math.max(0, ...Array.from(lower, (value, i) => value - upper[i]));

/** The derivative of the loss along a direction, by central differences and by the gradient, relatively. */
async function slopeDifference({ names }, { value, gradient }, feeds, run) {
  const step = 1e-7;
  const directions = names.map((name, k) => feeds[name].map((_, j) => Math.sin(1 + 3 * k + 7 * j)));
  const moved = (by) => ({
    ...feeds,
    ...Object.fromEntries(
      names.map((name, k) => [name, feeds[name].map((p, j) => p + by * directions[k][j])]),
    ),
  });
  const lossAt = async (by) => (await run(value, moved(by))).outputs.loss[0];
  const { gradients } = await run(gradient, feeds);
  const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
  const expected = directions.reduce((sum, d, k) => d.reduce((s, v, j) => s + v * gradients[k][j], sum), 0);
  return Math.abs(slope - expected) / (1 + Math.abs(slope));
}

/** Of one without: never above the images' own margins; its derivative; of α-CROWN, never below CROWN. */
async function againstTheory(reference, name, run) {
  const plans = plansOf(reference, relaxations[name], FEW, { natural: 0, elision: true });
  const feeds = feedsOf(reference, FEW);
  const { margins } = (await run(plans.value, feeds)).outputs;
  const exact = (await run(plans.value, { ...feeds, lower: feeds.x, upper: feeds.x })).outputs.margins;
  const row = rowOf(reference, name);
  const rows = [row('above the images’ margins', excess(exact, margins), ALLOWED.bounds)];
  if (name === 'alpha-crown') {
    // Its optimised slopes are constants to derivatives: no central difference has them.
    const stored = reference.array('crown_margins');
    const crown = transposed(stored.subarray(0, (stored.length / 32) * FEW), FEW);
    return [...rows, row('below the margins of crown', excess(margins, crown), ALLOWED.bounds)];
  }
  return [
    ...rows,
    row('central difference', await slopeDifference(reference, plans, feeds, run), ALLOWED.slope),
  ];
}

/** CNN3's layers for the plain bounds. */
function plainLayers({ names, keyOf, array }) {
  const values = (i) => array(`parameters/${keyOf(names[i], i)}`);
  const at = (layer) => ({ weight: values(2 * layer), bias: values(2 * layer + 1) });
  return [
    convolution({ ...at(0), inChannels: 1, size: 28, kernel: 5, stride: 2, padding: 2 }),
    convolution({ ...at(1), inChannels: 16, size: 14, kernel: 4, stride: 2, padding: 1 }),
    linear(at(2)),
  ];
}

/** Of a nested relaxation: the same margins by plain loops, image by image. */
async function againstPlain(reference, name, run) {
  const own = { 'nested-crown-ibp': 'nestedCrownIbp', deeppoly: 'deepPoly' }[name];
  if (own === undefined) return [];
  const feeds = feedsOf(reference, FEW);
  const plan = plansOf(reference, relaxations[name], FEW, { natural: 0, elision: true }).value;
  const margins = (await run(plan, feeds)).outputs.margins;
  const layers = plainLayers(reference);
  const column = (values, k) => values.filter((_, i) => i % FEW === k);
  const expected = Array.from({ length: FEW }, (_, k) => {
    const input = { lower: column(feeds.lower, k), upper: column(feeds.upper, k) };
    return [...nestedMargins(layers, input, feeds.labels[k])[own]];
  });
  const row = rowOf(reference, name);
  return [
    row('margins by plain loops', difference(margins, transposed(expected.flat(), FEW)), ALLOWED.bounds),
  ];
}

/** Every relaxation with a derivative on CNN3; those with stored values on CNN5, too. */
export async function checkValues(folder) {
  const executor = createExecutor();
  const run = async (plan, feeds) => {
    const { outputs, gradients } = await executor.run(plan, feeds);
    return { outputs, gradients: gradients.map((g) => g.slice()) };
  };
  const rows = [];
  try {
    for (const network of ['cnn3', 'cnn5'])
      for (const [name, { differentiable }] of Object.entries(relaxations)) {
        const reference = load(folder, network);
        if (name in STORED) rows.push(...(await againstStored(reference, name, run)));
        else if (differentiable && network === 'cnn3')
          rows.push(
            ...(await againstPlain(reference, name, run)),
            ...(await againstTheory(reference, name, run)),
          );
      }
  } finally {
    await executor.close();
  }
  return rows;
}
