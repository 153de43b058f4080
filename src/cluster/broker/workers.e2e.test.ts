import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absence, type QueueServer, startPostgres, startRedis } from '../../testing/queue-servers.js';
import { failureOf, fileOf, type Started, startTautnet, tautnet } from '../../testing/tautnet-process.js';
import type { TrialEnd } from '../sweep-folder.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-workers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Characters that a URL, a regular expression and a shell each have a meaning for. */
const PASSWORD = 's3cret&$/@x';

const settings = (epochs: number): string =>
  `settings: { architecture: fc-small, train-limit: 700, validation: 100, batch-size: 50, epochs: ${epochs}, ` +
  'select: last, warmup-regularizer: 0, checkpoint-seconds: 0.1 }';

async function sweepFile(name: string, epochs: number, parameters: string): Promise<string> {
  const path = join(folder, `${name}.yaml`);
  await writeFile(path, `search: grid\n${settings(epochs)}\nparameters: ${parameters}\n`);
  return path;
}

const endsOf = (sweep: string): Record<string, TrialEnd> =>
  Object.fromEntries(
    readdirSync(join(folder, sweep, 'results'))
      .sort()
      .map((name) => [name, JSON.parse(readFileSync(join(folder, sweep, 'results', name), 'utf8'))]),
  );
/** SHA-256 of each trial's parameters. */
const digestsOf = (sweep: string): string[] =>
  Object.values(endsOf(sweep)).map((end) => ('result' in end ? end.result.digest : end.failed));

const sweep = (path: string, out: string, ...flags: string[]): Started =>
  startTautnet(['sweep', path, '--out', join(folder, out), ...flags]);
const worker = (url: string, ...flags: string[]): Started =>
  startTautnet(['worker', '--queue', url, '--threads', '1', '--lease', '2', ...flags]);

/** Resolves once a worker says that it has reached its server. */
const reached = ({ child, ended }: Started): Promise<unknown> =>
  Promise.race([ended, new Promise((resolve) => child.stderr?.once('data', resolve))]);

async function stopped(...workers: Started[]): Promise<void> {
  for (const { child } of workers) child.kill('SIGTERM');
  for (const { code, stderr } of await Promise.all(workers.map(({ ended }) => ended)))
    expect(code, stderr).toBe(0);
}

/** Ends a worker and the process of the trial that it is at, as a power failure does. */
async function killed({ child, ended }: Started, trial: string): Promise<void> {
  const { pid } = JSON.parse(readFileSync(join(trial, 'holder.json'), 'utf8')) as { pid: number };
  child.kill('SIGKILL');
  process.kill(pid, 'SIGKILL');
  await ended;
  // As if that had been long ago: what would otherwise have to be waited for.
  const past = new Date(Date.now() - 60_000);
  if (existsSync(join(trial, 'lock'))) utimesSync(join(trial, 'lock'), past, past);
}

const everyFileBelow = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));

