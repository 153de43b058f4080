import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attackProgram, evaluatorOf } from '../../attack/attack-program.js';
import { ball } from '../../attack/box.js';
import { multiTargetPgd } from '../../attack/multi-target.js';
import { reluLayer } from '../../network/layers/layer.js';
import { linearLayer } from '../../network/layers/linear.js';
import { chain, parameterName } from '../../network/network.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPool, type Pool } from '../../runtime/pool/pool.js';
import type { RunTask } from '../../runtime/pool/task.js';
import { keyOf } from '../../runtime/random/keys.js';
import { type CertifiedSet, certifiedSet, doubleLogits, marginsOf } from '../../testing/certified-sets.js';
import { poolHolding } from '../../testing/devices.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { certify } from './cascade.js';
import type { CertificationOptions, CertificationProgress } from './options.js';
import type { CertificationReport, Certified, Falsified } from './verdict.js';

const EPSILON = 0.02;
const COUNT = 120;
const FEATURES = 25;
const attack = { steps: 12, restarts: 2 };

let pool: Pool;
let set: CertifiedSet;
let report: CertificationReport;
let progress: CertificationProgress[];
const certifySet = (options: Partial<CertificationOptions> = {}) =>
  certify({ ...set, epsilon: EPSILON, attack, pool, ...options });

beforeAll(async () => {
  pool = createPool(2);
  set = await certifiedSet(5, COUNT);
  progress = [];
  report = await certifySet({ progress: (state) => progress.push(state) });
});
afterAll(() => pool.close());

const certifiedOf = ({ verdicts }: CertificationReport) =>
  verdicts.filter((v): v is Certified => v.verdict === 'certified');
const falsifiedOf = ({ verdicts }: CertificationReport) =>
  verdicts.filter((v): v is Falsified => v.verdict === 'falsified');
const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);
const imageOf = (index: number, { split }: CertifiedSet = set) =>
  Float32Array.from(split.images.subarray(index * FEATURES, (index + 1) * FEATURES), (byte) => byte / 255);
/** Verdicts, with numbers rounded to what batch sizes may not change. */
const rounded = ({ verdicts }: CertificationReport) =>
  verdicts.map((verdict) => ({
    ...verdict,
    margin: Number(verdict.margin.toFixed(4)),
    ...(verdict.verdict === 'falsified' && {
      counterexample: Array.from(verdict.counterexample, (v) => v.toFixed(4)),
    }),
  }));

