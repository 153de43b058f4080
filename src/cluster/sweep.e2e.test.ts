import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chooseDevice } from '../runtime/survey/devices.js';
import { failureOf, type Started, startTautnet, tautnet } from '../testing/tautnet-process.js';
import type { TrialEnd } from './sweep-folder.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-sweep-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const settings = (epochs: number): string =>
  `settings: { architecture: fc-small, train-limit: 700, validation: 100, batch-size: 50, epochs: ${epochs}, ` +
  'select: last, warmup-regularizer: 0, checkpoint-seconds: 0.1 }';

/** Writes a sweep file and returns its path. */
async function file(name: string, text: string): Promise<string> {
  await writeFile(join(folder, `${name}.yaml`), text);
  return join(folder, `${name}.yaml`);
}

const ends = (sweep: string): Record<string, TrialEnd> =>
  Object.fromEntries(
    readdirSync(join(folder, sweep, 'results'))
      .sort()
      .map((name) => [name, JSON.parse(readFileSync(join(folder, sweep, 'results', name), 'utf8'))]),
  );
const digests = (sweep: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(ends(sweep)).map(([name, end]) => [
      name,
      'result' in end ? end.result.digest : end.failed,
    ]),
  );

/** As if holders of locks had died long ago: what would otherwise have to be waited for. */
function age(...locks: string[]): void {
  const past = new Date(Date.now() - 60_000);
  for (const lock of locks) if (existsSync(lock)) utimesSync(lock, past, past);
}

async function until(started: Started, holds: () => boolean): Promise<void> {
  while (!holds()) {
    if (started.child.exitCode !== null) throw new Error(`ended: ${(await started.ended).stderr}`);
    await sleep(5);
  }
}

const run = (path: string, sweep: string, ...flags: string[]) =>
  tautnet(['sweep', path, '--out', join(folder, sweep), '--threads', '2', ...flags]);

