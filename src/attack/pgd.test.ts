import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { architecture } from '../network/architectures.js';
import { initialize } from '../network/initialization.js';
import { type Extents, featuresOf } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { chain, type Network } from '../network/network.js';
import { createExecutor } from '../runtime/execution/executor.js';
import { deriveKey, type Key, keyOf } from '../runtime/random/keys.js';
import { randomImages } from '../testing/onnx-runs.js';
import { type AttackLoss, attackProgram, type Evaluator, evaluatorOf } from './attack-program.js';
import { ball } from './box.js';
import { multiTargetPgd } from './multi-target.js';
import { pgd, stepSizeAt } from './pgd.js';

const executor = createExecutor();
afterAll(() => executor.close());

const BATCH = 8;
const INPUT: Extents = [1, 6, 6];
const FEATURES = featuresOf(INPUT);
const CLASSES = 4;

const linear = chain('linear', INPUT, [linearLayer(INPUT, CLASSES)]);
const binary = chain('binary', INPUT, [linearLayer(INPUT, 2)]);
const cnn3 = architecture('cnn3', INPUT, CLASSES);

const programs = new Map<string, ReturnType<typeof attackProgram>>();
function evaluatorFor(net: Network, parameters: Record<string, Float32Array>, loss: AttackLoss): Evaluator {
  const known = programs.get(`${net.name} ${loss}`) ?? attackProgram(net, BATCH, loss);
  programs.set(`${net.name} ${loss}`, known);
  return evaluatorOf(executor.run, known, parameters);
}

/** Random weights and images; labels are what the network says, so that everything is right to begin with. */
async function problem(net: Network, key: Key, loss: AttackLoss = 'margin') {
  const parameters = Object.fromEntries(
    Object.entries(initialize(net, 'kaiming', key)).map(([name, w]) => [name, w.map((v) => 3 * v)]),
  );
  const evaluate = evaluatorFor(net, parameters, loss);
  const x = randomImages(deriveKey(key, 1, 0), BATCH, FEATURES);
  const labels = new Int32Array(BATCH);
  const plain = evaluatorFor(net, parameters, 'margin');
  for (let label = 1; label < net.classes; label++) {
    const { margins } = await plain(x, new Int32Array(BATCH).fill(label));
    margins.forEach((margin, row) => {
      if (margin > 0) labels[row] = label;
    });
  }
  return { parameters, evaluate, x, labels };
}

const key = fc.integer().map(keyOf);
const epsilon = fc.constantFrom(0.01, 2 / 255, 0.1, 0.3);
const loss = fc.constantFrom<AttackLoss>('margin', 'cross-entropy');

/** f_y − f_j of a linear network at its worst in the clipped ball, for every row and class. */
function worstMargins(
  net: Network,
  parameters: Record<string, Float32Array>,
  x: Float32Array,
  labels: Int32Array,
  eps: number,
): Float64Array {
  const { lower, upper } = ball(x, eps);
  const [weight, bias] = [parameters['0.weight'] as Float32Array, parameters['0.bias'] as Float32Array];
  return Float64Array.from(labels, (y, row) => {
    let worst = Number.POSITIVE_INFINITY;
    for (let j = 0; j < net.classes; j++) {
      if (j === y) continue;
      let margin = (bias[y] as number) - (bias[j] as number);
      for (let i = 0; i < FEATURES; i++) {
        const w = (weight[y * FEATURES + i] as number) - (weight[j * FEATURES + i] as number);
        margin += w * ((w > 0 ? lower : upper)[row * FEATURES + i] as number);
      }
      worst = Math.min(worst, margin);
    }
    return worst;
  });
}