describe('verdicts', () => {
  test('are one for each image, in order, and of every kind', () => {
    expect(report.verdicts.map(({ image }) => image)).toEqual(Array.from({ length: COUNT }, (_, i) => i));
    expect(report.verdicts.map(({ label }) => label)).toEqual(Array.from(set.split.labels));
    // The tests below mean something only where all of these occur.
    for (const kind of ['certified', 'falsified', 'undecided'])
      expect(report.verdicts.map(({ verdict }) => verdict)).toContain(kind);
    for (const stage of ['natural', 'ibp', 'crown-ibp', 'crown', 'attack'])
      expect(report.verdicts.map((v) => v.stage)).toContain(stage);
  });

  test('add up to the accuracies and to what the stages report', async () => {
    const values = await doubleLogits(
      set.network,
      set.parameters,
      Float64Array.from(set.split.images, (byte) => Math.fround(byte / 255)),
    );
    const right = marginsOf(values, set.split.labels).filter((margin) => margin > 0).length;
    expect(report.natural).toBe(right / COUNT);
    expect(report.certified).toBe(certifiedOf(report).length / COUNT);
    expect(report.adversarial).toBe(1 - falsifiedOf(report).length / COUNT);
    expect(report.natural).toBeGreaterThanOrEqual(report.adversarial);
    expect(report.adversarial).toBeGreaterThanOrEqual(report.certified);
    let left = COUNT;
    for (const [name, { images, certified, falsified }] of Object.entries(report.stages)) {
      expect(images).toBe(left);
      expect(certified).toBe(certifiedOf(report).filter(({ stage }) => stage === name).length);
      expect(falsified).toBe(falsifiedOf(report).filter(({ stage }) => stage === name).length);
      left -= certified + falsified;
    }
    expect(left).toBe(report.verdicts.filter(({ verdict }) => verdict === 'undecided').length);
  });

  test('certified: random points, corners and attacks on every wrong class stay above the proven margin', async () => {
    const certified = certifiedOf(report);
    const lowest = new Map<number, number>();
    const see = (image: number, margin: number) =>
      lowest.set(image, Math.min(margin, lowest.get(image) ?? Number.POSITIVE_INFINITY));
    const samples = 100;
    const points = certified.flatMap(({ image }) => {
      const { lower, upper } = ball(imageOf(image), EPSILON);
      const draws = uniformNumbers(`samples ${image}`, samples * FEATURES);
      // Half of them uniform, half of them corners.
      return Array.from(draws, (u, k) => {
        const place = k < draws.length / 2 ? u : Math.round(u);
        return (lower[k % FEATURES] as number) * (1 - place) + (upper[k % FEATURES] as number) * place;
      });
    });
    const labels = certified.flatMap(({ label }) => new Array<number>(samples).fill(label));
    const sampled = marginsOf(await doubleLogits(set.network, set.parameters, points), labels);
    sampled.forEach((margin, i) => {
      see((certified[Math.floor(i / samples)] as Certified).image, margin);
    });
    expect(sampled.length).toBeGreaterThan(3000);

    const executor = createExecutor();
    try {
      const program = attackProgram(set.network, certified.length, 'targeted');
      const evaluate = evaluatorOf(executor.run, program, set.parameters);
      const x = Float32Array.from(certified.flatMap(({ image }) => Array.from(imageOf(image))));
      const own = Int32Array.from(certified, ({ label }) => label);
      const { margins } = await multiTargetPgd(evaluate, x, own, EPSILON, {
        key: keyOf(3),
        steps: 30,
        restarts: 3,
        classes: 3,
      });
      for (const [row, { image }] of certified.entries()) see(image, margins[row] as number);
    } finally {
      await executor.close();
    }
    for (const { image, margin } of certified) {
      expect(margin).toBeGreaterThan(0);
      expect(lowest.get(image)).toBeGreaterThan(margin - 1e-5);
    }
  });

  test('falsified: the counterexample lies in the ball and is not given the label, in float64 too', async () => {
    const falsified = falsifiedOf(report);
    const values = await doubleLogits(
      set.network,
      set.parameters,
      falsified.flatMap(({ counterexample }) => Array.from(counterexample)),
    );
    const margins = marginsOf(
      values,
      falsified.map(({ label }) => label),
    );
    for (const [i, { image, margin, stage, counterexample }] of falsified.entries()) {
      expect(margin).toBeLessThanOrEqual(0);
      expect(margins[i]).toBeCloseTo(margin, 4);
      const original = imageOf(image);
      if (stage === 'natural') expect(counterexample).toEqual(original);
      for (const [k, v] of counterexample.entries()) {
        expect(Math.abs(v - (original[k] as number))).toBeLessThanOrEqual(EPSILON);
        expect(v >= 0 && v <= 1).toBe(true);
      }
    }
  });

  test('a ball that is not cut reaches further', async () => {
    const uncut = await certifySet({ clipBox: false });
    const total = (of: CertificationReport, images: readonly number[]) =>
      images.reduce((sum, image) => sum + (of.verdicts[image]?.margin as number), 0);
    const both = certifiedOf(uncut).filter(({ image, stage }) => report.verdicts[image]?.stage === stage);
    const images = both.map(({ image }) => image);
    expect(uncut.certified).toBeLessThanOrEqual(report.certified);
    expect(total(uncut, images)).toBeLessThan(total(report, images));
    const outside = falsifiedOf(uncut).filter(({ counterexample }) =>
      counterexample.some((v) => v < 0 || v > 1),
    );
    expect(outside.length).toBeGreaterThan(0);
    for (const { image, counterexample } of outside) {
      const original = imageOf(image);
      for (const [k, v] of counterexample.entries())
        expect(Math.abs(v - (original[k] as number))).toBeLessThanOrEqual(EPSILON);
    }
  });
});

