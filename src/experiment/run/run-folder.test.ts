import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { rowsComputedBy } from '../../runtime/kernels/row-kernel.js';
import { Failure, UsageError } from '../errors.js';
import { resolveSettings } from '../settings/resolve-settings.js';
import { VERSION } from '../version.js';
import { createRun, openRun, readRun } from './run-folder.js';

const settings = resolveSettings({
  smoothing: 'rgs',
  samples: 4,
  epsilon: 2 / 255,
  threads: 2,
  trainLimit: 1000,
});
/** The shortest that the lock allows. */
const brief = { stale: 2000, update: 1000 };

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-run-'));
  path = join(folder, 'a', 'run');
});
afterEach(() => rm(folder, { recursive: true }));

/** A finished or unfinished run that nobody holds. */
async function someRun(finished = false): Promise<void> {
  await (await createRun(path, settings)).release();
  if (finished) await writeFile(join(path, 'summary.md'), '# done\n');
}

describe('a run folder', () => {
  test('holds every setting, exactly, and who wrote it', async () => {
    const created = await createRun(path, settings);
    await created.release();
    const opened = await openRun(path);
    expect(opened.settings).toEqual(settings);
    expect(opened).toMatchObject({ version: VERSION, rows: rowsComputedBy(), finished: false, path });
    await opened.release();
    expect((await readdir(path)).sort()).toEqual(['checkpoints', 'config.yaml']);
  });

  test('is created in an empty folder, and in one where a process died before it wrote anything', async () => {
    await mkdir(path, { recursive: true });
    await someRun();
    await rm(join(path, 'config.yaml'));
    await rm(join(path, 'checkpoints'), { recursive: true });
    await writeFile(join(path, 'holder.json'), '{}');
    await (await createRun(path, settings)).release();
  });

  test('never overwrites anything: a finished run, an unfinished one, other files, a file', async () => {
    await someRun();
    await expect(createRun(path, settings)).rejects.toThrow(
      `${path} is an unfinished run; continue it with \`tautnet train --resume ${path}\``,
    );
    await writeFile(join(path, 'summary.md'), '# done\n');
    await expect(createRun(path, settings)).rejects.toThrow('is a finished run; choose another');
    expect((await readRun(path)).finished).toBe(true);
    await expect(createRun(folder, settings)).rejects.toThrow('has other files in it');
    await expect(createRun(join(path, 'summary.md'), settings)).rejects.toThrow('is a file');
    await expect(createRun(join(path, 'summary.md', 'run'), settings)).rejects.toThrow(
      /^--out: expected a folder, a part of .*summary\.md.run is a file; choose another$/,
    );
    await expect(createRun(path, settings)).rejects.toBeInstanceOf(UsageError);
    expect(await readdir(folder)).toEqual(['a']);
  });

  test('what is no run is refused: nothing, a folder without configuration, a configuration that is no run’s', async () => {
    await expect(openRun(path)).rejects.toThrow('there is nothing; check the path');
    await expect(openRun(folder)).rejects.toThrow('it has no config.yaml');
    await writeFile(join(folder, 'config.yaml'), 'epsilon: 0.1\n');
    await expect(openRun(folder)).rejects.toThrow('expected "tautnet: {format, version}"');
  });

  test('another version’s layout, or a setting that this version has not, is refused with both versions', async () => {
    await someRun();
    const config = join(path, 'config.yaml');
    const text = await readFile(config, 'utf8');
    await writeFile(
      config,
      text.replace('format: 2', 'format: 3').replace(`version: ${VERSION}`, 'version: 9.1.0'),
    );
    await expect(openRun(path)).rejects.toThrow(
      `expected run format 2, got 3: written by tautnet 9.1.0, this is ${VERSION}; use version 9.1.0`,
    );
    await writeFile(config, `${text}future: 1\n`);
    await expect(openRun(path)).rejects.toThrow(
      /line \d+, column 1: expected the name of a setting, got "future"/,
    );
    await expect(openRun(path)).rejects.toBeInstanceOf(Failure);
  });

  test.skipIf(process.getuid?.() === 0)('a folder that may not be written to is one line', async () => {
    await chmod(folder, 0o500);
    await expect(createRun(path, settings)).rejects.toThrow(/^cannot create .*: permission denied/);
    await chmod(folder, 0o700);
  });
});

describe('the lock of a run', () => {
  /** Holds the lock as a run does, in a process of its own; `kill` is kill -9. */
  async function otherProcess(): Promise<{ pid: number; kill: () => Promise<void> }> {
    const script = `
      const { lock } = require('proper-lockfile');
      const { writeFileSync } = require('node:fs');
      const { hostname } = require('node:os');
      const [folder] = process.argv.slice(1);
      lock(folder, { lockfilePath: folder + '/lock', stale: 2000, update: 1000 }).then(() => {
        writeFileSync(folder + '/holder.json', JSON.stringify({ pid: process.pid, host: hostname() }));
        console.log('held'); setInterval(() => {}, 1000);
      });`;
    const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    return {
      pid: child.pid as number,
      async kill() {
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      },
    };
  }

  test('a live process keeps its run; one that was killed loses it once its lock is stale', async () => {
    await someRun();
    const other = await otherProcess();
    try {
      await expect(openRun(path, brief)).rejects.toThrow(
        `but process ${other.pid} on ${hostname()} does; wait for it, stop it, or choose another folder`,
      );
      await expect(openRun(path, brief)).rejects.toBeInstanceOf(Failure);
    } finally {
      await other.kill();
    }
    const lines: string[] = [];
    const run = await openRun(path, { ...brief, onWait: (line) => lines.push(line) });
    expect(lines).toEqual([
      expect.stringContaining(`its last process (${other.pid}) did not end properly; waiting`),
    ]);
    run.check();
    await expect(openRun(path, { ...brief, onWait: () => expect.unreachable() })).rejects.toThrow(
      `process ${process.pid}`,
    );
    await run.release();
    await (await openRun(path, brief)).release();
  });

  test('a run that another process took over is not written to any more', async () => {
    await someRun();
    const run = await openRun(path, brief);
    const far = new Date(Date.now() + 3_600_000);
    await utimes(join(path, 'lock'), far, far);
    await vi.waitFor(() => expect(run.check).toThrow('another process has taken it over'), { timeout: 4000 });
    await run.release();
    await rm(join(path, 'lock'), { recursive: true });
  });

  test('of two that create a run at once only one does', async () => {
    const results = await Promise.allSettled([createRun(path, settings), createRun(path, settings)]);
    const runs = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(runs).toHaveLength(1);
    await runs[0]?.release();
  });
});