describe('the evaluator', () => {
  it('gives, for a linear network, the gradient that its weights say', async () => {
    const k = keyOf('gradients');
    const { parameters, x, labels } = await problem(linear, k);
    const weight = parameters['0.weight'] as Float32Array;
    const targets = labels.map((y) => (y + 1) % CLASSES);
    const targeted = await evaluatorFor(linear, parameters, 'targeted')(x, labels, targets);
    const untargeted = await evaluatorFor(linear, parameters, 'margin')(x, labels);
    const entropy = await evaluatorFor(linear, parameters, 'cross-entropy')(x, labels);
    expect(targeted.margins).toEqual(untargeted.margins);
    for (let row = 0; row < BATCH; row++) {
      const y = labels[row] as number;
      const row64 = x.subarray(row * FEATURES, (row + 1) * FEATURES);
      const outputs = Array.from({ length: CLASSES }, (_, j) =>
        row64.reduce(
          (s, v, i) => s + v * (weight[j * FEATURES + i] as number),
          (parameters['0.bias'] as Float32Array)[j] as number,
        ),
      );
      const partition = outputs.reduce((s, v) => s + Math.exp(v), 0);
      const best = outputs.reduce(
        (b, v, j) => (j !== y && (b < 0 || v > (outputs[b] as number)) ? j : b),
        -1,
      );
      expect(untargeted.margins[row]).toBeCloseTo((outputs[y] as number) - (outputs[best] as number), 4);
      for (let i = 0; i < FEATURES; i++) {
        const w = (j: number) => weight[j * FEATURES + i] as number;
        const at = row * FEATURES + i;
        expect(targeted.gradient[at]).toBeCloseTo(w(targets[row] as number) - w(y), 5);
        expect(untargeted.gradient[at]).toBeCloseTo(w(best) - w(y), 5);
        const expected = outputs.reduce((s, v, j) => s + (Math.exp(v) / partition) * w(j), 0) - w(y);
        expect(entropy.gradient[at]).toBeCloseTo(expected, 4);
      }
    }
  });

  it('refuses labels that are no classes and batches of another size', async () => {
    const { evaluate, x, labels } = await problem(linear, keyOf(1));
    await expect(evaluate(x, labels.with(2, CLASSES))).rejects.toThrow(
      'attack: expected labels from 0 to 3, got 4',
    );
    await expect(evaluate(x, labels.slice(1))).rejects.toThrow(
      'attack: expected 8 labels, got 7; build the program for the batch at hand',
    );
  });
});

describe('PGD', () => {
  it('finds the exact worst case of a linear network with two classes', async () => {
    await fc.assert(
      fc.asyncProperty(key, epsilon, loss, fc.boolean(), async (k, eps, kind, randomStart) => {
        const { parameters, evaluate, x, labels } = await problem(binary, k, kind);
        const { margins } = await pgd(evaluate, x, labels, eps, {
          key: k,
          steps: 8,
          randomStart,
          untilBroken: false,
        });
        const worst = worstMargins(binary, parameters, x, labels, eps);
        margins.forEach((margin, row) => {
          expect(margin).toBeCloseTo(worst[row] as number, 4);
        });
      }),
      { numRuns: 20 },
    );
  });

  it('never leaves the ball or [0, 1], and tells the margins of the examples that it gives', async () => {
    await fc.assert(
      fc.asyncProperty(key, epsilon, loss, fc.boolean(), async (k, eps, kind, untilBroken) => {
        const { evaluate, x, labels } = await problem(cnn3, k, kind);
        const { examples, margins } = await pgd(evaluate, x, labels, eps, {
          key: k,
          steps: 5,
          restarts: 2,
          untilBroken,
        });
        examples.forEach((v, i) => {
          expect(Math.abs(v - (x[i] as number)) <= eps && v >= 0 && v <= 1).toBe(true);
        });
        expect((await evaluate(examples, labels)).margins).toEqual(margins);
      }),
      { numRuns: 15 },
    );
  });

  it('lowers margins more than as many random points of the ball do', async () => {
    const eps = 0.1;
    let [attacked, noise] = [0, 0];
    for (let trial = 0; trial < 5; trial++) {
      const k = keyOf(trial);
      const { evaluate, x, labels } = await problem(cnn3, k);
      const result = await pgd(evaluate, x, labels, eps, { key: k, steps: 10, untilBroken: false });
      const { lower, upper } = ball(x, eps);
      const best = new Float32Array(BATCH).fill(Number.POSITIVE_INFINITY);
      for (let draw = 0; draw < 12; draw++) {
        const u = randomImages(deriveKey(k, 2, draw), BATCH, FEATURES);
        const { margins } = await evaluate(
          u.map((v, i) => (lower[i] as number) + v * ((upper[i] as number) - (lower[i] as number))),
          labels,
        );
        best.forEach((margin, row) => {
          best[row] = Math.min(margin, margins[row] as number);
        });
      }
      result.margins.forEach((margin, row) => {
        expect(margin).toBeLessThan(best[row] as number);
        attacked += margin;
        noise += best[row] as number;
      });
    }
    expect(attacked).toBeLessThan(noise - 1);
  });

  it('comes out the same from the same key, and otherwise from another; a row does not depend on the other rows', async () => {
    const { evaluate, x, labels } = await problem(cnn3, keyOf('again'));
    const attack = (images: Float32Array, seed: number) =>
      pgd(evaluate, images, labels, 0.05, { key: keyOf(seed), steps: 3, untilBroken: false });
    const first = await attack(x, 1);
    expect(await attack(x, 1)).toEqual(first);
    expect((await attack(x, 2)).examples).not.toEqual(first.examples);
    const others = x.map((v, i) => (i < FEATURES ? v : 1 - v));
    expect((await attack(others, 1)).examples.slice(0, FEATURES)).toEqual(first.examples.slice(0, FEATURES));
  });

  it('leaves images that are wrong to begin with as they are, bit for bit, and spends one evaluation on a batch of them', async () => {
    const { evaluate, x, labels } = await problem(cnn3, keyOf('wrong'));
    const wrong = labels.map((label, row) => (row % 2 ? (label + 1) % CLASSES : label));
    const { examples, margins } = await pgd(evaluate, x, wrong, 0.05, { key: keyOf(1), steps: 3 });
    for (let row = 0; row < BATCH; row++) {
      const [from, to] = [row * FEATURES, (row + 1) * FEATURES];
      if (row % 2) expect(margins[row]).toBeLessThanOrEqual(0);
      expect(
        Buffer.compare(
          Buffer.from(examples.slice(from, to).buffer),
          Buffer.from(x.slice(from, to).buffer),
        ) === 0,
      ).toBe(row % 2 === 1);
    }
    let calls = 0;
    const counted: Evaluator = (...given) => {
      calls++;
      return evaluate(...given);
    };
    await pgd(
      counted,
      x,
      labels.map((label) => (label + 1) % CLASSES),
      0.05,
      { key: keyOf(1) },
    );
    expect(calls).toBe(1);
  });

  it('never gets worse with more restarts', async () => {
    const { evaluate, x, labels } = await problem(cnn3, keyOf('restarts'));
    const attack = (restarts: number) =>
      pgd(evaluate, x, labels, 0.02, { key: keyOf(5), steps: 4, restarts, untilBroken: false });
    const [one, four] = [await attack(1), await attack(4)];
    expect(four.margins.every((margin, row) => margin <= (one.margins[row] as number))).toBe(true);
    expect(four.margins).not.toEqual(one.margins);
  });

  it('takes the steps of the published settings: 0.5 ε, a tenth after 4 of 8 steps and again after 7', () => {
    const sizes = Array.from({ length: 8 }, (_, step) => stepSizeAt(step, 8));
    [0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005].forEach((size, step) => {
      expect(sizes[step]).toBeCloseTo(size, 12);
    });
  });

  it('refuses numbers of steps and restarts that make no sense', async () => {
    const { evaluate, x, labels } = await problem(linear, keyOf(1));
    await expect(pgd(evaluate, x, labels, 0.1, { key: keyOf(1), steps: 0 })).rejects.toThrow(
      'attack: expected steps to be an integer ≥ 1, got 0',
    );
    await expect(pgd(evaluate, x, labels, 0.1, { key: keyOf(1), restarts: 1.5 })).rejects.toThrow(
      'restarts to be an integer ≥ 1, got 1.5',
    );
  });
});