describe('the cascade', () => {
  test.each([
    ['one image at a time', { natural: 1, ibp: 1, 'crown-ibp': 1, crown: 1, attack: 1 }],
    ['padded batches', { natural: 32, ibp: 7, 'crown-ibp': 9, crown: 5, attack: 11 }],
  ])('gives the same verdicts in other batches: %s', async (_name, batchSizes) => {
    expect(rounded(await certifySet({ batchSizes, limit: 50 }))).toEqual(rounded(report).slice(0, 50));
    // After one step a counterexample still shows where it started; after many it is a corner of the ball.
    const oneStep = { attack: { steps: 1, restarts: 4 } };
    expect(rounded(await certifySet({ ...oneStep, batchSizes }))).toEqual(rounded(await certifySet(oneStep)));
  });

  test('starts each restart elsewhere, where the seed says', async () => {
    const examples = async (seed: number, restarts: number) =>
      falsifiedOf(await certifySet({ seed, attack: { steps: 1, restarts } }))
        .filter(({ stage }) => stage === 'attack')
        .map(({ image, counterexample }) => `${image}: ${counterexample}`);
    const once = await examples(0, 1);
    const often = await examples(0, 8);
    expect(often.length).toBeGreaterThan(once.length);
    expect(often).toEqual(expect.arrayContaining(once));
    expect(await examples(1, 8)).not.toEqual(often);
  });

  test('of parts of the images put together is that of the whole: verdicts, and what each image draws', async () => {
    const parts = [[0, 1, 2], range(3, 47), range(47, COUNT)].map((indices) =>
      certifySet({ indices, seed: 5, attack: { steps: 1, restarts: 4 } }),
    );
    const whole = await certifySet({ seed: 5, attack: { steps: 1, restarts: 4 } });
    expect((await Promise.all(parts)).flatMap(rounded)).toEqual(rounded(whole));
    const scattered = await certifySet({ indices: [3, 40, 41, 99] });
    expect(rounded(scattered)).toEqual([3, 40, 41, 99].map((image) => rounded(report)[image]));
    expect(scattered.images).toBe(4);
  });

  test('gives the same bits on one thread as on two', async () => {
    const { verdicts } = await certifySet({ pool: undefined, threads: 1 });
    expect(verdicts).toEqual(report.verdicts);
  });

  test('certifies a network with an enormous margin by intervals alone', async () => {
    const bias = Object.keys(set.parameters).filter((name) => name.endsWith('.bias'));
    const last = bias.at(-1) as string;
    const parameters = { ...set.parameters, [last]: Float32Array.of(1000, 0, 0) };
    const split = { ...set.split, labels: new Uint8Array(COUNT) };
    const { stages, certified, natural, adversarial } = await certifySet({ parameters, split });
    expect([natural, certified, adversarial]).toEqual([1, 1, 1]);
    expect(stages.ibp?.certified).toBe(COUNT);
    expect(stages.attack.images).toBe(0);
  });

  test('never certifies what rounding could have made: margins of 0 are wrong, margins of a few float32 steps undecided', async () => {
    const zero = Object.fromEntries(
      Object.entries(set.parameters).map(([name, array]) => [name, new Float32Array(array.length)]),
    );
    const split = { ...set.split, labels: new Uint8Array(COUNT) };
    const tie = await certifySet({ parameters: zero, split, limit: 10 });
    expect([tie.natural, tie.adversarial]).toEqual([0, 0]);
    const last = Object.keys(zero).at(-1) as string;
    const near = await certifySet({
      parameters: { ...zero, [last]: Float32Array.of(1 + 2 ** -20, 1, 1) },
      split,
      limit: 10,
    });
    expect([near.natural, near.certified, near.adversarial]).toEqual([1, 0, 1]);
    const above = await certifySet({
      parameters: { ...zero, [last]: Float32Array.of(1 + 2 ** -14, 1, 1) },
      split,
      limit: 10,
    });
    expect(above.certified).toBe(1);
  });

  test('tells how far it is: each stage from its beginning to its end, and decisions that never shrink', () => {
    for (const stage of ['natural', 'ibp', 'crown-ibp', 'crown'] as const)
      expect(progress.find((state) => state.stage === stage)?.done).toBe(0);
    const last = new Map(progress.map((state) => [state.stage, state]));
    for (const { done, total } of last.values()) expect(done).toBeLessThanOrEqual(total);
    for (const stage of ['natural', 'ibp', 'crown-ibp', 'crown'] as const)
      expect(last.get(stage)?.done).toBe(report.stages[stage]?.images);
    progress.slice(1).forEach(({ certified, falsified }, i) => {
      expect(certified).toBeGreaterThanOrEqual((progress[i] as CertificationProgress).certified);
      expect(falsified).toBeGreaterThanOrEqual((progress[i] as CertificationProgress).falsified);
    });
  });

  test('stops with the reason of its signal, and the pool can be used again', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const stopped = certifySet({
      signal: controller.signal,
      batchSizes: { ibp: 4 },
      progress: ({ stage }) => stage === 'ibp' && controller.abort(reason),
    });
    await expect(stopped).rejects.toBe(reason);
    expect((await certifySet({ limit: 3 })).images).toBe(3);
  });

  test.each([
    [{ epsilon: 0 }, 'expected ε in (0, 1], in pixels, got 0'],
    [{ epsilon: 1.5 }, 'got 1.5'],
    [{ epsilon: Number.NaN }, 'got NaN'],
    [{ limit: 0 }, 'expected limit to be an integer ≥ 1, got 0'],
    [{ limit: 500 }, 'expected at most 120 images, all there are, got 500'],
    [{ indices: [] }, 'expected at least one image, got none'],
    [{ indices: [1, 1] }, 'expected ascending indices below 120, got 1'],
    [{ indices: [3, 120] }, 'expected ascending indices below 120, got 120'],
    [{ indices: [-1] }, 'got -1'],
    [{ indices: [1], limit: 1 }, 'expected `indices` or `limit`, got both'],
    [{ attack: { steps: 0.5 } }, 'expected attack steps to be an integer ≥ 1, got 0.5'],
    [
      { split: { images: new Uint8Array(24), labels: new Uint8Array(1), count: 1 } },
      'expected images of 1×5×5 as the network reads them, got 24 pixels',
    ],
    [
      { split: { images: new Uint8Array(25), labels: Uint8Array.of(3), count: 1 } },
      'expected labels from 0 to 2',
    ],
  ] as [Partial<CertificationOptions>, string][])(
    'refuses options that make no sense: %j',
    async (options, message) => {
      await expect(certifySet(options)).rejects.toThrow(message);
    },
  );
});

