import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Resvg } from '@resvg/resvg-js';
import fc from 'fast-check';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { figureCsv } from './csv.js';
import { COLOUR_COUNT, coloursOf, type Figure, type Mark } from './figure.js';
import { figureSvg } from './svg.js';
import { writeFigure } from './write-figure.js';

const figureOf = (marks: readonly Mark[], title = 'a figure'): Figure => ({
  title,
  columns: 1,
  panels: [{ title, x: { label: title }, y: { label: title }, marks }],
});
const grid = [0, 1, 2];
const marks: readonly Mark[] = [
  { kind: 'band', series: 'band', x: grid, lower: [0, 0, 0], upper: [1, 2, 1] },
  { kind: 'line', series: 'line', x: grid, y: [0, Number.NaN, 2] },
  { kind: 'dots', series: 'dots', x: grid, y: [2, 1, 0], labels: ['a', 'b', 'c'] },
];
const others: readonly Mark[] = [
  { kind: 'bars', categories: ['0', '1'], parts: [{ series: 'certified', y: [3, 4] }] },
  { kind: 'contours', series: 'ibp', x: grid, y: grid, values: [0, 1, 4, 1, 2, 5, 4, 5, 8] },
];

/** Rows of a CSV file, by its definition and not by ours. */
function parsed(csv: string): string[][] {
  const cells = csv.matchAll(/("(?:[^"]|"")*"|[^,\n]*)(,|\n)/g);
  const rows: string[][] = [[]];
  for (const [, cell = '', end] of cells) {
    (rows.at(-1) as string[]).push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === '\n') rows.push([]);
  }
  return rows.slice(0, -1);
}

