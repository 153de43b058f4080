/** Copies docs/, writes the API reference beside them, and builds the site; a dead link ends it. */
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SITE = fileURLToPath(new URL('.', import.meta.url));

function run(program, ...args) {
  const path = join(SITE, 'node_modules', program, 'bin', program === 'vitepress' ? 'vitepress.js' : program);
  const { status } = spawnSync(process.execPath, [path, ...args], { cwd: SITE, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

rmSync(join(SITE, 'pages'), { recursive: true, force: true });
cpSync(join(SITE, '..', 'docs'), join(SITE, 'pages'), { recursive: true });
// Comments before code blocks are for the tests.
for (const name of readdirSync(join(SITE, 'pages'), { recursive: true }).filter((each) =>
  each.endsWith('.md'),
)) {
  const path = join(SITE, 'pages', name);
  writeFileSync(path, readFileSync(path, 'utf8').replace(/^<!-- [^>]* -->\n/gm, ''));
}
run('typedoc');
run('vitepress', 'build');
