/** What computed a result: the commit of a clone, or the version of an installed package. */
import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { VERSION } from './version.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * "1f9bd3d", "1f9bd3d-dirty" where tracked files were changed since, "0.1.0" where this is no clone of its
 * own repository.
 */
export function commitOrVersion(): string {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  try {
    // A package may be installed inside somebody else's repository.
    if (realpathSync(git('rev-parse', '--show-toplevel')) !== realpathSync(ROOT)) return VERSION;
    return git('describe', '--always', '--dirty', '--exclude', '*');
  } catch {
    return VERSION;
  }
}
