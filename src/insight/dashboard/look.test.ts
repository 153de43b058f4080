import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Dataset } from '../../data/dataset.js';
import { loadDataset } from '../../data/index.js';
import { evaluate, gradient, input, mul, total } from '../../graph/index.js';
import { certify } from '../../library/certify.js';
import { architecture } from '../../network/architectures.js';
import { initialize } from '../../network/initialization.js';
import { logits, parameterInputs } from '../../network/network.js';
import { keyOf } from '../../runtime/random/keys.js';
import { uniformNumbers } from '../../testing/numbers.js';
import type { ExactAnswer, RadiusAnswer } from './answers.js';
import { ImageLook } from './look.js';

const IMAGES = 12;
const network = architecture('cnn3', [1, 28, 28], 10);
const parameters = initialize(network, 'ibp', keyOf(1));
const x = input('x', [784, 1], 'float64');
const output = logits(network, parameterInputs(network, 'float64'), x);
const rows = input('rows', [10, 1], 'float64');
const slope = gradient(total(mul(output, rows)), [x]);
/** ∂(f_y − f_j)/∂x there. */
const slopeOf = (x: ArrayLike<number>, label: number, wrong: number): Float64Array => {
  const rows = Array.from({ length: 10 }, (_, k) => (k === label ? 1 : k === wrong ? -1 : 0));
  return evaluate(slope, { ...parameters, x, rows })[0] as Float64Array;
};
/** The network at a point, by the plain evaluator in float64. */
const outputs = (x: ArrayLike<number>): number[] =>
  Array.from(evaluate([output], { ...parameters, x })[0] ?? []);
let dataset: Dataset;
let look: ImageLook;

/** The first test images, most of them labelled as the network answers. */
beforeAll(async () => {
  const mnist = await loadDataset('mnist');
  const images = mnist.test.images.slice(0, IMAGES * 784);
  const labels = Int32Array.from({ length: IMAGES }, (_, i) => {
    const found = outputs(Float64Array.from(images.subarray(i * 784, (i + 1) * 784), (byte) => byte / 255));
    return i === 5 ? found.indexOf(Math.min(...found)) : found.indexOf(Math.max(...found));
  });
  dataset = { ...mnist, test: { images, labels, count: IMAGES } };
  look = new ImageLook({ network, parameters, dataset, clip: true, exactSeconds: 4 });
  await look.warm();
});
afterAll(() => look.close());

const pixelsOf = (image: number) =>
  Float64Array.from(dataset.test.images.subarray(image * 784, (image + 1) * 784), (byte) => byte / 255);

/** What is told of an image's radii. */
async function radiiOf(image: number, signal = new AbortController().signal) {
  const [radii, exact]: [RadiusAnswer[], ExactAnswer[]] = [[], []];
  await look.radii(
    image,
    (...[event, value]) => (event === 'radius' ? radii.push(value) : exact.push(value)),
    signal,
  );
  return { radii, exact };
}

