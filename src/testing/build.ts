/** Compiles `src/`, and `native/` where it can be, once before the tests: worker threads and end-to-end tests run `dist/`. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiler = join(
  dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
  'bin',
  'tsc',
);

/** @throws Error with the compiler's messages, before any test runs */
export default function build(): void {
  for (const step of [
    [compiler, '-p', 'tsconfig.build.json'],
    [join(root, 'scripts', 'bundle-figures.mjs')],
    [join(root, 'scripts', 'bundle-dashboard.mjs')],
    [join(root, 'scripts', 'bundle-web.mjs')],
  ]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, step, { cwd: root, encoding: 'utf8' });
    if (status !== 0)
      throw new Error(`expected src/ to compile, fix what tsc says first:\n${stdout}${stderr}`);
  }
  spawnSync(process.execPath, [join('scripts', 'build-native.mjs')], { cwd: root, stdio: 'ignore' });
}
