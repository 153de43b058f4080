import { beforeAll, describe, expect, test } from 'vitest';
import type { Dataset, Split } from '../../data/dataset.js';
import { loadDataset } from '../../data/index.js';
import { encodeOnnx } from '../../formats/onnx.js';
import { architecture } from '../../network/architectures.js';
import { initialize } from '../../network/initialization.js';
import { exportOnnx } from '../../network/onnx/export.js';
import { keyOf } from '../../runtime/random/keys.js';
import { model, op, random } from '../../testing/onnx-models.js';
import { certify } from '../../verification/certification/cascade.js';
import type { AttackAnswer, LookAnswer } from '../dashboard/answers.js';
import { DIGITS, type Digits, PIXELS, packDigits, TRAINED_ON, unpackDigits } from './digits.js';
import { PageAnswers } from './page-answers.js';
import { MOST, sizeProblem } from './page-limits.js';
import { openPageNetwork } from './page-network.js';
import type { CertifyAnswer, Digit, RadiiAnswer } from './questions.js';

const net = architecture('cnn3-narrow', [1, 28, 28], 10);
const parameters = initialize(net, 'ibp', keyOf(3));
const bytes = exportOnnx(net, parameters, { epsilon: 0.1 });
const first = ({ images, labels }: Split, count: number): Split => ({
  images: images.slice(0, PIXELS * count),
  labels: labels.slice(0, count),
  count,
});
let digits: Digits;
let page: PageAnswers;
beforeAll(async () => {
  const mnist: Dataset = await loadDataset('mnist');
  digits = { train: first(mnist.train, TRAINED_ON), test: first(mnist.test, 40) };
  page = new PageAnswers(digits, { exactSeconds: 3 });
  await page.answer({ kind: 'open', name: 'a.onnx', bytes });
});
const look = async (digit: Digit, epsilon = 0.01): Promise<LookAnswer> =>
  (await page.answer({ kind: 'look', digit, epsilon, relaxations: ['ibp', 'crown'] })) as LookAnswer;
const pixelsOf = (image: number) => digits.test.images.slice(image * PIXELS, (image + 1) * PIXELS);

describe('packed digits', () => {
  test('come back as they were; other bytes are refused in one line', () => {
    const unpacked = unpackDigits(packDigits(digits));
    for (const part of ['train', 'test'] as const) {
      expect([...unpacked[part].labels]).toEqual([...digits[part].labels]);
      expect(Buffer.from(unpacked[part].images).equals(digits[part].images)).toBe(true);
    }
    expect(() => unpackDigits(new Uint8Array(785 * TRAINED_ON + 1))).toThrow(/^digits: expected more/);
  });
});

describe('the page', () => {
  test('says of a drawn digit what it says of the same test image, labelled as the network reads it', async () => {
    for (const image of [0, 3, 8]) {
      const drawn = await look({ pixels: pixelsOf(image) });
      expect(drawn.margin).toBeGreaterThanOrEqual(0);
      const labels = Uint8Array.from(digits.test.labels).with(image, drawn.label);
      const same = new PageAnswers({ ...digits, test: { ...digits.test, labels } });
      await same.answer({ kind: 'open', name: 'a.onnx', bytes });
      const { relaxations, margin } = (await same.answer({
        ...{ kind: 'look', digit: { image }, epsilon: 0.01, relaxations: ['ibp', 'crown'] },
      })) as LookAnswer;
      expect([drawn.relaxations, drawn.margin]).toEqual([relaxations, margin]);
    }
  });

  test('does not call certified what is above zero by less than rounding may have added', async () => {
    const leastAt = async (epsilon: number) => {
      const [row] = (await look({ pixels: pixelsOf(0) }, epsilon)).relaxations;
      const margins = (row?.margins ?? []).map((value) => value ?? Number.NaN);
      return { least: Math.min(...margins), proves: row?.proves };
    };
    // Where the bound falls to zero, as far as float32 tells.
    let [positive, open] = [0, 1];
    for (let step = 0; step < 24; step++) {
      const middle = (positive + open) / 2;
      if ((await leastAt(middle)).least > 0) positive = middle;
      else open = middle;
    }
    const { least, proves } = await leastAt(positive);
    expect(least).toBeGreaterThan(0);
    expect(least).toBeLessThan(1e-5);
    expect(proves).toBe(false);
    expect((await leastAt(positive / 2)).proves).toBe(true);
  });

  test('forgets what it knew of a drawn digit when another network is opened', async () => {
    const digit = { pixels: pixelsOf(2) };
    const before = await look(digit);
    const others = initialize(net, 'ibp', keyOf(4));
    await page.answer({ kind: 'open', name: 'b.onnx', bytes: exportOnnx(net, others) });
    expect((await look(digit)).margin).not.toBe(before.margin);
    await page.answer({ kind: 'open', name: 'a.onnx', bytes });
    expect((await look(digit)).margin).toBe(before.margin);
  });

  test('never breaks and proves the same digit, and finds what breaks a ball of radius 1', async () => {
    let broken = 0;
    for (const epsilon of [0.01, 0.3, 1]) {
      const digit = { pixels: pixelsOf(5) };
      const { relaxations } = await look(digit, epsilon);
      const { found } = (await page.answer({ kind: 'attack', digit, epsilon })) as AttackAnswer;
      expect(found && relaxations.some(({ proves }) => proves)).toBe(false);
      broken += Number(found);
    }
    expect(broken).toBeGreaterThan(0);
  });

  test('tells radii as they become known, the exact one at last: no relaxation proves more', async () => {
    const told: RadiiAnswer[] = [];
    const question = { kind: 'radii', digit: { pixels: pixelsOf(1) } } as const;
    const answer = (await page.answer(question, (known) => told.push(known as RadiiAnswer))) as RadiiAnswer;
    expect(told.at(-1)).toEqual(answer);
    expect(answer.radii.map(({ relaxation }) => relaxation)).toEqual(['ibp', 'crown-ibp', 'crown']);
    for (const [i, { radii, exact }] of told.entries()) {
      expect(radii.length).toBe(Math.min(i + 1, 3));
      expect(exact === undefined).toBe(i < 3);
      for (const { epsilon } of exact ? radii : []) expect(exact?.proved).toBeGreaterThanOrEqual(epsilon);
    }
    expect(answer.exact).toMatchObject({ done: true, seconds: 3 });
  });

  test('certifies its test digits as a certification does', async () => {
    const epsilon = 0.01;
    const answer = (await page.answer({ kind: 'certify', epsilon })) as CertifyAnswer;
    const report = await certify({ network: net, parameters, split: digits.test, epsilon, threads: 1 });
    const { natural, adversarial, certified, images } = report;
    expect(answer).toEqual({ epsilon, natural, adversarial, certified, images });
  });

  test('keeps the network that it has where it refuses another', async () => {
    const before = await look({ image: 0 });
    const refused = page.answer({ kind: 'open', name: 'b.onnx', bytes: Uint8Array.of(1, 2, 3) });
    await expect(refused).rejects.toThrow(/^b\.onnx: /);
    expect((await look({ image: 0 })).relaxations).toEqual(before.relaxations);
    const none = new PageAnswers(digits).answer({ kind: 'radii', digit: { image: 0 } });
    await expect(none).rejects.toThrow('expected a network, none is open; drop an ONNX file');
    await expect(look({ pixels: new Uint8Array(3) })).rejects.toThrow(
      'expected a digit of 784 pixels, got 3',
    );
  });
});

