/**
 * Code blocks of Markdown pages and docstrings, and a folder in which they run as a user's would.
 *
 * A block in `js` runs as a module, one in `sh` in a shell, both in one folder for each page, in order. An
 * HTML comment right before a block changes that: `<!-- not run: why -->`, `<!-- file: name -->` (the block
 * is written to that file). Blocks in other languages show output and are not run.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './tautnet-process.js';

const execute = promisify(execFile);

export interface Block {
  readonly language: string;
  readonly code: string;
  /** Line of the fence, from 1. */
  readonly line: number;
  readonly notRun?: string;
  readonly file?: string;
}

/** Fenced blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  const pattern = /(?:<!-- (not run|file): ([^>]*?) -->\n+)?^```(\w*)\n([\s\S]*?)^```$/gm;
  return [...page.matchAll(pattern)].map(({ 1: kind, 2: said, 3: language = '', 4: code = '', index }) => ({
    language,
    code,
    line: page.slice(0, index).split('\n').length,
    ...(kind === 'not run' && { notRun: said }),
    ...(kind === 'file' && { file: said }),
  }));
}

/** The `@example` blocks of a source file. */
export const examplesOf = (source: string): Block[] =>
  [...source.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap(({ 0: comment }) =>
    comment.includes('@example') ? blocksOf(comment.replace(/^ *\* ?/gm, '')) : [],
  );

export interface Workbench {
  run(block: Block): Promise<string>;
  close(): Promise<void>;
}

/** A project of its own that has the package installed, and `tautnet` on its path. */
export async function createWorkbench(): Promise<Workbench> {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-snippets-'));
  await mkdir(join(folder, 'node_modules', '.bin'), { recursive: true });
  await symlink(ROOT, join(folder, 'node_modules', 'tautnet'), 'junction');
  const program = join(folder, 'node_modules', '.bin', 'tautnet');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${ROOT}/dist/cli/main.js' "$@"\n`);
  await chmod(program, 0o755);
  const env = {
    ...process.env,
    PATH: `${join(folder, 'node_modules', '.bin')}${delimiter}${process.env.PATH}`,
  };
  let count = 0;
  return {
    async run({ language, code, file }) {
      if (file !== undefined) {
        await writeFile(join(folder, file), code);
        return '';
      }
      const path = join(folder, `block-${++count}.${language === 'js' ? 'mjs' : 'sh'}`);
      await writeFile(path, code);
      const command = language === 'js' ? [process.execPath, path] : ['bash', '-eu', path];
      const { stdout } = await execute(command[0] as string, command.slice(1), { cwd: folder, env });
      return stdout;
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}
