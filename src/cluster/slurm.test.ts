import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { absence, startRedis } from '../testing/queue-servers.js';
import { slurmAbsence, startSlurm } from '../testing/slurm-cluster.js';
import { fileOf, startTautnet, tautnet } from '../testing/tautnet-process.js';
import { queueAddress } from './broker/address.js';
import { slurmOptions, slurmScript, submitWorkers } from './slurm.js';

/** Long options of sbatch's manual that the script uses. */
const DOCUMENTED = ['array', 'cpus-per-task', 'job-name', 'open-mode', 'output', 'requeue', 'signal', 'time'];

const options = {
  ...{ workers: 3, threads: 2, more: ['--time=4:00:00'], variable: 'TAUTNET_QUEUE' },
  program: ['/usr/bin/node', "/it's here/main.js"],
};

let folder: string;
let path: string | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-slurm-'));
  path = process.env.PATH;
});
afterAll(async () => {
  process.env.PATH = path;
  await rm(folder, { recursive: true, force: true });
});

/** A stand-in for sbatch, which does with the script what Slurm does: starts it once for each of the array. */
async function standIn(body: string): Promise<void> {
  await writeFile(join(folder, 'sbatch'), `#!/bin/sh\n${body}\n`);
  await chmod(join(folder, 'sbatch'), 0o755);
  process.env.PATH = `${folder}:${path}`;
}

describe('workers by Slurm', () => {
  test('are one array whose script has documented options only, and no URL', () => {
    const script = slurmScript('/runs/a/slurm', options);
    const directives = [...script.matchAll(/^#SBATCH --([a-z-]+)(?:=(\S+))?$/gm)];
    expect(directives.map(([, name]) => name).sort()).toEqual(DOCUMENTED);
    expect(Object.fromEntries(directives.map(([, name, value]) => [name, value]))).toMatchObject({
      array: '0-2',
      'cpus-per-task': '2',
      time: '4:00:00',
      signal: 'B:TERM@120',
    });
    expect(script).toContain(
      String.raw`exec '/usr/bin/node' '/it'\''s here/main.js' worker --queue --threads 2`,
    );
  });

  test('are submitted with the URL in the environment alone', async () => {
    await standIn(
      'echo "$1" > "$0.args"; cat "$2" > "$0.script"; echo "$TAUTNET_QUEUE" > "$0.url"; echo "77;a"',
    );
    const address = queueAddress('redis://:s3cret@10.0.0.1');
    expect(await submitWorkers(join(folder, 'sweep'), address, options)).toBe('77');
    expect(await readFile(join(folder, 'sbatch.args'), 'utf8')).toBe('--parsable\n');
    expect(await readFile(join(folder, 'sbatch.url'), 'utf8')).toBe(`${address.url}\n`);
    const script = await readFile(join(folder, 'sbatch.script'), 'utf8');
    expect(script).not.toMatch(/s3cret/);
    expect(await readFile(join(folder, 'sweep', 'slurm', 'workers.sbatch'), 'utf8')).toBe(script);
  });

  test('that sbatch refuses are an error with its last line', async () => {
    await standIn('echo "sbatch: error: invalid partition specified: x" >&2; exit 1');
    await expect(submitWorkers(folder, queueAddress('redis://h'), options)).rejects.toThrow(
      /^--slurm: expected sbatch to take .*, it refused: sbatch: error: invalid partition specified: x$/,
    );
  });

  test.each(['time=4', '--time=4 -p', '--wrap=a"b', "--x='y'"])('options such as %j are refused', (text) => {
    expect(() => slurmOptions(text)).toThrow(/^--slurm-options: expected options of sbatch/);
  });

  test.skipIf(absence.redis)('do the trials of a sweep', async () => {
    const tasks =
      'for i in 0 1; do SLURM_ARRAY_TASK_ID=$i sh "$2" >/dev/null 2>&1 & echo $! >> "$0.pids"; done';
    await standIn(`${tasks}; echo 5`);
    const server = await startRedis();
    try {
      const file = join(folder, 'sweep.yaml');
      const settings = 'architecture: fc-small, train-limit: 200, validation: 100, batch-size: 50, epochs: 1';
      await writeFile(file, `search: grid\nsettings: { ${settings} }\nparameters: { seed: [1, 2] }\n`);
      const place = ['--out', join(folder, 'swept'), '--queue', server.url];
      const ended = await tautnet([
        'sweep',
        file,
        ...place,
        '--slurm',
        '2',
        '--slurm-options',
        '--time=1:00',
      ]);
      expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining('2 workers: job 5 of Slurm')]);
    } finally {
      for (const pid of (await readFile(join(folder, 'sbatch.pids'), 'utf8')).trim().split('\n'))
        process.kill(Number(pid), 'SIGTERM');
      await server.stop();
    }
  });
});

describe.skipIf(slurmAbsence ?? absence.redis)('workers that Slurm itself starts', () => {
  test('do the trials of a sweep; requeued in the middle of one, they go on from its checkpoint', async () => {
    process.env.PATH = path;
    const [server, slurm] = [await startRedis(), await startSlurm()];
    const outer = process.env.SLURM_CONF;
    process.env.SLURM_CONF = slurm.configuration;
    try {
      const file = join(folder, 'requeued.yaml');
      const settings =
        'architecture: fc-small, train-limit: 700, validation: 100, batch-size: 50, epochs: 20, ' +
        'checkpoint-seconds: 0.1';
      await writeFile(file, `search: grid\nsettings: { ${settings} }\nparameters: { seed: [1, 2] }\n`);
      const out = join(folder, 'requeued');
      const place = ['--out', out, '--queue', server.url];
      const running = startTautnet(['sweep', file, ...place, '--slurm', '1']);
      const trial = join(out, 'trials', '0000');
      await fileOf(running, join(trial, 'checkpoints', 'last.safetensors'));
      const created = (await stat(join(trial, 'config.yaml'))).mtimeMs;
      const job = slurm.says('squeue', '-h', '-o', '%F').trim();
      slurm.says('scontrol', 'requeue', `${job}_0`);
      // Slurm gives what is requeued two minutes to settle, as a node refuses what was allowed in the second
      // in which it ended the job or before; nobody has to wait longer than for the next second.
      await vi.waitFor(() => {
        expect(slurm.says('squeue', '-h', '-o', '%T').trim()).toBe('PENDING');
        expect(slurm.says('sinfo', '-h', '-o', '%t').trim()).toBe('idle');
      }, 60_000);
      await sleep(2000);
      slurm.says('scontrol', 'update', `JobId=${job}`, 'StartTime=now');
      const ended = await running.ended;
      expect([ended.code, ended.stdout]).toEqual([0, expect.stringContaining('seed 2')]);
      expect(slurm.says('scontrol', 'show', 'job', job)).toMatch(/Restarts=1/);
      expect((await stat(join(trial, 'config.yaml'))).mtimeMs).toBe(created);
      const log = await readFile(join(out, 'slurm', 'worker-0.log'), 'utf8');
      expect(log.match(/jobs at a time/g)?.length).toBe(2);
    } finally {
      // A worker that is cancelled ends by itself; one that Slurm has left behind would stay.
      slurm.says('scancel', '--user=root');
      await vi.waitFor(() => expect(slurm.says('squeue', '-h').trim()).toBe(''), 60_000);

      if (outer === undefined) delete process.env.SLURM_CONF;
      else process.env.SLURM_CONF = outer;
      await slurm.stop();
      await server.stop();
    }
  });
});
