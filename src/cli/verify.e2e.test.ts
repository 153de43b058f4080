import { spawn, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeCounterexample } from '../formats/counterexample.js';
import { encodeOnnx, type OnnxTensor } from '../formats/onnx.js';
import { recordedIo } from '../testing/io.js';
import { model, op } from '../testing/onnx-models.js';
import { runOnnx } from '../testing/onnx-runs.js';
import { failureOf, SHORT_TRAINING, startTautnet, tautnet } from '../testing/tautnet-process.js';
import { run } from './program.js';
import { makeVerifyCommand } from './verify.js';

const floats = (name: string, shape: readonly number[], values: readonly number[]): OnnxTensor => ({
  name,
  shape,
  data: Float32Array.from(values),
});

/** y = (relu(x₀ + x₁), relu(x₀ − x₁)). */
const small = encodeOnnx(
  model({
    input: ['batch', 2],
    nodes: [op('Gemm', ['x', 'w', 'b'], 'h'), op('Relu', ['h'], 'y')],
    constants: [floats('w', [2, 2], [1, 1, 1, -1]), floats('b', [2], [0, 0])],
  }),
);

/** Inputs in [−1, 1] and an assertion about the outputs. */
const property = (assertion: string, inputs = 2, outputs = 2): string =>
  [
    ...Array.from(
      { length: inputs },
      (_, i) => `(declare-const X_${i} Real)\n(assert (>= X_${i} -1))\n(assert (<= X_${i} 1))`,
    ),
    ...Array.from({ length: outputs }, (_, j) => `(declare-const Y_${j} Real)`),
    `(assert ${assertion})\n`,
  ].join('\n');

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-verify-'));
  await writeFile(at('small.onnx'), small);
  await writeFile(at('small.onnx.gz'), gzipSync(small));
  await writeFile(at('cut.onnx'), small.subarray(0, 60));
  await writeFile(at('cut.onnx.gz'), gzipSync(small).subarray(0, 60));
  await writeFile(at('text.onnx'), 'this is no model');
  await writeFile(
    at('unknown.onnx'),
    encodeOnnx(model({ input: ['batch', 2], nodes: [op('Nonsense', ['x'], 'y')] })),
  );
  await writeFile(at('reached.vnnlib'), property('(>= Y_0 1.5)'));
  await writeFile(at('never.vnnlib'), property('(>= (+ Y_0 Y_1) 3.5)'));
  // max (y₀ + y₁) is 2 exactly: no attack reaches 2 + 1e-6, and no bound computed in float32 proves that none
  // can.
  await writeFile(at('tight.vnnlib'), property('(>= (+ Y_0 Y_1) 2.000001)'));
  await writeFile(at('three.vnnlib'), property('(>= Y_0 1)', 3));
  await writeFile(at('broken.vnnlib'), '(assert (>= X_0 1)');
  await writeFile(
    at('unbounded.vnnlib'),
    '(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)(assert (>= Y_0 1))',
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function verify(...argv: string[]) {
  const { io, stdout, stderr } = recordedIo();
  const code = await run(['verify', ...argv], [makeVerifyCommand], io);
  return { code, stdout: stdout(), stderr: stderr() };
}

describe('tautnet verify', () => {
  test('unsat is code 0 and one line', async () => {
    const ended = await tautnet(['verify', at('small.onnx'), at('never.vnnlib'), '--threads', '1']);
    expect(ended).toMatchObject({ code: 0, stdout: 'unsat\n' });
    expect(ended.stderr).toMatch(/^attack: 0 subproblems, 0s\nibp: /);
  });

  test('sat is code 1 and a counterexample that ONNX Runtime confirms, the same in the result file', async () => {
    const ended = await tautnet([
      'verify',
      at('small.onnx.gz'),
      at('reached.vnnlib'),
      '--threads',
      '1',
      '--results',
      at('results.txt'),
    ]);
    expect(ended.code).toBe(1);
    expect(ended.stdout.split('\n')[0]).toBe('sat');
    expect(await readFile(at('results.txt'), 'utf8')).toBe(ended.stdout);
    const { inputs, outputs } = decodeCounterexample(ended.stdout);
    expect(inputs.every((v) => v >= -1 && v <= 1)).toBe(true);
    expect(outputs[0]).toBeGreaterThanOrEqual(1.5);
    expect(Array.from(outputs)).toEqual(await runOnnx(small, Float32Array.from(inputs), 1, [2]));
  });

  test('a timeout is code 3, and the result file says so', async () => {
    const ended = await verify(
      at('small.onnx'),
      at('tight.vnnlib'),
      '--timeout',
      '0.001',
      '--results',
      at('late.txt'),
      '--threads',
      '1',
    );
    expect([ended.code, ended.stdout, await readFile(at('late.txt'), 'utf8')]).toEqual([
      3,
      'timeout\n',
      'timeout\n',
    ]);
  });

  test('--json is one object on one line', async () => {
    const proved = await verify(at('small.onnx'), at('never.vnnlib'), '--json', '--threads', '1');
    expect([proved.code, proved.stdout.split('\n').length]).toEqual([0, 2]);
    expect(JSON.parse(proved.stdout)).toMatchObject({
      verdict: 'unsat',
      subproblems: 1,
      seconds: expect.any(Number),
    });
    const reached = await verify(
      at('small.onnx'),
      at('reached.vnnlib'),
      '--json',
      '--threads',
      '1',
      '--seed',
      '4',
    );
    expect(JSON.parse(reached.stdout)).toMatchObject({
      verdict: 'sat',
      stage: 'attack',
      counterexample: {
        input: [expect.any(Number), expect.any(Number)],
        output: [expect.any(Number), expect.any(Number)],
        polytope: 0,
      },
    });
  });

  test('the folder of a finished run is verified by its network', async () => {
    await tautnet([...SHORT_TRAINING, '--out', at('run')]);
    await writeFile(at('run.vnnlib'), property('(>= Y_0 -1e6)', 784, 10));
    const { code, stdout } = await verify(at('run'), at('run.vnnlib'), '--threads', '1');
    expect([code, stdout.split('\n')[0]]).toEqual([1, 'sat']);
    const { inputs, outputs } = decodeCounterexample(stdout);
    expect(Array.from(outputs)).toEqual(
      await runOnnx(
        await readFile(join(at('run'), 'network.onnx')),
        Float32Array.from(inputs),
        1,
        [1, 28, 28],
      ),
    );
  });

  test('the exit code is the answer even if nobody reads it', async () => {
    const started = startTautnet(['verify', at('small.onnx'), at('reached.vnnlib'), '--threads', '1']);
    started.child.stdout?.destroy();
    expect((await started.ended).code).toBe(1);
  });

  test.skipIf(process.platform !== 'linux')('a verdict that cannot be written ends with 5', async () => {
    const full = await open('/dev/full', 'w');
    const argv = ['verify', at('small.onnx'), at('reached.vnnlib'), '--threads', '1'];
    const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
    const child = spawn(process.execPath, [main, ...argv], { stdio: ['ignore', full.fd, 'ignore'] });
    const code = await new Promise((resolve) => child.once('close', resolve));
    await full.close();
    expect(code).toBe(5);
  });

  test('Ctrl-C ends it with 130 and one line, and writes no result', async () => {
    const started = startTautnet([
      'verify',
      at('small.onnx'),
      at('tight.vnnlib'),
      '--threads',
      '1',
      '--results',
      at('interrupted.txt'),
    ]);
    await new Promise<void>((resolve) => started.child.stderr?.once('data', () => resolve()));
    await sleep(100);
    started.child.kill('SIGINT');
    const ended = await started.ended;
    expect([ended.code, ended.stdout, failureOf(ended)]).toEqual([130, '', 'tautnet: interrupted by SIGINT']);
    await expect(readFile(at('interrupted.txt'))).rejects.toThrow('ENOENT');
  });
});

describe('bad input is code 2 and one line that says what', () => {
  test.each([
    [
      ['nothing.onnx', 'never.vnnlib'],
      'nothing.onnx: expected the folder of a run or an ONNX file, there is nothing; check the path',
    ],
    [['small.onnx', 'nothing.vnnlib'], 'nothing.vnnlib: no such file or folder; check the path (ENOENT)'],
    [['cut.onnx', 'never.vnnlib'], 'cut.onnx: expected an ONNX model'],
    [['cut.onnx.gz', 'never.vnnlib'], 'cut.onnx.gz: expected a whole gzip file'],
    [['text.onnx', 'never.vnnlib'], 'text.onnx: expected an ONNX model'],
    [['unknown.onnx', 'never.vnnlib'], 'Nonsense'],
    [['never.vnnlib', 'never.vnnlib'], 'never.vnnlib: expected an ONNX model'],
    [['small.onnx', 'broken.vnnlib'], 'broken.vnnlib:1:'],
    [['small.onnx', 'small.onnx'], 'small.onnx:1:'],
    [['small.onnx', 'unbounded.vnnlib'], 'unbounded.vnnlib: '],
    [
      ['small.onnx', 'three.vnnlib'],
      "three.vnnlib: expected a property of the network's 2 inputs and 2 outputs, got one of 3 inputs and 2 outputs",
    ],
  ])('%j', async ([network, of], message) => {
    const { code, stdout, stderr } = await verify(at(network as string), at(of as string));
    expect([code, stdout, stderr.trimEnd().split('\n').length]).toEqual([2, '', 1]);
    expect(stderr).toContain(message);
  });

  test.each([
    [['--timeout', '0'], '--timeout: expected a number above 0, got "0"'],
    [['--timeout', 'soon'], '--timeout: expected a number above 0, got "soon"'],
    [['--memory', '1.5'], '--memory: expected a whole number of at least 1, got "1.5"'],
    [['--threads', '0'], '--threads: expected a whole number from 1 to 1024, got 0'],
    [
      ['--results', 'nowhere/r.txt'],
      '--out: expected a file in a folder that exists, got nowhere/r.txt; create nowhere first',
    ],
    [['--colour', 'red'], "unknown option '--colour'"],
  ])('%j', async (flags, message) => {
    const { code, stdout, stderr } = await verify(at('small.onnx'), at('never.vnnlib'), ...flags);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`tautnet: ${message}`);
  });

  test('a result file that would replace what is read, or a folder, is refused', async () => {
    expect(await verify(at('small.onnx'), at('never.vnnlib'), '--results', at('never.vnnlib'))).toMatchObject(
      { code: 2 },
    );
    for (const file of ['network.onnx', 'config.yaml']) {
      const before = await readFile(at(`run/${file}`));
      expect(await verify(at('run'), at('run.vnnlib'), '--results', at(`run/${file}`))).toMatchObject({
        code: 2,
      });
      expect(await readFile(at(`run/${file}`))).toEqual(before);
    }
    await mkdir(at('a-folder'));
    expect(await verify(at('small.onnx'), at('never.vnnlib'), '--results', at('a-folder'))).toMatchObject({
      code: 2,
    });
  });

  test('a model whose weights are no numbers is refused', async () => {
    const weights = [floats('w', [2, 2], [1, Number.NaN, 1, -1]), floats('b', [2], [0, 0])];
    await writeFile(
      at('nan.onnx'),
      encodeOnnx(
        model({ input: ['batch', 2], nodes: [op('Gemm', ['x', 'w', 'b'], 'y')], constants: weights }),
      ),
    );
    expect(await verify(at('nan.onnx'), at('never.vnnlib'))).toMatchObject({ code: 2, stdout: '' });
  });

  test('a model that shrinks to nothing is refused', async () => {
    await writeFile(at('empty.onnx'), small);
    await truncate(at('empty.onnx'), 0);
    expect(await verify(at('empty.onnx'), at('never.vnnlib'))).toMatchObject({ code: 2, stdout: '' });
  });
});

