import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from '../testing/tautnet-process.js';
import { isTimed } from './watchdog.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-watchdog-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const module = (name: string) => JSON.stringify(pathToFileURL(join(ROOT, 'dist', 'cli', name)).href);

/** A program under the watchdog, in a process of its own: how it ends, and after how many seconds. */
async function watching(name: string, body: string, act?: (child: ReturnType<typeof spawn>) => void) {
  const program = join(folder, `${name}.mjs`);
  const out = join(folder, `${name}.txt`);
  const outcomes =
    `const outcomes = { late: { code: 3, stdout: 'timeout\\n', files: { ${JSON.stringify(out)}: 'timeout\\n' } }, ` +
    `ended: { code: 5, stdout: '', files: { ${JSON.stringify(out)}: 'error\\n' } } };`;
  await writeFile(
    program,
    `import { watchedProcess } from ${module('watched.js')};
    const { watchdog, signals, done } = watchedProcess(() => process.exit(9));
    ${outcomes}
    const stuck = () => { for (;;); };
    ${body}`,
  );
  const start = `import(${module('watchdog.js')}).then(({ watch }) => watch(${JSON.stringify(program)}, []))`;
  const child = spawn(process.execPath, ['-e', start], { stdio: ['ignore', 'pipe', 'pipe'] });
  const began = performance.now();
  const texts = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      texts[stream] += text;
      if (texts.stdout === 'ready\n') act?.(child);
    });
  const ended = await new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const file = await readFile(out, 'utf8').catch(() => undefined);
  return { ...ended, ...texts, file, seconds: (performance.now() - began) / 1000 };
}

describe('a process under the watchdog', () => {
  test('that does not answer in time is ended, and what it promised is left in its place', async () => {
    const ended = await watching('late', 'watchdog.promise(1, outcomes); setTimeout(stuck, 50);');
    expect(ended).toMatchObject({ code: 3, stdout: 'timeout\n', file: 'timeout\n' });
    expect(ended.seconds).toBeLessThan(4);
  });

  test('that has answered may take its time, and ends by its own code although a thread of it does not', async () => {
    const ended = await watching(
      'answered',
      // Promised from the call on, which a busy machine takes a while to answer.
      `watchdog.promise(3, outcomes); watchdog.answering();
      setTimeout(() => { console.log('unsat'); done(0); setTimeout(stuck, 20); }, 4000);`,
    );
    expect(ended).toMatchObject({ code: 0, stdout: 'unsat\n', file: undefined });
  });

  test('that ends without a word ends the watchdog by its code', async () => {
    expect(await watching('brief', 'process.exitCode = 2;')).toMatchObject({ code: 2, signal: null });
  });

  test('that is ended from outside leaves an error, in one line', async () => {
    const ended = await watching(
      'killed',
      `watchdog.promise(60, outcomes); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200);`,
    );
    expect(ended).toMatchObject({ code: 5, stdout: '', file: 'error\n' });
    expect(ended.stderr).toBe(
      'tautnet: the process was ended by SIGKILL; its memory may not have sufficed\n',
    );
  });

  test('gets each signal once, and is ended by a second one although it is stuck', async () => {
    const polite = await watching(
      'polite',
      `signals.on('SIGTERM', () => { console.log('stopping'); process.exit(130); });
      process.channel.ref(); console.log('ready');`,
      (child) => child.kill('SIGTERM'),
    );
    expect(polite).toMatchObject({ code: 130, stdout: 'ready\nstopping\n' });
    const rude = await watching('rude', `console.log('ready'); setTimeout(stuck, 10);`, (child) => {
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGTERM'), 100);
    });
    expect(rude).toMatchObject({ code: null, signal: 'SIGTERM' });
  });
});

test('a command has a watchdog where it has a limit', () => {
  expect(isTimed(['--json', 'verify', 'a.onnx', 'p.vnnlib', '--timeout', '6'])).toBe(true);
  expect(isTimed(['verify', 'a.onnx', '--timeout-per-image=6'])).toBe(true);
  expect(isTimed(['verify', 'a.onnx', 'p.vnnlib', '--', '--timeout'])).toBe(false);
  expect(isTimed(['certify', 'verify', '--timeout', '6'])).toBe(false);
  expect(isTimed(['verify', 'a.onnx', '--timeouts'])).toBe(false);
});