describe.each([
  ['redis', () => startRedis({ password: PASSWORD })],
  ['postgres', () => startPostgres()],
] as const)('workers of a queue over %s', (name, start) => {
  describe.skipIf(absence[name])('', () => {
    let server: QueueServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    test('one is killed in a trial, the server restarts: others go on, to the bits of one machine', async () => {
      const path = await sweepFile(`${name}-killed`, 14, '{ seed: [1, 2, 3] }');
      const alone = tautnet(['sweep', path, '--out', join(folder, `${name}-alone`), '--threads', '1']);
      const running = sweep(path, `${name}-killed`, '--queue', server.url);
      const first = worker(server.url);
      const trial = join(folder, `${name}-killed`, 'trials', '0000');
      await fileOf(first, join(trial, 'checkpoints', 'previous.safetensors'));
      const created = statSync(join(trial, 'config.yaml')).mtimeMs;
      await killed(first, trial);
      const others = [worker(server.url), worker(server.url)];
      await Promise.all(others.map(reached));
      await sleep(1000);
      await server.restart();
      const ended = await running.ended;
      expect([ended.code, ended.stdout]).toEqual([0, expect.stringContaining('seed 3')]);
      await stopped(...others);
      expect(statSync(join(trial, 'config.yaml')).mtimeMs).toBe(created);
      await alone;
      expect(digestsOf(`${name}-killed`)).toEqual(digestsOf(`${name}-alone`));
      expect(new Set(digestsOf(`${name}-killed`)).size).toBe(3);
      const told = [ended, ...(await Promise.all([first, ...others].map((each) => each.ended)))];
      const written = everyFileBelow(join(folder, `${name}-killed`));
      for (const text of [...told.flatMap(({ stdout, stderr }) => [stdout, stderr]), ...written])
        expect(text).not.toMatch(/s3cret/);
    });

    test.skipIf(name === 'postgres')(
      'one that is stopped saves its trial and hands it back at once',
      async () => {
        const path = await sweepFile(`${name}-stopped`, 20, '{ seed: [1] }');
        const running = sweep(path, `${name}-stopped`, '--queue', server.url);
        const first = worker(server.url, '--lease', '600');
        const trial = join(folder, `${name}-stopped`, 'trials', '0000');
        await fileOf(first, join(trial, 'checkpoints', 'last.safetensors'));
        await stopped(first);
        expect(existsSync(join(trial, 'holder.json'))).toBe(false);
        const created = statSync(join(trial, 'config.yaml')).mtimeMs;
        const second = worker(server.url, '--lease', '600');
        expect(await running.ended).toMatchObject({ code: 0 });
        expect(statSync(join(trial, 'config.yaml')).mtimeMs).toBe(created);
        await stopped(second);
      },
    );

    test('the runs of a reproduction are done by workers, to the bits that they have at home', async () => {
      const reproduce = (out: string, ...flags: string[]) =>
        tautnet([
          ...['reproduce', 'paradox', '--scale', 'smoke', '--rows', 'ibp', '--seeds', '1', '--quiet'],
          ...['--out', join(folder, `${name}-${out}`), ...flags],
        ]);
      const one = worker(server.url);
      const [there, here] = await Promise.all([
        reproduce('there', '--queue', server.url),
        reproduce('here', '--threads', '1'),
      ]);
      await stopped(one);
      expect([there.code, here.code], there.stderr).toEqual([0, 0]);
      const digests = (out: string): string[] => [
        ...digestsOf(join(`${name}-${out}`, 'S2', 'tuning')),
        ...digestsOf(join(`${name}-${out}`, 'S2', 'final')),
      ];
      expect(digests('there')).toEqual(digests('here'));
      expect(digests('there').length).toBe(2);
    });

    test('without a shared folder runs travel, and a trial that fails each time is parked and named', async () => {
      const path = await sweepFile(`${name}-shipped`, 3, '{ learning-rate: [0.001, 1.0e+30] }');
      const running = sweep(path, `${name}-shipped`, '--queue', server.url, '--ship-runs');
      // The worker finds another sweep, or none, where this one is.
      const definition = join(folder, `${name}-shipped`, 'sweep.json');
      await fileOf(running, join(folder, `${name}-shipped`, 'jobs', '0001-0.json'));
      await sleep(1500);
      const text = readFileSync(definition, 'utf8');
      await writeFile(definition, `${text}\n`);
      const one = worker(server.url, '--folder', join(folder, `${name}-own`));
      const ended = await running.ended;
      await stopped(one);
      expect([ended.code, ended.stdout]).toEqual([
        0,
        expect.stringContaining('trial 1 failed twice: training diverged'),
      ]);
      expect(endsOf(`${name}-shipped`)['0001-0.json']).toEqual({
        failed: expect.stringContaining('diverged'),
      });
      const run = join(folder, `${name}-shipped`, 'trials', '0000');
      expect(readdirSync(run)).toEqual(
        expect.arrayContaining(['network.onnx', 'summary.md', 'metrics.jsonl']),
      );
      expect(readdirSync(join(folder, `${name}-own`), { recursive: true })).not.toContain('network.onnx');
    });

    test.skipIf(name === 'postgres')(
      'the sweep itself may be stopped, which stops its trials, and killed, which does not',
      async () => {
        const path = await sweepFile(`${name}-left`, 120, '{ seed: [1, 2] }');
        const running = sweep(path, `${name}-left`, '--queue', server.url);
        const one = worker(server.url);
        const trial = join(folder, `${name}-left`, 'trials', '0000');
        await fileOf(one, join(trial, 'checkpoints', 'last.safetensors'));
        running.child.kill('SIGINT');
        const ended = await running.ended;
        expect([ended.code, failureOf(ended)]).toEqual([130, 'tautnet: interrupted by SIGINT']);
        expect(existsSync(join(trial, 'holder.json'))).toBe(false);
        expect(existsSync(join(trial, 'summary.md'))).toBe(false);
        const resume = ['sweep', '--resume', join(folder, `${name}-left`), '--queue', server.url];
        const again = startTautnet(resume);
        await fileOf(one, join(trial, 'holder.json'));
        again.child.kill('SIGKILL');
        await again.ended;
        await fileOf(one, join(trial, 'summary.md'));
        const lock = join(folder, `${name}-left`, 'lock');
        const past = new Date(Date.now() - 60_000);
        utimesSync(lock, past, past);
        expect(await tautnet(resume)).toMatchObject({ code: 0 });
        expect(one.child.exitCode).toBe(null);
        await stopped(one);
        // What was done while nobody waited was not done again.
        const begun = (await one.ended).stderr.match(/trial 0000-0 .*begun/g);
        expect(begun?.length).toBe(2);
      },
    );
  });
});