test('a result that cannot be written is code 5, told apart from sat, and nothing is printed', async () => {
  const ended = await tautnet(
    ['verify', at('small.onnx'), at('reached.vnnlib'), '--threads', '1', '--results', at('large.txt')],
    { fileSizeLimit: 0 },
  );
  expect([ended.code, ended.stdout]).toEqual([5, '']);
  expect(failureOf(ended)).toContain(`cannot write ${at('large.txt')}: `);
});

describe('files without end, and instances that fail', () => {
  const posix = describe.skipIf(process.platform === 'win32');

  test.each([
    ['bomb.onnx.gz', 'never.vnnlib'],
    ['small.onnx', 'bomb.vnnlib.gz'],
  ])('%s and %s: --memory limits what is read', async (network, of) => {
    await writeFile(at('bomb.onnx.gz'), gzipSync(Buffer.alloc(2 ** 20 + 1)));
    await writeFile(at('bomb.vnnlib.gz'), gzipSync(' '.repeat(2 ** 20 + 1)));
    const { code, stderr } = await verify(at(network), at(of), '--memory', '1');
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/at most 1048576 bytes, got a larger one; allow more with --memory\n$/),
    ]);
  });

  test('a failed instance leaves error, once, in the results and in JSON', async () => {
    await cp(at('run'), at('unfinished'), { recursive: true });
    await rm(join(at('unfinished'), 'parameters.safetensors'));
    const files = [at('unfinished'), at('run.vnnlib')];
    const { code, stdout } = await verify(...files, '--json', '--out', at('failed.txt'));
    expect([code, stdout.trimEnd().split('\n').length]).toEqual([5, 1]);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'error',
      reason: expect.stringContaining('expected a finished run'),
    });
    expect(await readFile(at('failed.txt'), 'utf8')).toBe('error\n');
  });

  test('a refused property leaves unknown in the results and in JSON', async () => {
    const files = [at('small.onnx'), at('broken.vnnlib')];
    const { code, stdout } = await verify(...files, '--json', '--out', at('broken.txt'));
    expect([code, JSON.parse(stdout).verdict]).toEqual([2, 'unknown']);
    expect(await readFile(at('broken.txt'), 'utf8')).toBe('unknown\n');
  });

  posix('on POSIX systems', () => {
    test.each(['model', 'property'])('a first TERM ends the wait for a named pipe: %s', async (which) => {
      const pipe = at(`pipe-${which}`);
      spawnSync('mkfifo', [pipe]);
      const files = which === 'model' ? [pipe, at('never.vnnlib')] : [at('small.onnx'), pipe];
      const started = startTautnet(['verify', ...files, '--json', '--out', at('piped.txt')]);
      // Opened for writing as soon as it is read.
      const writer = await open(pipe, 'w');
      started.child.kill('SIGTERM');
      const ended = await started.ended;
      await writer.close();
      expect([ended.code, ended.stdout, failureOf(ended)]).toEqual([
        130,
        '',
        'tautnet: interrupted by SIGTERM',
      ]);
      await expect(readFile(at('piped.txt'))).rejects.toThrow('ENOENT');
    });

    test('a second TERM ends what waits for a pipe that is opened', async () => {
      spawnSync('mkfifo', [at('pipe.yaml')]);
      const started = startTautnet(['train', '--config', at('pipe.yaml'), '--out', at('piped')]);
      await sleep(3000);
      const again = setInterval(() => started.child.kill('SIGTERM'), 200);
      await started.ended;
      clearInterval(again);
      expect(started.child.signalCode).toBe('SIGTERM');
    });

    test('a second TERM ends a search at once, whatever its workers do, and says nothing', async () => {
      const started = startTautnet(['verify', at('small.onnx'), at('tight.vnnlib'), '--threads', '2']);
      await new Promise<void>((resolve) => started.child.stderr?.once('data', () => resolve()));
      started.child.kill('SIGTERM');
      started.child.kill('SIGTERM');
      const again = setInterval(() => started.child.kill('SIGTERM'), 5);
      const { stderr } = await started.ended;
      clearInterval(again);
      expect([null, 130]).toContain(started.child.exitCode);
      expect([null, 'SIGTERM']).toContain(started.child.signalCode);
      expect(stderr).not.toMatch(/abort|terminate|libc/i);
    });

    // Arguments of a program are text to Node, bytes to a shell.
    test.each(['"$0" "$1"', '"$1" "$0"'])('a name that is not UTF-8 is told so: %s', (files) => {
      const shell = files.replace('"$0"', '"$bad"');
      const { status, stderr } = spawnSync(
        'sh',
        [
          '-c',
          `bad="$(printf '%s\\377' "$0")"; exec "$2" "$3" verify ${shell}`,
          at('no'),
          at('small.onnx'),
        ].concat([process.execPath, fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))]),
        { encoding: 'utf8' },
      );
      expect([status, stderr]).toEqual([
        2,
        expect.stringContaining('its name is not UTF-8 and cannot be given; rename it'),
      ]);
    });
  });
});
