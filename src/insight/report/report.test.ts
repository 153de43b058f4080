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
import { certify } from '../../library/certify.js';
import { train } from '../../library/train.js';
import type { Line } from '../figure/figure.js';
import { differenceOf, pictureOf } from './picture.js';
import { reportOn } from './report.js';
import { courseFigure, neuronFigure, scheduleFigure } from './report-figures.js';
import { reportPage } from './report-page.js';

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

describe('figures of a run under way', () => {
  const metrics = [1, 2, 3].map((epoch) => ({
    ...{ step: epoch, epoch, loss: 3 - epoch / 2, naturalLoss: 1, robustLoss: 1.5 - epoch / 2 },
    ...{ regularizationLoss: 0.5, unstable1: 0.1 * epoch, unstable2: 0.2 },
  }));

  test('show the parts of the loss, which add up to it, and unstable neurons of each layer', () => {
    const panel = courseFigure(metrics)?.panels.find(({ title }) => title === 'Parts of the loss');
    const lines = (panel?.marks ?? []) as Line[];
    expect(lines.map(({ series }) => series)).toEqual(['natural', 'robust', 'regularisation']);
    metrics.forEach(({ loss }, i) => {
      expect(lines.reduce((sum, { y }) => sum + (y[i] as number), 0)).toBeCloseTo(loss, 12);
    });
    const neurons = neuronFigure(metrics, 0.1)?.panels[0]?.marks as Line[];
    expect(neurons.map(({ series, y }) => [series, y.length])).toEqual([
      ['ReLU 1', 3],
      ['ReLU 2', 3],
    ]);
    expect(neuronFigure([{ step: 1, epoch: 1 }], 0.1)).toBeUndefined();
  });

  test('draw schedules dashed from the present epoch on, on one curve with what is done', () => {
    const settings = resolveSettings({ epochs: 10, smoothing: 'rgs' });
    for (const done of [0, 3.3, 9.99, 10]) {
      const lines = scheduleFigure(settings, done).panels[0]?.marks as Line[];
      for (const { x, dashed } of lines)
        for (const epoch of x) expect(dashed ? epoch > done - 0.05 : epoch <= done).toBe(true);
      const whole = scheduleFigure(settings).panels[0]?.marks as Line[];
      for (const { series, x, y } of whole) {
        const parts = lines.filter((line) => line.series === series);
        const points = new Map(parts.flatMap((line) => line.x.map((epoch, i) => [epoch, line.y[i]])));
        x.forEach((epoch, i) => {
          expect(points.get(epoch) ?? y[i]).toBe(y[i]);
        });
        expect(points.size).toBeGreaterThanOrEqual(x.length - 1);
      }
    }
  });
});
