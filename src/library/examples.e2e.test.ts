import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWorkbench, examplesOf, type Workbench } from '../testing/snippets.js';
import { ROOT } from '../testing/tautnet-process.js';

const folder = join(ROOT, 'src', 'library');
const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));

let bench: Workbench;
beforeAll(async () => {
  bench = await createWorkbench();
});
afterAll(() => bench.close());

describe.each(files)('the functions of library/%s', (file) => {
  const text = readFileSync(join(folder, file), 'utf8');
  const examples = examplesOf(text);

  test('have an example each', () => {
    const functions = text.match(/^export (?:async function|function|const) \w+/gm) ?? [];
    expect(examples.length).toBe(functions.length);
  });

  test.each(examples)('run as the docstring near line $line says', async (block) => {
    expect(await bench.run(block)).not.toBe('');
  });
});