describe('a figure', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-figure-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('is well-formed XML whatever its texts say, and runs nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const svg = figureSvg(
          figureOf([{ kind: 'dots', series: text, x: [1], y: [1], labels: [text] }], text),
        );
        // resvg reads XML strictly.
        expect(() => new Resvg(svg)).not.toThrow();
      }),
      { numRuns: 20, examples: [['</text><script>alert(1)</script>&bogus;"\'']] },
    );
    expect(figureSvg(figureOf(marks, '<script>'))).not.toContain('<script');
  });

  test('refers to nothing outside itself and knows dark grounds', () => {
    const svg = figureSvg(figureOf(marks));
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|href|url\(/);
    expect(svg).toContain('prefers-color-scheme:dark');
  });

  test('breaks a line where a number is missing', () => {
    const pieces = (y: readonly number[]) => {
      const svg = figureSvg(figureOf([{ kind: 'line', series: 'a', x: [0, 1, 2, 3, 4], y }]));
      const path = /data-mark="line".*?d="([^"]*)"/.exec(svg)?.[1] ?? '';
      return path.match(/M/g)?.length;
    };
    expect(pieces([0, 1, 2, 3, 4])).toBe(1);
    expect(pieces([0, 1, Number.POSITIVE_INFINITY, 3, 4])).toBe(2);
  });

  test.each([
    ['.svg', (bytes: Buffer) => expect(bytes.toString()).toMatch(/^<svg /)],
    ['.csv', (bytes: Buffer) => expect(bytes.toString()).toMatch(/^panel,mark,series,/)],
  ])('is written as %s', async (end, holds) => {
    const path = join(folder, `figure${end}`);
    await writeFigure(path, figureOf(marks));
    holds(await readFile(path));
  });

  test('has every series in its colour as a picture, and text of the font of the package', async () => {
    const path = join(folder, 'figure.png');
    const coloured = async (figure: Figure) => {
      await writeFigure(path, figure);
      const { data, width, height, channels } = decode(await readFile(path));
      const colours = new Map<string, number>();
      for (let i = 0; i < data.length; i += channels) {
        const colour = [...data.slice(i, i + 3)].join();
        colours.set(colour, (colours.get(colour) ?? 0) + 1);
      }
      return { colours, width, height };
    };
    const { colours, width, height } = await coloured(figureOf(marks));
    expect([width, height]).toEqual([840, 692]);
    for (const colour of ['63,131,212', '224,123,0', '28,157,108'])
      expect(colours.get(colour) ?? 0).toBeGreaterThan(10);
    const bare = await coloured({ ...figureOf(marks), title: '' });
    const dark = (of: Map<string, number>) => of.get('31,35,40') ?? 0;
    expect(dark(colours)).toBeGreaterThan(dark(bare.colours) + 100);
  });

  test('gives its numbers as a table that reads back exactly', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ noNaN: true }), fc.double()), { minLength: 1, maxLength: 5 }),
        fc.string(),
        (points, series) => {
          const [x, y] = [points.map(([a]) => a), points.map(([, b]) => b)];
          const name = series.replaceAll('\r', '');
          const [, ...rows] = parsed(figureCsv(figureOf([{ kind: 'line', series: name, x, y }])));
          const kept = (value: number) => (Number.isFinite(value) ? value + 0 : Number.NaN);
          const read = (cell: string | undefined) => (cell === '' ? Number.NaN : Number(cell));
          expect(rows.map((row) => [read(row[3]), read(row[4])])).toEqual(
            points.map(([a, b]) => [kept(a), kept(b)]),
          );
          expect(rows.every((row) => row[2] === name)).toBe(true);
        },
      ),
    );
    expect(figureCsv(figureOf(others))).toContain('a figure,contours,ibp,1,2,,,5,');
  });

  test('gives an accuracy, a verdict and a relaxation its one colour, and no other series that colour', () => {
    const names = fc.uniqueArray(
      fc.constantFrom('natural', 'certified', 'falsified', 'crown', 'loss', 'robust', 'constructor'),
      { minLength: 1 },
    );
    const colours = (series: readonly string[]) =>
      coloursOf(figureOf(series.map((name) => ({ kind: 'line', series: name, x: grid, y: grid }))));
    fc.assert(
      fc.property(names, (series) => {
        const found = colours(series);
        for (const [name, colour] of [
          ['natural', 0],
          ['certified', 2],
          ['falsified', 3],
          ['crown', 2],
        ] as const)
          if (series.includes(name)) expect(found.get(name)).toBe(colour);
        const own = series.filter((name) => name !== 'crown');
        expect(new Set(own.map((name) => found.get(name))).size).toBe(own.length);
      }),
    );
    const many = Array.from({ length: 20 }, (_, i) => `series ${i}`);
    for (const colour of colours(many).values()) expect(colour).toBeLessThan(COLOUR_COUNT);
  });

  test('draws bars and contours', () => {
    const svg = figureSvg({ ...figureOf([]), panels: others.map((mark) => ({ ...panel, marks: [mark] })) });
    expect(svg.match(/<rect[^>]*height="[\d.]+"[^>]*>/g)?.length).toBeGreaterThan(2);
    expect(svg).toContain('data-mark="contour"');
  });

  test('puts a contour where its value is', () => {
    const five = [0, 1, 2, 3, 4];
    const values = five.flatMap(() => five.map((x) => x));
    const svg = figureSvg(figureOf([{ kind: 'contours', series: 'x', x: five, y: five, values }]));
    const paths = [...svg.matchAll(/<path[^>]* d="([^"]*)"/g)].map(([, d = '']) => d);
    // A panel is 380 pixels wide, 60 of them left of its axis and 16 right.
    const at = (value: number) => 60 + ((380 - 76) * value) / 4;
    const seen = paths.flatMap((d) => [...d.matchAll(/[ML]([\d.]+),/g)].map(([, x]) => Number(x)));
    for (const value of [1, 2, 3])
      expect(Math.min(...seen.map((x) => Math.abs(x - at(value))))).toBeLessThan(0.5);
    expect(svg).toContain('clip');
  });

  test('breaks a title that is longer than its figure is wide', () => {
    const title = 'words that are many '.repeat(10).trim();
    const svg = figureSvg(figureOf(marks, title));
    const parts = [...svg.matchAll(/class="title">([^<]*)</g)].map(([, text]) => text);
    expect(parts.length).toBeGreaterThan(3);
    expect(parts.join(' ')).toBe(title);
  });

  test('with another name is refused in one line, and so is one without panels', async () => {
    await expect(writeFigure('a.jpg', figureOf(marks))).rejects.toThrow(
      'figure: expected a name that ends in .svg, .png, .csv, got a.jpg; choose another',
    );
    expect(() => figureSvg({ ...figureOf(marks), panels: [] })).toThrow('expected one panel at least');
  });
});

const panel = { title: 'p', x: { label: 'x' }, y: { label: 'y' } };
