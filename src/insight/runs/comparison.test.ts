import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRun } from '../../experiment/run/run-folder.js';
import { resolveSettings } from '../../experiment/settings/resolve-settings.js';
import type { GivenSettings } from '../../experiment/settings/settings.js';
import { markdownTable } from '../../formats/markdown.js';
import { compareRuns, comparisonCsv, comparisonFigure, comparisonRows, onParetoFront } from './comparison.js';
import { readResults, runsIn } from './run-results.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-compare-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A run with `certified` proofs, `wrong` natural errors and the rest undecided, of ten images. */
async function runOf(name: string, given: GivenSettings, certified?: number, wrong = 0) {
  const path = join(folder, name);
  const run = await createRun(path, resolveSettings({ ...given, out: path }));
  await run.release();
  await writeFile(run.paths.metrics, '{"step":1,"epoch":1,"seconds":12.5}\n{"step":2,"epo');
  if (certified === undefined) return path;
  const lines = Array.from({ length: 10 }, (_, image) => ({
    ...{ image, label: image, margin: null },
    ...(image < certified
      ? { verdict: 'certified', stage: 'ibp' }
      : image < certified + wrong
        ? { verdict: 'falsified', stage: 'natural' }
        : { verdict: 'undecided', stage: null }),
  }));
  await writeFile(join(path, 'certificate.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

describe('runs side by side', () => {
  test('show the settings that differ, their accuracies and the front, best proofs first', async () => {
    const paths = [
      await runOf('a', { relaxation: 'ibp', threads: 1 }, 5, 1),
      await runOf('b|`\n', { relaxation: 'crown-ibp', seed: 1, threads: 2 }, 7, 2),
      await runOf('c', { relaxation: 'crown-ibp', seed: 2 }, 4, 3),
      await runOf('d', { relaxation: 'crown-ibp', seed: 3 }),
    ];
    const comparison = compareRuns(await Promise.all(paths.map(readResults)));
    expect(comparison.differing).toEqual(['relaxation', 'seed']);
    const found = comparison.runs.map(({ natural, certified, adversarial, onFront }) => [
      ...[natural, certified, adversarial, onFront],
    ]);
    expect(found).toEqual([
      [0.8, 0.7, 0.8, true],
      [0.9, 0.5, 0.9, true],
      [0.7, 0.4, 0.7, false],
      [null, null, null, false],
    ]);
    expect(comparison.runs[0]?.trainingSeconds).toBe(12.5);
    expect(comparisonRows(comparison)[1]).toEqual([
      ...[paths[1], 'crown-ibp', '1', '80.00 %', '70.00 %', '80.00 %', '10', '13 s', '*'],
    ]);
    const markdown = markdownTable(comparisonRows(comparison));
    expect(markdown.trimEnd().split('\n')).toHaveLength(6);
    expect(markdown).toContain('b\\|`  |');
    expect(comparisonCsv(comparison)).toContain('run,relaxation,seed,natural,certified,adversarial,images');
  });

  test('show losses under relaxations where they are computed', async () => {
    const results = await Promise.all(['a', 'c'].map((name) => readResults(join(folder, name))));
    const [a] = results;
    const comparison = compareRuns(results, { [a?.path as string]: { ibp: 1.23456, crown: 0.5 } });
    expect(comparison.losses).toEqual(['ibp', 'crown']);
    const [head, ...rows] = comparisonRows(comparison).map((row) => row.slice(-3, -1));
    expect(head).toEqual(['loss ibp', 'loss crown']);
    expect(rows).toEqual([
      ['1.235', '0.5000'],
      ['–', '–'],
    ]);
    expect(comparisonCsv(comparison)).toMatch(
      /,trainingSeconds,loss ibp,loss crown\n.*,1\.23456,0\.5\n.*,,\n/,
    );
  });

  test('are drawn as a cloud of seeds for each choice of settings, published points hollow', async () => {
    const results = await Promise.all((await runsIn([folder])).map(readResults));
    const figure = comparisonFigure(compareRuns(results), [{ label: 'paper', natural: 0.9, certified: 0.8 }]);
    const marks = figure?.panels[0]?.marks ?? [];
    expect(marks.map((mark) => ('series' in mark ? [mark.series, mark.kind] : []))).toEqual([
      ['Pareto front', 'line'],
      ['relaxation crown-ibp', 'dots'],
      ['relaxation ibp', 'dots'],
      ['published', 'dots'],
    ]);
    expect(marks.at(-1)).toMatchObject({ hollow: true, labels: ['paper'] });
    expect(comparisonFigure({ differing: [], losses: [], runs: [] })).toBeUndefined();
  });

  test('without a run, or with a verdict that is none, are refused in one line', async () => {
    const empty = join(folder, 'd', 'checkpoints');
    await expect(runsIn([empty])).rejects.toThrow(
      'expected the folder of a run, or one with runs, it has no run',
    );
    await expect(runsIn([join(folder, 'nowhere')])).rejects.toThrow('there is nothing; check the path');
    const path = await runOf('torn', {}, 3);
    await writeFile(join(path, 'certificate.jsonl'), '{"image":1,"label":2,"verdict":"cert');
    await expect(readResults(path)).rejects.toThrow('line 1: expected a verdict on an image, got "{');
    await mkdir(join(folder, 'plain'));
  });
});

describe('the Pareto front', () => {
  test('holds exactly the points that no other is above', () => {
    const accuracy = fc.integer({ min: 0, max: 10 }).map((tenths) => tenths / 10);
    fc.assert(
      fc.property(
        fc.array(fc.record({ natural: accuracy, certified: accuracy }), { minLength: 1 }),
        (points) => {
          const front = onParetoFront(points);
          points.forEach((p, i) => {
            const above = points.filter(
              (q) =>
                q.natural >= p.natural &&
                q.certified >= p.certified &&
                q.natural + q.certified > p.natural + p.certified,
            );
            expect(front[i]).toBe(above.length === 0);
          });
          expect(front).toContain(true);
        },
      ),
    );
  });
});
