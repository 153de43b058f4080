/**
 * `node scripts/check-install.mjs`, a part of `npm run check:package`: packs the package, installs it into an
 * empty folder as a user does, and checks that
 *
 * - at most 60 packages are installed;
 * - each door exports what it exports here;
 * - its types resolve under `node16`, `nodenext` and `bundler`, without the library's own being skipped;
 * - README's library example runs as printed, and the program starts.
 *
 * It needs npm's registry, or npm's cache of it.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const LIMIT = 60;
const DOORS = ['', '/verify', '/graph', '/runtime', '/formats'];
/** A door of bundlers for browsers, whose runtime a page installs: its types are for everybody. */
const TYPED = [...DOORS, '/web'];
const shell = process.platform === 'win32';

const app = mkdtempSync(join(tmpdir(), 'tautnet-install-'));
const run = (command, args, cwd = app) =>
  execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    shell: shell && command === 'npm',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
const node = (...args) => run(process.execPath, args);

function fail(message) {
  console.error(`check-install: ${message}`);
  process.exitCode = 1;
}

/** Packages below a folder of modules. */
function packagesIn(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .flatMap(({ name }) =>
      name.startsWith('@')
        ? readdirSync(join(folder, name)).map((inner) => join(folder, name, inner))
        : [join(folder, name)],
    )
    .flatMap((path) => {
      const nested = readdirSync(path).includes('node_modules');
      return [path, ...(nested ? packagesIn(join(path, 'node_modules')) : [])];
    });
}

/** The names that a door exports to modules of a folder. */
const namesOf = (door, cwd) =>
  run(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import * as door from 'tautnet${door}'; console.log(Object.keys(door).sort().join())`,
    ],
    cwd,
  ).trim();

/** Compiles a module that uses types of every door. */
function typesResolve(moduleResolution) {
  writeFileSync(
    join(app, 'types.mts'),
    TYPED.map((door, i) => `import * as door${i} from 'tautnet${door}';`).join('\n') +
      "\nimport { type OpenedRun, train, type TrainOptions } from 'tautnet';\n" +
      "import { readProperty, type Property } from 'tautnet/verify';\n" +
      "const options: TrainOptions = { relaxation: 'crown', epsilon: 0.1 };\n" +
      'export const trained = (): Promise<OpenedRun> => train(options);\n' +
      "export const property: Promise<Property> = readProperty('a.vnnlib');\n" +
      `export const doors = [${TYPED.map((_, i) => `door${i}`).join()}];\n` +
      '// @ts-expect-error: a radius is a number, so the types are not `any`.\n' +
      "export const wrong: TrainOptions = { epsilon: 'wide' };\n",
  );
  const module = moduleResolution === 'bundler' ? 'esnext' : moduleResolution;
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules', '@types')];
  node(
    ...[compiler, '--noEmit', '--strict', '--target', 'es2023', ...types],
    ...['--module', module, '--moduleResolution', moduleResolution, 'types.mts'],
  );
}

try {
  const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', app], ROOT));
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }');
  run('npm', [
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(app, filename),
  ]);
  const packages = packagesIn(join(app, 'node_modules')).length;
  if (packages > LIMIT) fail(`expected at most ${LIMIT} packages, got ${packages}; leave some out`);

  for (const door of DOORS)
    if (namesOf(door, app) !== namesOf(door, ROOT))
      fail(`tautnet${door}: expected the names that it has here`);
  for (const resolution of ['node16', 'nodenext', 'bundler']) typesResolve(resolution);

  const example = /^```js\n([\s\S]*?)^```$/m.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))?.[1];
  if (example === undefined) fail('expected a block of JavaScript in README.md, got none');
  else {
    writeFileSync(join(app, 'example.mjs'), example);
    process.stdout.write(node('example.mjs'));
  }
  const program = join('node_modules', 'tautnet', 'dist', 'cli', 'main.js');
  console.log(`tautnet ${node(program, '--version').trim()}: ${packages} packages, README's example ran`);
} catch (error) {
  fail(`${error.message}\n${error.stdout ?? ''}`);
} finally {
  rmSync(app, { recursive: true, force: true });
}