describe('a sweep', () => {
  test('killed with its trials goes on: nothing finished is repeated, and the bits are the same', async () => {
    const path = await file(
      'killed',
      `search: grid\n${settings(12)}\nparameters: { learning-rate: [0.01, 0.003], seed: [1, 2] }\n`,
    );
    const started = startTautnet(['sweep', path, '--out', join(folder, 'killed'), '--threads', '2']);
    const results = join(folder, 'killed', 'results');
    const last = join(folder, 'killed', 'trials', '0002', 'checkpoints', 'last.safetensors');
    await until(started, () => existsSync(results) && readdirSync(results).length > 0 && existsSync(last));
    started.child.kill('SIGKILL');
    const holders = readdirSync(join(folder, 'killed', 'trials')).map((name) =>
      join(folder, 'killed', 'trials', name, 'holder.json'),
    );
    for (const holder of holders)
      if (existsSync(holder)) process.kill(JSON.parse(readFileSync(holder, 'utf8')).pid, 'SIGKILL');
    await started.ended;
    const finished = readdirSync(results);
    expect(finished.length).toBeLessThan(4);
    const written = finished.map((name) => statSync(join(results, name)).mtimeMs);
    const trained = finished.map(
      (name) => statSync(join(folder, 'killed', 'trials', name.slice(0, 4), 'summary.md')).mtimeMs,
    );
    age(join(folder, 'killed', 'lock'), ...holders.map((holder) => holder.replace('holder.json', 'lock')));

    const resumed = await tautnet(['sweep', '--resume', join(folder, 'killed'), '--threads', '2', '--json']);
    expect(resumed).toMatchObject({ code: 0 });
    expect(finished.map((name) => statSync(join(results, name)).mtimeMs)).toEqual(written);
    expect(
      finished.map(
        (name) => statSync(join(folder, 'killed', 'trials', name.slice(0, 4), 'summary.md')).mtimeMs,
      ),
    ).toEqual(trained);
    expect((JSON.parse(resumed.stdout) as { trials: unknown[] }).trials.length).toBe(4);

    expect(await run(path, 'whole')).toMatchObject({ code: 0 });
    expect(digests('killed')).toEqual(digests('whole'));
    expect(new Set(Object.values(digests('whole'))).size).toBe(4);
  });

  test('by Ctrl-C ends with code 130, leaves no process behind, and goes on', async () => {
    const path = await file('stopped', `search: grid\n${settings(20)}\nparameters: { seed: [1, 2, 3] }\n`);
    const started = startTautnet(['sweep', path, '--out', join(folder, 'stopped'), '--threads', '2']);
    const first = join(folder, 'stopped', 'trials', '0000', 'checkpoints', 'last.safetensors');
    await until(started, () => existsSync(first));
    started.child.kill('SIGINT');
    const ended = await started.ended;
    expect([ended.code, failureOf(ended)]).toEqual([130, 'tautnet: interrupted by SIGINT']);
    for (const trial of ['0000', '0001'])
      expect(existsSync(join(folder, 'stopped', 'trials', trial, 'holder.json'))).toBe(false);
    const again = await run(path, 'stopped');
    expect([again.code, failureOf(again)]).toEqual([
      2,
      expect.stringContaining('is this very sweep; go on with'),
    ]);
    expect(await tautnet(['sweep', '--resume', join(folder, 'stopped')])).toMatchObject({ code: 0 });
    expect(Object.keys(ends('stopped'))).toEqual(['0000-0.json', '0001-0.json', '0002-0.json']);
  });

  test('by halving promotes to the bits that the training has in one go', async () => {
    const rates = 'learning-rate: { values: [0.0001, 0.02, 0.0002] }';
    const halving = await file(
      'halving',
      `search: halving\ntrials: 3\nhalving: { first: 1, factor: 3 }\n${settings(3)}\nparameters:\n  ${rates}\n` +
        '  seed: [5]\n',
    );
    expect(await run(halving, 'halving')).toMatchObject({ code: 0 });
    const promoted = Object.keys(ends('halving')).find((name) => /-1.json$/.test(name)) as string;
    const job = JSON.parse(readFileSync(join(folder, 'halving', 'jobs', promoted), 'utf8'));
    expect(job).toMatchObject({ rung: 1, budget: 3 });
    const { learningRate } = job.point as { learningRate: number };
    const whole = `search: grid\n${settings(3)}\nparameters: { learning-rate: [${learningRate}], seed: [5] }\n`;
    expect(await run(await file('direct', whole), 'direct')).toMatchObject({ code: 0 });
    expect(digests('halving')[promoted]).toBe(digests('direct')['0000-0.json']);
    const epochs = Object.entries(ends('halving')).map(([name, end]) => [
      name.slice(5, 6),
      'result' in end && end.result.epochs,
    ]);
    expect(epochs).toEqual([...epochs].map(([rung]) => [rung, { 0: 1, 1: 3 }[rung as '0']]));
  });

  test('keeps failures apart, each with its line, after a second try', async () => {
    const path = await file(
      'failing',
      `search: grid\n${settings(3)}\nparameters: { learning-rate: [1.0e+30, 0.001], seed: [0] }\n`,
    );
    const { code, stdout, stderr } = await run(path, 'failing');
    expect([code, stderr]).toEqual([0, expect.stringContaining('1 failed; to try them again:')]);
    expect(stdout).toContain('trial 0 failed twice: training diverged at step');
    expect(ends('failing')['0000-0.json']).toEqual({ failed: expect.stringContaining('training diverged') });
    expect(readFileSync(join(folder, 'failing', 'summary.md'), 'utf8')).toContain('## Failures');
  });

  test('tries failed trials again where that is wanted, and nothing else', async () => {
    const path = await file('retried', `search: grid\n${settings(2)}\nparameters: { seed: [1, 2, 3] }\n`);
    expect(await run(path, 'retried')).toMatchObject({ code: 0 });
    const reached = digests('retried');
    const result = (trial: number): string => join(folder, 'retried', 'results', `000${trial}-0.json`);
    const kept = statSync(result(2)).mtimeMs;
    // As if its process had been killed twice while it trained, and one before it began.
    await writeFile(result(0), '{ "failed": "its process ended by SIGKILL" }');
    await writeFile(result(1), '{ "failed": "its process ended by SIGKILL" }');
    await rm(join(folder, 'retried', 'trials', '0001'), { recursive: true });
    const again = (...flags: string[]) =>
      tautnet(['sweep', '--resume', join(folder, 'retried'), '--threads', '2', ...flags]);
    expect(failureOf(await again())).toContain('expected an unfinished sweep');
    const { code, stdout } = await again('--retry-failed');
    expect([code, stdout]).toEqual([0, expect.not.stringContaining('failed')]);
    expect(digests('retried')).toEqual(reached);
    expect(statSync(result(2)).mtimeMs).toBe(kept);
    expect(failureOf(await again('--retry-failed'))).toContain('expected an unfinished sweep');
    const alone = await run(path, 'other', '--retry-failed');
    expect([alone.code, failureOf(alone)]).toEqual([2, expect.stringContaining('expected --resume beside')]);
  });

  test('of which nothing was run says what it will cost', async () => {
    const path = await file(
      'dry',
      `search: grid\n${settings(10)}\nparameters: { relaxation: [ibp, crown-ibp], learning-rate: [0.1, 0.01] }\n`,
    );
    const { code, stdout } = await run(path, 'dry', '--dry-run', '--json');
    const cost = JSON.parse(stdout) as { kinds: { trials: number; steps: number; stepSeconds: number }[] };
    expect([code, cost.kinds.map(({ trials, steps }) => [trials, steps])]).toEqual([
      0,
      [
        [2, 240],
        [2, 240],
      ],
    ]);
    for (const { stepSeconds } of cost.kinds) expect(stepSeconds).toBeGreaterThan(0);
    expect(existsSync(join(folder, 'dry'))).toBe(false);
  });

  test('costs nothing on a device that cannot be used, with the reason', async (context) => {
    const usable = await chooseDevice('cuda').catch((error: Error) => error);
    if (!(usable instanceof Error)) return context.skip('CUDA can be used here');
    const path = await file('device', `search: grid\n${settings(1)}\nparameters: { device: [cuda] }\n`);
    const ended = await run(path, 'device', '--dry-run');
    expect([ended.code, failureOf(ended)]).toEqual([1, `tautnet: ${usable.message}`]);
  });
});
