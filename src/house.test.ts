import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const bin = (name: string) => join(ROOT, 'node_modules', '.bin', name);
const FUNCTIONS = ['lint', '--diagnostic-level=error', '--only=complexity/noExcessiveLinesPerFunction'];

/** One room that all may import, and a checker. */
const PACKAGE = { 'src/formats/onnx.ts': 'export type A = 1;', 'checker/check.js': 'export const c = 1;' };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tautnet-house-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes a package of these files, by path, and of `PACKAGE`. */
function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries({ ...PACKAGE, ...files })) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

const outcome = ({ status, stdout, stderr }: ReturnType<typeof spawnSync>) => ({
  passes: status === 0,
  text: `${stdout}${stderr}`,
});
const imports = () =>
  outcome(
    spawnSync(bin('depcruise'), ['src', 'checker', '--config', join(ROOT, '.dependency-cruiser.mjs')], {
      cwd: folder,
    }),
  );
const lines = () =>
  outcome(spawnSync(process.execPath, [join(ROOT, 'scripts', 'lines.mjs'), 'src'], { cwd: folder }));
const functions = () =>
  outcome(
    spawnSync(bin('biome'), [...FUNCTIONS, `--config-path=${ROOT}`, '--vcs-enabled=false', 'src'], {
      cwd: folder,
    }),
  );

const from = (path: string) => `import { a } from '${path}';\nexport const b = a;\n`;
const a = 'export const a = 1;\n';

