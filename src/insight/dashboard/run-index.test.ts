import { appendFile, cp, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRun } from '../../experiment/run/run-folder.js';
import { resolveSettings } from '../../experiment/settings/resolve-settings.js';
import type { GivenSettings } from '../../experiment/settings/settings.js';
import type { RunCard } from './answers.js';
import { RunIndex } from './run-index.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-index-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function runOf(name: string, given: GivenSettings = {}): Promise<string> {
  const path = join(folder, name);
  const run = await createRun(path, resolveSettings({ ...given, out: path }));
  await run.release();
  return path;
}

const cards = async (index: RunIndex): Promise<Record<string, RunCard>> => {
  await index.refresh();
  return Object.fromEntries(index.list().runs.map((run) => [run.name, run]));
};

describe('the index of a folder of runs', () => {
  test('follows the folder: runs appear, go on, end, and go', async () => {
    const index = await RunIndex.open(folder);
    expect(await cards(index)).toEqual({});
    const path = await runOf('a', { relaxation: 'crown-ibp' });
    await runOf('b', { seed: 1 });
    expect((await cards(index)).a).toMatchObject({ state: 'unfinished', epoch: 0, losses: [] });
    expect(index.list().differing).toEqual(['relaxation', 'seed']);
    await writeFile(join(path, 'metrics.jsonl'), '{"step":1,"epoch":1,"loss":2,"naturalAccuracy":0.5}\n');
    expect(await index.refresh()).toEqual(['a']);
    expect(await index.refresh()).toEqual([]);
    await appendFile(
      join(path, 'metrics.jsonl'),
      '{"step":2,"epoch":2,"loss":1,"naturalAccuracy":0.7}\n{"st',
    );
    expect((await cards(index)).a).toMatchObject({ epoch: 2, losses: [2, 1], accuracies: { natural: 0.7 } });
    await writeFile(join(path, 'summary.md'), '');
    await writeFile(
      join(path, 'certification.json'),
      '{"images":10,"natural":0.9,"certified":0.4,"adversarial":0.6}',
    );
    expect((await cards(index)).a).toMatchObject({
      state: 'finished',
      images: 10,
      accuracies: { certified: 0.4 },
    });
    await rm(path, { recursive: true });
    expect(await index.refresh()).toEqual(['a']);
    expect(Object.keys(await cards(index))).toEqual(['b']);
    expect(index.pathOf('a')).toBeUndefined();
  });

  test('shows what cannot be read as a card with one line', async () => {
    const old = await runOf('old');
    const text = await readFile(join(old, 'config.yaml'), 'utf8');
    await writeFile(join(old, 'config.yaml'), text.replace(/format: \d+/, 'format: 1'));
    await writeFile(join(await runOf('torn'), 'metrics.jsonl'), 'nonsense\n{"step":1,"epoch":1}\n');
    await mkdir(join(folder, 'plain'));
    await mkdir(join(folder, 'no-yaml'));
    await writeFile(join(folder, 'no-yaml', 'config.yaml'), '\0{{[');
    const found = await cards(await RunIndex.open(folder));
    expect(Object.keys(found).sort()).toEqual(['no-yaml', 'old', 'torn']);
    expect(found.old?.problem).toContain('expected run format 2, got 1');
    expect(found.torn?.problem).toContain('line 1: expected a JSON object with a step');
    for (const { state, problem } of Object.values(found)) {
      expect(state).toBe('broken');
      expect(problem?.split('\n')).toHaveLength(1);
    }
  });

  test('reads nothing through links that lead out of the folder', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'tautnet-outside-'));
    await runOf('real');
    await cp(join(folder, 'real'), join(outside, 'run'), { recursive: true });
    await writeFile(join(outside, 'secret'), 'secret-text\n');
    await symlink(join(outside, 'run'), join(folder, 'linked'));
    await symlink(join(folder, 'real'), join(folder, 'alias'));
    await symlink(join(outside, 'secret'), join(folder, 'real', 'metrics.jsonl'));
    const index = await RunIndex.open(folder);
    const found = await cards(index);
    await rm(outside, { recursive: true });
    expect(found.linked).toMatchObject({ state: 'broken', settings: {} });
    expect(found.linked?.problem).toBe(
      'linked: expected a file below the folder of runs, got a link out of it',
    );
    expect(found.real?.problem).toContain('metrics.jsonl: expected a file below the folder of runs');
    expect(JSON.stringify(index.list())).not.toContain('secret');
  });

  test('of a folder that is none, or itself a run, is refused in one line', async () => {
    await expect(RunIndex.open(join(folder, 'none'))).rejects.toThrow(
      'expected a folder of runs, there is none',
    );
    const path = await runOf('a');
    await expect(RunIndex.open(path)).rejects.toThrow('expected a folder of runs, got a run');
  });

  test('lists 2,000 runs in under a second, at first by name and then whole', async () => {
    const text = await readFile(join(await runOf('run-0'), 'config.yaml'), 'utf8');
    for (let i = 1; i < 2000; i++) {
      await mkdir(join(folder, `run-${i}`));
      await writeFile(join(folder, `run-${i}`, 'config.yaml'), text.replace(/^seed: 0$/m, `seed: ${i}`));
      await writeFile(join(folder, `run-${i}`, 'metrics.jsonl'), '{"step":1,"epoch":1,"loss":2}\n');
    }
    const index = await RunIndex.open(folder);
    const timed = async (budget?: number) => {
      const [started, before] = [performance.now(), process.cpuUsage()];
      await index.refresh(budget);
      const list = index.list();
      const { user, system } = process.cpuUsage(before);
      return { seconds: (performance.now() - started) / 1000, processor: (user + system) / 1e6, list };
    };
    const first = await timed(300);
    const whole = await timed();
    const again = await timed();
    await utimes(join(folder, 'run-7', 'metrics.jsonl'), new Date(), new Date());
    const names = await index.refresh();
    const figures = Object.entries({ 'by name': first, 'read whole': whole, 'looked at again': again });
    const times = figures.map(
      ([what, { seconds, processor }]) =>
        `${what} ${seconds.toFixed(2)} s (${processor.toFixed(2)} s of a processor)`,
    );
    console.log(`2,000 runs: ${times.join(', ')}`);
    expect(first.list.runs).toHaveLength(2000);
    expect([whole.list.reading, again.list.differing]).toEqual([0, ['seed']]);
    expect(names).toEqual(['run-7']);
    // Of a processor, as other tests run beside this one.
    for (const { processor } of [first, again]) expect(processor).toBeLessThan(1);
  });
});