/** A server behind a line on which every message takes so many milliseconds each way. */
async function slowLine(url: string, delay: number): Promise<{ url: string; close(): void }> {
  const { port, hostname } = new URL(url);
  const passed = (from: Socket, to: Socket): void => {
    from.on('data', (bytes) => void setTimeout(() => to.write(bytes), delay));
    from.on('error', () => to.destroy()).on('close', () => to.destroy());
  };
  const line = createServer((near) => {
    const far = connect(Number(port), hostname);
    passed(near, far);
    passed(far, near);
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const slow = new URL(url);
  slow.port = String((line.address() as AddressInfo).port);
  return { url: slow.href, close: () => void line.close() };
}

/** A line to a server that breaks at the second connection, and stays broken for milliseconds. */
async function breakingLine(url: string, milliseconds: number): Promise<{ url: string; close(): void }> {
  const { port, hostname } = new URL(url);
  const open = new Set<Socket>();
  let connections = 0;
  let broken = false;
  const line = createServer((near) => {
    connections++;
    if (connections === 2) {
      broken = true;
      for (const socket of open) socket.destroy();
      setTimeout(() => {
        broken = false;
      }, milliseconds);
    }
    near.on('error', () => near.destroy());
    if (broken) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy()).on('close', () => other.destroy() && open.delete(one));
    }
  });
  await new Promise<void>((resolve) => line.listen(0, '127.0.0.1', resolve));
  const breaking = new URL(url);
  breaking.port = String((line.address() as AddressInfo).port);
  return { url: breaking.href, close: () => void line.close() };
}

describe.skipIf(absence.postgres)('a worker that loses its server while it connects', () => {
  test('says so once, tries again with pauses, and does its jobs when it is back', async () => {
    const server = await startPostgres();
    const line = await breakingLine(server.url, 4000);
    const running = sweep(await sweepFile('lost', 1, '{ seed: [1] }'), 'lost', '--queue', server.url);
    const one = worker(line.url);
    expect((await running.ended).code).toBe(0);
    await stopped(one);
    const { stderr } = await one.ended;
    expect(stderr.match(/; trying again\n/g)?.length).toBe(1);
    expect(stderr).toMatch(/begun/);
    line.close();
    await server.stop();
  });
});

/** Makes the clock of a process go wrong by an hour. */
const HOUR_AHEAD = `
const [now, Real] = [Date.now, Date];
globalThis.Date = class extends Real {
  constructor(...given) {
    if (given.length > 0) super(...given);
    else super(now() + 3_600_000);
  }
  static now() {
    return now() + 3_600_000;
  }
};`;

describe.skipIf(absence.redis)('a worker behind a slow line whose clock is an hour ahead', () => {
  test('does each trial once', async () => {
    const server = await startRedis();
    const slow = await slowLine(server.url, 100);
    const running = sweep(await sweepFile('slow', 3, '{ seed: [1, 2] }'), 'slow', '--queue', server.url);
    const options = process.env.NODE_OPTIONS;
    await writeFile(join(folder, 'clock.mjs'), HOUR_AHEAD);
    process.env.NODE_OPTIONS = `--import=${join(folder, 'clock.mjs')}`;
    const one = worker(slow.url);
    if (options === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = options;
    expect((await running.ended).code).toBe(0);
    await stopped(one);
    expect((await one.ended).stderr.match(/begun/g)?.length).toBe(2);
    slow.close();
    await server.stop();
  });
});

describe.skipIf(absence.redis)('an idle worker', () => {
  test('ends when it was asked to, although its server is gone', async () => {
    const server = await startRedis();
    const one = worker(server.url, '--idle', '4');
    await reached(one);
    await server.stop();
    const { code } = await one.ended;
    expect(code).toBe(0);
  });
});