const product = (inputs: number, double = false) =>
  encodeOnnx(
    model({
      input: ['batch', inputs],
      nodes: [op('MatMul', ['x', 'w'], 'y')],
      double,
      constants: [random('w', [inputs, 10], { double })],
    }),
  );
const shaped = (shape: readonly [number, number, number], classes: number, name = 'fc-small') => {
  const other = architecture(name, shape, classes);
  return exportOnnx(other, initialize(other, 'kaiming', keyOf(1)));
};

describe('a network for the page', () => {
  test('is described by its parameters and ReLUs', () => {
    expect(openPageNetwork(bytes, 'a.onnx').described).toEqual({
      name: 'a.onnx',
      parameters: 4554,
      neurons: 1176,
      epsilon: '0.1',
    });
    expect(openPageNetwork(product(784), 'flat.onnx').described.neurons).toBe(0);
  });

  test.each([
    ['no ONNX', new TextEncoder().encode('<html>'), ''],
    ['a cut file', bytes.subarray(0, 5000), ''],
    ['an empty file', new Uint8Array(), ''],
    ['other images', shaped([3, 32, 32], 10), 'expected a network on 1×28×28 images as MNIST has them, got'],
    ['other classes', shaped([1, 28, 28], 7), 'expected 10 logits, one for each class of MNIST, got 7'],
    ['float64', product(784, true), 'expected a float32 network, got float64; take `tautnet certify`'],
    [
      'many parameters',
      shaped([1, 28, 28], 10, 'linear 5200, linear'),
      'expected at most 4000000 parameters in the page, got 4134010; take `tautnet certify`',
    ],
    [
      'a wide layer',
      shaped([1, 28, 28], 10, 'conv 32@3 p1, linear'),
      'expected at most 16384 neurons in a layer in the page, got 25088; take `tautnet certify`',
    ],
  ])('of %s is refused in one line with its name', (_, file, line) => {
    let message = '';
    try {
      openPageNetwork(file, 'net.onnx');
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.slice(0, 10 + line.length)).toBe(`net.onnx: ${line}`);
    expect(message.length).toBeGreaterThan(20);
    expect(message).not.toContain('\n');
  });

  test('that is not finite or a file that is too large is refused, the file before it is read', () => {
    const spoiled = {
      ...parameters,
      '0.weight': (parameters['0.weight'] as Float32Array).map(() => Number.NaN),
    };
    expect(() => openPageNetwork(exportOnnx(net, spoiled), 'n.onnx')).toThrow(/^n\.onnx: expected finite/);
    expect(sizeProblem('n.onnx', MOST.bytes)).toBeUndefined();
    expect(sizeProblem('n.onnx', 1e9)).toMatch(
      /^n\.onnx: expected at most 33554432 bytes in the page, got 1e9|1000000000/,
    );
  });

  test('reads digits as MNIST has them', async () => {
    const { shape, classes, mean, std } = await loadDataset('mnist');
    expect({ ...DIGITS, name: 'MNIST' }).toEqual({ name: 'MNIST', shape, classes, mean, std });
  });
});
