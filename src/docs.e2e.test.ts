import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { configText, parseConfig } from './experiment/settings/config-file.js';
import { readPreset } from './experiment/settings/presets.js';
import { someSettings } from './testing/settings.js';
import { blocksOf, createWorkbench, type Workbench } from './testing/snippets.js';
import { ROOT } from './testing/tautnet-process.js';

const pages = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].sort();
const RUN = ['js', 'sh'];
/** Languages of blocks that show what is printed or cited; others are run, written to a file, or marked. */
const SHOWN = ['', 'bibtex'];

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const blocks = blocksOf(text);
  const wanted = blocks.filter(
    ({ language, notRun, file }) => notRun === undefined && (file !== undefined || RUN.includes(language)),
  );

  let bench: Workbench;
  beforeAll(async () => {
    bench = await createWorkbench();
  });
  afterAll(() => bench.close());

  // Blocks of one page share a folder, so that the next reads what the last wrote.
  test.skipIf(wanted.length === 0 || process.platform === 'win32')('every code block runs', async () => {
    for (const block of wanted)
      await bench.run(block).catch((error: Error) => {
        throw new Error(`${page}, line ${block.line}: ${error.message}`);
      });
  });

  test('every code block that is not run says why', () => {
    const silent = blocks.filter(
      ({ language, notRun, file }) =>
        ![...RUN, ...SHOWN].includes(language) && notRun === undefined && file === undefined,
    );
    expect(silent.map(({ line }) => line)).toEqual([]);
    for (const { notRun } of blocks) expect(notRun ?? 'no mark').toMatch(/\w{2,} \w+/);
    // A fence that is indented, or of other characters, would be no block to the tests.
    expect(text.match(/^[ \t>]*(```|~~~)/gm) ?? []).toHaveLength(2 * blocks.length);
  });

  test('every link to a file leads to one that is packed', () => {
    const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
    const links = [...prose.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(
      ([, link]) => link as string,
    );
    const lost = links.filter((link) => {
      const path = join(dirname(page), link);
      return (
        !existsSync(join(ROOT, path)) ||
        !/^(docs|presets)\/|^(README|CHANGELOG)\.md$/.test(path.replaceAll('\\', '/'))
      );
    });
    expect(lost).toEqual([]);
  });
});

describe('the schema of configuration files', () => {
  const text = readFileSync(join(ROOT, 'tautnet.schema.json'), 'utf8');
  // Another reading of JSON Schema than the one that wrote it.
  const schema = z.fromJSONSchema(JSON.parse(text));

  test('is that of the settings', async () => {
    const { settingsSchemaText } = (await import(join(ROOT, 'scripts', 'settings-schema.mjs'))) as {
      settingsSchemaText(): string;
    };
    expect(text).toBe(settingsSchemaText());
  });

  test('takes what the program takes: all settings of runs, and presets', async () => {
    fc.assert(
      fc.property(someSettings, (given) => {
        expect(schema.safeParse(parse(configText(given)))).toMatchObject({ success: true });
      }),
    );
    for (const name of ['mnist-0.1/cnn3/ibp', 'cifar10-2-255/cnn7-bn/sabr-rgs'])
      expect(schema.safeParse(parse(configText(await readPreset(name))))).toMatchObject({ success: true });
  });

  test.each([
    'epsilon: 2/255',
    'relaxation: crown+deepz',
    'architecture: conv 4@5 s2 p2, linear',
    'pool: 2 max',
    'train-epsilon: 1.5x',
    'train-epsilon: 3/255',
    'learning-rate-decay-epochs: [3, 5]',
    'tautnet: { format: 1, version: 0.1.0 }',
  ])('takes %s', (line) => {
    expect(schema.safeParse(parse(line))).toMatchObject({ success: true });
  });

  test.each([
    ...['epsilon: 2', 'epsilno: 0.1', 'relaxation: crwn', 'epochs: 1.5', 'method: crown', 'seed: x'],
    ...['architecture: cn3', 'pool: 2', 'train-epsilon: 2y'],
  ])('marks %s, as the program does', (line) => {
    expect(schema.safeParse(parse(line)).success).toBe(false);
    expect(() => parseConfig(line, 'a.yaml')).toThrow('a.yaml, line 1');
  });
});

describe('the documentation', () => {
  test('has a README of at most 120 lines', () => {
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(121);
  });

  test('lists every page in its index and beside the site’s pages', () => {
    const others = pages
      .filter((page) => page.startsWith('docs') && page !== join('docs', 'index.md'))
      .map((page) => page.replaceAll('\\', '/').replace(/^docs\//, ''));
    const index = readFileSync(join(ROOT, 'docs', 'index.md'), 'utf8');
    expect(others.filter((page) => !index.includes(`](${page})`))).toEqual([]);
    const sidebar = readFileSync(join(ROOT, 'site', '.vitepress', 'config.mjs'), 'utf8');
    const titles = others.map((page) => page.replace(/^.*\//, '').replace(/\.md$/, ''));
    expect(titles.filter((name) => !sidebar.includes(`['${name}',`))).toEqual([]);
  });

  test('lists the settings of the schema', async () => {
    const { settingsPage } = (await import(join(ROOT, 'scripts', 'settings-page.mjs'))) as {
      settingsPage(): string;
    };
    expect(readFileSync(join(ROOT, 'docs', 'reference', 'settings.md'), 'utf8')).toBe(settingsPage());
  });
});