describe('multi-targeted PGD', () => {
  it('finds the exact worst case of a linear network with several classes', async () => {
    await fc.assert(
      fc.asyncProperty(key, epsilon, async (k, eps) => {
        const { parameters, x, labels } = await problem(linear, k);
        const evaluate = evaluatorFor(linear, parameters, 'targeted');
        const { margins } = await multiTargetPgd(evaluate, x, labels, eps, {
          key: k,
          steps: 8,
          classes: CLASSES,
          untilBroken: false,
        });
        const worst = worstMargins(linear, parameters, x, labels, eps);
        margins.forEach((margin, row) => {
          expect(margin).toBeCloseTo(worst[row] as number, 4);
        });
      }),
      { numRuns: 15 },
    );
  });

  it('breaks a label that the untargeted margin cannot, where the closest class leads nowhere', async () => {
    // Three classes: f₁ is closest but constant, f₂ starts far below and rises with every pixel.
    const net = chain('decoy', INPUT, [linearLayer(INPUT, 3)]);
    const weight = new Float32Array(3 * FEATURES).fill(1, 2 * FEATURES);
    const parameters = { '0.weight': weight, '0.bias': Float32Array.of(0, -0.1, -0.5 * FEATURES - 2) };
    const x = new Float32Array(BATCH * FEATURES).fill(0.5);
    const labels = new Int32Array(BATCH);
    const options = { key: keyOf(1), steps: 8, randomStart: false } as const;
    const plain = await pgd(evaluatorFor(net, parameters, 'margin'), x, labels, 0.1, options);
    const strong = await multiTargetPgd(evaluatorFor(net, parameters, 'targeted'), x, labels, 0.1, {
      ...options,
      classes: 3,
    });
    expect(plain.margins.every((margin) => margin > 0)).toBe(true);
    expect(strong.margins.every((margin) => margin <= 0)).toBe(true);
  });

  it('leaves images that are wrong to begin with as they are', async () => {
    const { parameters, x, labels } = await problem(cnn3, keyOf('wrong too'));
    const wrong = labels.map((label) => (label + 1) % CLASSES);
    const evaluate = evaluatorFor(cnn3, parameters, 'targeted');
    const { examples, margins } = await multiTargetPgd(evaluate, x, wrong, 0.1, {
      key: keyOf(1),
      steps: 2,
      classes: CLASSES,
    });
    expect(examples).toEqual(x);
    expect(margins.every((margin) => margin <= 0)).toBe(true);
  });
});