describe('on a device whose memory does not hold a batch', () => {
  /** A pool whose memory holds calls of so many images. */
  const holding = (most: number) => {
    const images = ({ feeds }: RunTask) =>
      Math.max(...Object.values(feeds).map((data) => ('key' in data ? data.size : data.length))) / FEATURES;
    return poolHolding({ ...pool, threads: 1 }, most, images);
  };

  test('half as many images are taken, and the verdicts are the same', async () => {
    const { limited, asked } = holding(64);
    const states: CertificationProgress[] = [];
    const made = await certifySet({ pool: limited, progress: (state) => states.push(state) });
    expect(rounded(made)).toEqual(rounded(report));
    // Each stage finds out once.
    const tooMany = asked.filter((images) => images > 64).length;
    expect(tooMany).toBeGreaterThan(0);
    expect(tooMany).toBeLessThanOrEqual(Object.keys(made.stages).length);
    expect(asked.filter((images) => images === 64).length).toBeGreaterThan(2);
    expect(made.stages.natural).toMatchObject({ images: COUNT, falsified: report.stages.natural.falsified });
    for (const { done, total } of states) expect(done).toBeLessThanOrEqual(total);
  });

  test('one line says so where half as many are too many', async () => {
    await expect(certifySet({ pool: holding(32).limited })).rejects.toThrow(
      /^webgpu: the memory of the device does not suffice for 128 images at once, nor for 64 \(failed to allocate memory\); let programs take less with --memory/,
    );
  });
});

test('an image is certified only where rounding cannot have made its bound: of layers that cancel, too', async () => {
  // f_0 = relu(x + 10⁶) − 10⁶ − 0.49, f_1 = 0: below 0 in the ball, where float32 knows multiples of 1/16.
  const one = [1, 1, 1] as const;
  const net = chain('cancelling', one, [linearLayer(one, 1), reluLayer(one), linearLayer(one, 2)]);
  const parameters = {
    [parameterName(0, 'weight')]: Float32Array.of(1),
    [parameterName(0, 'bias')]: Float32Array.of(1e6),
    [parameterName(2, 'weight')]: Float32Array.of(1, 0),
    [parameterName(2, 'bias')]: Float32Array.of(-1e6, 0),
  };
  const verdictAt = async (byte: number) => {
    const split = { count: 1, images: Uint8Array.of(byte), labels: Uint8Array.of(0) };
    const options = { network: net, parameters, split, epsilon: 0.01, attack, pool, batchSizes: { ibp: 1 } };
    return (await certify(options)).verdicts[0]?.verdict;
  };
  // 9/255 − 0.01 = 0.0253 rounds to 0, 11/255 − 0.01 = 0.0331 to 1/16: no proof that 0.0331 > 0 by much.
  expect(await verdictAt(11)).toBe('undecided');
  expect(await verdictAt(255)).toBe('certified');
});

