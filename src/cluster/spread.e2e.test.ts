import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { absence, type QueueServer, startRedis } from '../testing/queue-servers.js';
import { ROOT, SHORT_TRAINING, type Started, startTautnet, tautnet } from '../testing/tautnet-process.js';
import { certifyPart } from './certify-part.js';
import { partsOf } from './spread.js';

const execute = promisify(execFile);

describe('parts of a certification', () => {
  test('are the same whatever range they are of, but for its ends, and hold each image once', () => {
    expect(partsOf(100, 600, 256).map(({ id }) => id)).toEqual(['100-256', '256-512', '512-600']);
    expect(partsOf(0, 8, 8).map(({ id }) => id)).toEqual(['0-8']);
    for (const [start, end] of [
      [0, 1],
      [7, 9],
      [255, 257],
      [0, 1000],
    ] as const)
      expect(partsOf(start, end, 16).reduce((sum, part) => sum + part.end - part.start, 0)).toBe(end - start);
  });
});

describe.skipIf(absence.redis)('over workers', () => {
  let folder: string;
  let server: QueueServer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tautnet-spread-'));
    server = await startRedis();
    expect(await tautnet([...SHORT_TRAINING, '--out', join(folder, 'run')])).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const worker = (): Started =>
    startTautnet(['worker', '--queue', server.url, '--threads', '1', '--lease', '2']);
  const certified = (name: string, ...flags: string[]): Started =>
    startTautnet([
      ...['certify', join(folder, 'run'), '--images', '200:1500', '--attack-steps', '5', '--json'],
      ...['--out', join(folder, `${name}.jsonl`), ...flags],
    ]);
  const bytes = (name: string): Buffer => readFileSync(join(folder, name));

  test('a certification is the same file for any number of them, also if one is killed', async () => {
    const [first, second] = [worker(), worker()];
    const two = certified('two', '--queue', server.url);
    await new Promise<void>((resolve) =>
      first.child.stderr?.on('data', (text: string) => /begun/.test(text) && resolve()),
    );
    first.child.kill('SIGKILL');
    expect((await two.ended).code).toBe(0);
    const one = await certified('one', '--queue', server.url).ended;
    second.child.kill('SIGTERM');
    await second.ended;
    expect(bytes('two.jsonl').equals(bytes('one.jsonl'))).toBe(true);
    expect(bytes('two.counterexamples.safetensors').equals(bytes('one.counterexamples.safetensors'))).toBe(
      true,
    );
    // Batches of one machine are of other sizes: verdicts are the same, margins to rounding.
    const here = await certified('here', '--threads', '1').ended;
    const lines = (name: string) =>
      bytes(name)
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    const [expected, got] = [lines('here.jsonl'), lines('one.jsonl')];
    expect(got.length).toBe(1300);
    got.forEach(({ margin, ...verdict }, i) => {
      const { margin: expectedMargin, ...expectedVerdict } = expected[i];
      expect(verdict).toEqual(expectedVerdict);
      expect(margin).toBeCloseTo(expectedMargin, 5);
    });
    const { seconds: _, stages: __, ...numbers } = JSON.parse(one.stdout);
    expect(JSON.parse(here.stdout)).toMatchObject(numbers);
  });

  test('a certification of other images or parameters than were meant is refused', async () => {
    const what = { path: join(folder, 'run'), dataset: 'mnist', epsilon: 0.1, clipBox: true, attack: {} };
    const work = { kind: 'certify', id: 'x', start: 0, end: 2, threads: 1 } as const;
    await expect(certifyPart({ ...work, what: { ...what, fingerprint: '0'.repeat(64) } })).rejects.toThrow(
      'expected the network and images of who asked, got others',
    );
  });

  test('instances of the competition are decided as on one machine, errors among them', async () => {
    const property =
      '(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)' +
      '(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= Y_0 1000.0))';
    await writeFile(join(folder, 'never.vnnlib'), property);
    const { architecture } = await import('../network/architectures.js');
    const { initialize } = await import('../network/initialization.js');
    const { exportOnnx } = await import('../network/onnx/export.js');
    const { keyOf } = await import('../runtime/random/keys.js');
    const network = architecture('fc-small', [1, 1, 1], 2);
    await writeFile(join(folder, 'net.onnx'), exportOnnx(network, initialize(network, 'kaiming', keyOf(1))));
    const rows = ['net.onnx,never.vnnlib,60', 'net.onnx,missing.vnnlib,60'];
    await writeFile(join(folder, 'instances.csv'), `${rows.join('\n')}\n`);
    const argv = [join(ROOT, 'bench', 'vnncomp.mjs'), folder, '--json'];
    const one = worker();
    const [here, there] = [
      await execute(process.execPath, [...argv, '--threads', '1']),
      await execute(process.execPath, [...argv, '--queue', server.url]),
    ];
    one.child.kill('SIGTERM');
    await one.ended;
    const timeless = (text: string) => text.replace(/ *\d+\.\d s/g, '').replace(/"seconds":[\d.]+/, '');
    expect(timeless(there.stdout)).toBe(timeless(here.stdout));
    expect(there.stdout).toMatch(/unsat.*\n.*error: .*missing\.vnnlib/);
  });
});
