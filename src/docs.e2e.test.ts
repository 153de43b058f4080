import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blocksOf, createWorkbench, type Workbench } from './testing/snippets.js';
import { ROOT } from './testing/tautnet-process.js';

const pages = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].sort();
const RUN = ['js', 'sh'];
/** Languages of blocks that are written to a file, or marked. */
const FILES = ['yaml', 'json', 'ts'];

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
      ({ language, notRun, file }) => FILES.includes(language) && notRun === undefined && file === undefined,
    );
    expect(silent.map(({ line }) => line)).toEqual([]);
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

describe('the documentation', () => {
  test('has a README of at most 120 lines', () => {
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(121);
  });

  test('lists the settings of the schema', async () => {
    const { settingsPage } = (await import(join(ROOT, 'scripts', 'settings-page.mjs'))) as {
      settingsPage(): string;
    };
    expect(readFileSync(join(ROOT, 'docs', 'reference', 'settings.md'), 'utf8')).toBe(settingsPage());
  });
});