describe('the house check', () => {
  test('passes for the sources as they are', () => {
    const run = spawnSync('npm', ['run', 'check:house'], { cwd: ROOT, shell: process.platform === 'win32' });
    expect(outcome(run)).toMatchObject({ passes: true });
  });

  test('passes where each folder imports folders above it, and tests whatever they need', () => {
    write({
      'src/graph/tensor.ts': a,
      'src/runtime/random/keys.ts': a,
      'src/runtime/plan/plan.ts': from('../random/keys.js'),
      'src/network/network.ts': from('../graph/tensor.js'),
      'src/network/layers/linear.ts': from('../network.js'),
      'src/cli/main.ts': `${from('commander')}console.log('done');\n`,
      'src/index.ts': "export * from './network/network.js';\n",
      'src/library/check.ts': from('../../checker/check.js'),
      'checker/main.js': from('node:fs') + from('./check.js'),
      'src/graph/tensor.test.ts': from('../index.js') + from('../testing/tensors.js'),
      'src/testing/tensors.ts': from('../network/network.js'),
    });
    for (const outcome of [imports(), lines(), functions()]) expect(outcome).toMatchObject({ passes: true });
  });

  const broken: readonly (readonly [string, string, Readonly<Record<string, string>>])[] = [
    [
      'a room that imports a room below it',
      'gravity: src/relaxation',
      { 'src/relaxation/crown.ts': from('../objective/losses.js'), 'src/objective/losses.ts': a },
    ],
    [
      'a checker that imports a room',
      'checker',
      { 'checker/bounds.js': from('../src/graph/tensor.js'), 'src/graph/tensor.ts': a },
    ],
    ['a checker that imports a package', 'checker', { 'checker/bounds.js': from('commander') }],
    ['a checker that needs Node', 'checker: browser', { 'checker/bounds.js': from('node:fs') }],
    [
      'a type that is imported from below',
      'gravity: src/graph',
      {
        'src/graph/tensor.ts': "import type { A } from '../network/network.js';\nexport type B = A;\n",
        'src/network/network.ts': 'export type A = 1;\n',
      },
    ],
    [
      'a sub-room of runtime that imports one below it',
      'gravity: src/runtime/plan',
      { 'src/runtime/plan/memory.ts': from('../execution/run.js'), 'src/runtime/execution/run.ts': a },
    ],
    [
      'a sub-room of verification that imports one below it',
      'gravity: src/verification/property',
      {
        'src/verification/property/property.ts': from('../search/verify.js'),
        'src/verification/search/verify.ts': a,
      },
    ],
    [
      'a sub-room that imports the index of its room',
      'gravity: src/verification/index.ts',
      { 'src/verification/proof/rounding.ts': from('../index.js'), 'src/verification/index.ts': a },
    ],
    [
      'a room that is not on the list',
      'map: src/',
      { 'src/utils/all.ts': from('../graph/tensor.js'), 'src/graph/tensor.ts': a },
    ],
    [
      'a circle of types',
      'circles',
      {
        'src/graph/tensor.ts': "import type { B } from './shape.js';\nexport type A = B[];\n",
        'src/graph/shape.ts': "import type { A } from './tensor.js';\nexport type B = A[];\n",
      },
    ],
    ['an import of a door', 'doors', { 'src/cli/train.ts': from('../index.js'), 'src/index.ts': a }],
    [
      'a source that imports what only tests need',
      'tests',
      { 'src/cli/train.ts': from('../testing/io.js'), 'src/testing/io.ts': a },
    ],
    ['a room that draws progress bars', 'terminal', { 'src/training/loop.ts': from('cli-progress') }],
    ['a room that reads keys', 'terminal', { 'src/training/loop.ts': from('node:readline') }],
  ];
  test.each(broken)('fails for %s', (_, rule, files) => {
    write(files);
    const { passes, text } = imports();
    expect(text).toMatch(new RegExp(`error ${rule}:`));
    expect(passes).toBe(false);
  });

  const wide = `export const sum = ${Array.from({ length: 30 }, (_, i) => 100 + i).join(' + ')};\n`;
  test.each([
    ['code of more than 110 characters', 'src/graph/sum.ts', wide],
    ['long code in a test', 'src/graph/sum.test.ts', wide],
    ['a long string outside tests', 'src/graph/text.ts', `export const text = '${'x'.repeat(100)}';\n`],
    ['111 characters of two bytes', 'src/graph/text.ts', `// ${'ε'.repeat(108)}\n`],
    ['a type imported where it is used', 'src/graph/a.ts', "export type A = import('../cli/main.js').A;\n"],
    ['a room that prints', 'src/training/loop.ts', "console.log('step');\n"],
    ['a room that writes to stderr', 'src/training/loop.ts', "process.stderr.write('step');\n"],
  ])('fails for %s', (_, path, text) => {
    write({ [path]: text });
    expect(lines()).toMatchObject({ passes: false, text: expect.stringContaining(`${path}:1: expected`) });
  });

  test.each([
    ['110 characters of two bytes', 'src/graph/text.ts', `// ${'ε'.repeat(107)}\n`],
    ['a long title of a test', 'src/graph/text.test.ts', `it('${'x '.repeat(60)}', () => {\n});\n`],
  ])('passes for %s', (_, path, text) => {
    write({ [path]: text });
    expect(lines()).toMatchObject({ passes: true });
  });

  test('fails for a function of more than 100 lines', () => {
    const body = (statements: number) => `export function long() {\n${'  void 0;\n'.repeat(statements)}}\n`;
    write({ 'src/graph/long.ts': body(99) });
    expect(functions()).toMatchObject({ passes: true });
    write({ 'src/graph/long.ts': body(101) });
    expect(functions()).toMatchObject({ passes: false });
  });

  test('knows the rooms that the map of CONTRIBUTING.md lists, in its order', () => {
    const map = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8').split('## Where things are')[1] ?? '';
    const rooms = [...map.matchAll(/^\| `(\w+)\/`/gm)].map(([, room]) => room as string);
    expect(rooms.slice(0, 3)).toEqual(['formats', 'graph', 'runtime']);
    expect(rooms.at(-1)).toBe('testing');
    for (const [i, lower] of rooms.slice(1, -1).entries()) {
      write({ [`src/${rooms[i]}/upper.ts`]: from(`../${lower}/lower.js`), [`src/${lower}/lower.ts`]: a });
    }
    const { text } = imports();
    for (const room of rooms.slice(0, -2)) expect(text).toContain(`error gravity: src/${room}:`);
    expect(text).not.toContain('error map');
  });
});