test('of a float64 file the float64 function is what is answered, attacked, bounded and searched', async () => {
  // f_0 = 10⁹ ((1 + 10⁻⁹) x − x) − 0.5 = x − 0.5, which float32 takes for −0.5.
  const one = [1, 1, 1] as const;
  const net = chain('float64', one, [linearLayer(one, 2), linearLayer([2, 1, 1], 2)]);
  const exact = {
    [parameterName(0, 'weight')]: Float64Array.of(1 + 1e-9, 1),
    [parameterName(0, 'bias')]: Float64Array.of(0, 0),
    [parameterName(1, 'weight')]: Float64Array.of(1e9, -1e9, 0, 0),
    [parameterName(1, 'bias')]: Float64Array.of(-0.5, 0),
  };
  const parameters = Object.fromEntries(
    Object.entries(exact).map(([name, values]) => [name, Float32Array.from(values)]),
  );
  const split = { count: 3, images: Uint8Array.of(255, 0, 128), labels: Uint8Array.of(0, 0, 0) };
  const options = { network: net, parameters, exact, double: true, split, epsilon: 0.01, attack, pool };
  const found = await certify({ ...options, complete: { secondsPerImage: 2 } });
  expect(found.verdicts.map(({ verdict, stage }) => [verdict, stage])).toEqual([
    ['certified', 'crown'],
    ['falsified', 'natural'],
    ['falsified', expect.anything()],
  ]);
  expect(found.stages.ibp?.skipped).toContain('float64');
});

describe('sound proofs', () => {
  test('are of the numbers beyond float32, and of layers that cancel, where default ones are not', async () => {
    // f_0 = 10⁹ (x − (1 + 10⁻⁹) x) + 0.5 = 0.5 − x, which float32 takes for 0.5.
    const one = [1, 1, 1] as const;
    const net = chain('rounded', one, [linearLayer(one, 2), linearLayer([2, 1, 1], 2)]);
    const exact = {
      [parameterName(0, 'weight')]: Float64Array.of(1, 1 + 1e-9),
      [parameterName(0, 'bias')]: Float64Array.of(0, 0),
      [parameterName(1, 'weight')]: Float64Array.of(1e9, -1e9, 0, 0),
      [parameterName(1, 'bias')]: Float64Array.of(0.5, 0),
    };
    const parameters = Object.fromEntries(
      Object.entries(exact).map(([name, values]) => [name, Float32Array.from(values)]),
    );
    const split = { count: 2, images: Uint8Array.of(255, 0), labels: Uint8Array.of(0, 0) };
    const complete = { secondsPerImage: 2 };
    const options = { network: net, parameters, exact, split, epsilon: 0.01, attack, pool, complete };
    const kinds = async (sound: boolean) => {
      const found = await certify({ ...options, sound });
      expect(found.sound).toBe(sound || undefined);
      return found.verdicts.map(({ verdict }) => verdict);
    };
    expect(await kinds(true)).toEqual(['undecided', 'certified']);
    expect(await kinds(false)).not.toContain('falsified');
  });

  test('have margins below all values in the ball, to the last digits, and are about as many', async () => {
    const sound = await certifySet({ sound: true });
    for (const stage of ['ibp', 'crown-ibp', 'crown'] as const)
      expect(sound.stages[stage]?.certified).toBeGreaterThan(0);
    expect(sound.certified).toBeGreaterThan(report.certified - 0.03);
    const proved = certifiedOf(sound);
    const corners = 64;
    const bits = uniformNumbers('corners', corners * FEATURES * proved.length);
    const points = Float64Array.from(bits, (bit, at) => {
      const image = proved[Math.floor(at / (corners * FEATURES))]?.image as number;
      const pixel = (set.split.images[image * FEATURES + (at % FEATURES)] as number) / 255;
      return Math.min(1, Math.max(0, pixel + (bit < 0.5 ? -EPSILON : EPSILON)));
    });
    const labels = proved.flatMap(({ label }) => Array.from({ length: corners }, () => label));
    const values = marginsOf(await doubleLogits(set.network, set.parameters, points), labels);
    values.forEach((value, k) => {
      expect(proved[Math.floor(k / corners)]?.margin).toBeLessThanOrEqual(value + 1e-13);
    });
  });

  test('of one relaxation alone are refused for those that have none', async () => {
    await expect(certifySet({ sound: true, relaxation: 'deeppoly' })).rejects.toThrow(
      'certify: expected a relaxation of ibp, crown-ibp, crown with `sound`, got deeppoly',
    );
    const alone = await certifySet({ sound: true, relaxation: 'ibp' });
    expect(Object.keys(alone.stages)).toEqual(['natural', 'ibp', 'attack']);
  });
});