describe('inside an image', () => {
  test('no bound is above a margin anywhere in the box, by the plain evaluator', async () => {
    const cases = fc.record({
      image: fc.nat(IMAGES - 1),
      epsilon: fc.constantFrom(0, 1 / 255, 0.02, 0.1),
      place: fc.nat(999),
    });
    const stages = ['ibp', 'crown-ibp', 'crown'] as const;
    await fc.assert(
      fc.asyncProperty(cases, async ({ image, epsilon, place }) => {
        const { relaxations, label, classes } = await look.step(image, epsilon, stages);
        const draws = uniformNumbers(`look ${place}`, 784);
        const wrong = classes[place % classes.length] as number;
        const slopes = slopeOf(pixelsOf(image), label, wrong);
        // Where the margin against one class falls fastest, or anywhere.
        const x = pixelsOf(image).map((value, i) => {
          const step = place % 4 === 0 ? 2 * (draws[i] as number) - 1 : -Math.sign(slopes[i] as number);
          return Math.min(1, Math.max(0, value + step * epsilon));
        });
        const values = outputs(x);
        for (const { margins, proves } of relaxations)
          classes.forEach((wrong, j) => {
            const margin = (values[label] as number) - (values[wrong] as number);
            expect(margins[j]).toBeLessThanOrEqual(margin + 1e-5);
            if (proves) expect(margin).toBeGreaterThan(0);
          });
      }),
      { numRuns: 25 },
    );
  });

  test('what is proved, broken or left open is what a certification says of every image', async () => {
    for (const epsilon of [1 / 255, 0.02]) {
      const { verdicts } = await certify(
        { network, parameters },
        { images: dataset.test, epsilon, threads: 1 },
      );
      for (const { image, verdict } of verdicts) {
        const { relaxations } = await look.step(image, epsilon, ['ibp', 'crown-ibp', 'crown']);
        expect([image, relaxations.some(({ proves }) => proves)]).toEqual([image, verdict === 'certified']);
        if (verdict === 'falsified') expect(await look.attack(image, epsilon)).toMatchObject({ found: true });
        if (verdict === 'certified')
          expect(await look.attack(image, epsilon)).toMatchObject({ found: false });
      }
    }
  });

  test('an image that is wrong as it is has no radius, is never proved, and is its own counterexample', async () => {
    const { margin, relaxations } = await look.step(5, 0, ['ibp', 'crown']);
    expect(margin).toBeLessThan(0);
    expect(relaxations.some(({ proves }) => proves)).toBe(false);
    const { radii, exact } = await radiiOf(5);
    expect(radii.map(({ epsilon }) => epsilon)).toEqual([0, 0, 0]);
    expect(exact).toEqual([]);
    expect(await look.attack(5, 0)).toMatchObject({ found: true, margin });
  });

  test('a radius is one at which its relaxation proves the image, a little above it does not', async () => {
    let largest = 0;
    for (const image of [0, 1, 2]) {
      const { radii } = await radiiOf(image);
      for (const { relaxation, epsilon } of radii) {
        const proves = async (radius: number) =>
          (await look.step(image, radius, [relaxation as 'ibp'])).relaxations[0]?.proves;
        if (epsilon > 0) expect(await proves(epsilon)).toBe(true);
        expect(await proves(epsilon + 0.5 / 2 ** 9)).toBe(false);
        largest = Math.max(largest, epsilon);
      }
    }
    expect(largest).toBeGreaterThan(0);
  });

  test('the exact radius lies between what is proved and what is broken, above every relaxation', async () => {
    const { radii, exact } = await radiiOf(2);
    const last = exact.at(-1) as ExactAnswer;
    expect(exact.map(({ done }) => done)).toEqual([...exact.slice(1).map(() => false), true]);
    for (const { epsilon } of radii) expect(last.proved).toBeGreaterThanOrEqual(epsilon);
    for (const [i, { proved, broken }] of exact.entries()) {
      expect(proved).toBeGreaterThanOrEqual(exact[i - 1]?.proved ?? 0);
      if (broken === null) continue;
      expect(broken).toBeGreaterThan(proved);
      const { verdicts } = await certify(
        { network, parameters },
        {
          images: dataset.test,
          indices: [2],
          epsilon: proved,
          threads: 1,
          complete: { secondsPerImage: 30 },
        },
      );
      if (i === exact.length - 1) expect(verdicts[0]?.verdict).toBe('certified');
    }
  });

  test('nobody waits for a radius of an image that was left', async () => {
    const gone = new AbortController();
    const started = performance.now();
    const left = radiiOf(1, gone.signal);
    setTimeout(() => gone.abort(new Error('gone')), 300);
    await expect(left).rejects.toThrow('gone');
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  test('a step of ε under IBP and CROWN-IBP answers within 200 ms for CNN3', async () => {
    const times: number[] = [];
    for (let i = 1; i <= 21; i++)
      times.push((await look.step(1, i / 100, ['ibp', 'crown-ibp'])).milliseconds);
    const sorted = times.toSorted((a, b) => a - b);
    console.log(`a step of ε, CNN3: median ${sorted[10]?.toFixed(1)} ms, most ${sorted[20]?.toFixed(1)} ms`);
    expect(sorted[10]).toBeLessThan(200);
  });
});
