import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDataset } from '../../data/index.js';
import { createRun } from '../../experiment/run/run-folder.js';
import { resolveSettings } from '../../experiment/settings/resolve-settings.js';
import { sigmaAt } from '../../experiment/sigma-at.js';
import { input, transpose } from '../../graph/index.js';
import { certify } from '../../library/certify.js';
import { train } from '../../library/train.js';
import { initialize } from '../../network/initialization.js';
import { forward, parameterInputs } from '../../network/network.js';
import { createExecutor } from '../../runtime/execution/executor.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { keyOf } from '../../runtime/random/keys.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { smallNetwork } from '../../testing/robust-objectives.js';
import { differenceOf, pictureOf } from './picture.js';
import { reportOn } from './report.js';
import { reportPage } from './report-page.js';
import { activityOf, reluActivity } from './unstable.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-report-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The text that a browser would show. */
const textOf = (html: string): string =>
  html.replace(/<style>[\s\S]*?<\/style>|<[^>]*>/g, ' ').replace(/\s+/g, ' ');

describe('a report', () => {
  test('tells a run and its certification, with images beside their counterexamples', async () => {
    const out = join(folder, 'run');
    const short = {
      architecture: 'fc-small',
      trainLimit: 200,
      validation: 50,
      batchSize: 50,
      epochs: 2,
    } as const;
    const run = await train({ ...short, method: 'natural', smoothing: 'rgs', out });
    const { natural, certified, adversarial } = await certify(run, { limit: 40, save: true, threads: 2 });
    const html = await reportOn(out, await loadDataset('mnist'));
    const text = textOf(html);
    for (const accuracy of [natural, certified, adversarial])
      expect(text).toContain(`${(100 * accuracy).toFixed(2)} % of 40 test images`);
    for (const heading of [
      'Course of training',
      'Schedules',
      'Unstable neurons',
      'Verdicts by class',
      'Time',
    ])
      expect(text).toContain(heading);
    expect(text).toContain('certification: ibp');
    expect(html.match(/<figure>/g)?.length).toBeGreaterThan(0);
    expect(html.match(/src="data:image\/png/g)?.length).toBe(3 * (html.match(/<figure>/g)?.length ?? 0));
    expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/<script|https?:|<link/);
    const summary = await readFile(join(out, 'summary.md'), 'utf8');
    expect(summary).toContain(`| certified | ${(100 * certified).toFixed(2)} % |`);
    expect(summary).toContain('Result on 40 test images, ε = 0.1');
  });

  test('of a run under way, with torn metrics and without images, says what is missing', async () => {
    const path = join(folder, '<img src=x onerror=alert(1)>');
    const run = await createRun(path, resolveSettings({ dataset: 'mnist', out: path }));
    await run.release();
    await writeFile(run.paths.metrics, '{"step":1,"epoch":1,"loss":2}\n{"step":2,"ep');
    const html = await reportOn(path);
    expect(html).not.toContain('<img');
    expect(textOf(html)).toMatch(
      /Unfinished: go on with .*Not certified yet: .*could not be read: none are shown/,
    );
  });

  test('of hostile text is text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const hostile = `${text}</p><script>alert(1)</script>`;
        const html = reportPage({
          ...{ title: hostile, subtitle: hostile, commands: [hostile], notes: [hostile], figures: [] },
          ...{
            results: [[hostile, hostile, hostile]],
            hardest: [],
            times: [],
            settings: [[hostile], [hostile]],
          },
        });
        expect(html).not.toContain('<script');
      }),
      { numRuns: 20 },
    );
  });
});

describe('activity of neurons', () => {
  const images = Float32Array.from(uniformNumbers('report images', 3 * 16));
  const parameters = initialize(smallNetwork, 'kaiming', keyOf(3));

  test('in a ball of radius 0 is that of the image: none unstable, active as a forward pass says', async () => {
    const layers = await reluActivity(smallNetwork, parameters, images, { epsilon: 0, clip: true });
    const values = forward(smallNetwork, parameterInputs(smallNetwork), transpose(input('images', [3, 16])));
    const hidden = smallNetwork.nodes.flatMap(({ layer, inputs }) =>
      layer.kind === 'relu' ? [values[inputs[0] as number] as (typeof values)[number]] : [],
    );
    const executor = createExecutor();
    const outputs = Object.fromEntries(hidden.map((tensor, k) => [`h${k}`, tensor]));
    const found = await executor.run(createPlan([{ kind: 'whole', outputs }]), { ...parameters, images });
    await executor.close();
    expect(layers).toHaveLength(hidden.length);
    layers.forEach(({ active, unstable }, k) => {
      const positive = Array.from(found.outputs[`h${k}`] as Float32Array).filter((value) => value > 0).length;
      expect(active * 3).toBeCloseTo(positive, 6);
      expect(unstable).toBe(0);
    });
  });

  test('grows unstable with the ball', async () => {
    const unstable = async (epsilon: number) =>
      (await reluActivity(smallNetwork, parameters, images, { epsilon, clip: true })).map(
        (layer) => layer.unstable,
      );
    const [small, large] = [await unstable(0.01), await unstable(0.3)];
    for (const [k, count] of small.entries()) expect(count).toBeLessThanOrEqual(large[k] as number);
    expect(large.some((count) => count > 0)).toBe(true);
  });

  test('counts every neuron once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ noNaN: true }), fc.double({ noNaN: true })), { minLength: 1 }),
        (pairs) => {
          const [lower, upper] = [pairs.map((p) => Math.min(...p)), pairs.map((p) => Math.max(...p))];
          const { neurons, active, inactive, unstable } = activityOf(lower, upper, 1);
          expect(active + inactive + unstable).toBe(neurons);
          expect(unstable).toBe(pairs.filter((p) => Math.min(...p) < 0 && Math.max(...p) > 0).length);
        },
      ),
    );
  });
});

describe('pictures', () => {
  test('hold the pixels, channels last', () => {
    const png = decode(
      Buffer.from(pictureOf([0, 1, 0.5, 2, 1, 0], [3, 1, 2]).split(',')[1] as string, 'base64'),
    );
    expect([png.width, png.height, png.channels]).toEqual([2, 1, 3]);
    expect([...png.data]).toEqual([0, 128, 255, 255, 255, 0]);
  });

  test('of a difference are grey where nothing changed, white at +ε and black at −ε', () => {
    expect([...differenceOf([0.5, 0.5, 0.5], [0.5, 0.6, 0.4], 0.1)].map((v) => Number(v.toFixed(5)))).toEqual(
      [0.5, 1, 0],
    );
  });
});

describe('σ over a run', () => {
  test('begins at its setting, ends as its decay does, and is that of the estimator where it learned one', () => {
    const settings = resolveSettings({ smoothing: 'rgs', sigma: 0.01 });
    expect(sigmaAt(settings, 0)).toBe(0.01);
    expect(sigmaAt(settings, 1)).toBe(0);
    const learned = resolveSettings({ smoothing: 'pgpe' });
    expect(sigmaAt(learned, 0, { sigma: Float64Array.of(0.1, 0.3) })).toBeCloseTo(0.2);
    expect(sigmaAt(resolveSettings({}), 0)).toBeUndefined();
  });
});
