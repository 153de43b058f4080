import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { architecture } from './network/architectures.js';
import { initialize } from './network/initialization.js';
import { exportOnnx } from './network/onnx/export.js';
import { keyOf } from './runtime/random/keys.js';
import { ROOT } from './testing/tautnet-process.js';

const execute = promisify(execFile);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-vnncomp-'));
  const network = architecture('fc-small', [1, 1, 1], 2);
  await writeFile(join(folder, 'net.onnx'), exportOnnx(network, initialize(network, 'kaiming', keyOf(1))));
  const property = (least: number) =>
    '(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)' +
    `(assert (>= X_0 0))(assert (<= X_0 1))(assert (>= Y_0 ${least}.0))`;
  await writeFile(join(folder, 'never.vnnlib'), property(1000));
  await writeFile(join(folder, 'always.vnnlib'), property(-1000));
  await writeFile(
    join(folder, 'instances.csv'),
    [
      'benchmark,onnx,vnnlib,timeout_s,expected',
      'a,net.onnx,never.vnnlib,60,unsat',
      'a,net.onnx,always.vnnlib,60,unsat',
      'b,net.onnx,missing.vnnlib,60,sat',
    ].join('\n'),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('npm run bench:vnncomp', () => {
  test('writes a JUnit report: a wrong verdict and an error are failures', async () => {
    const report = join(folder, 'report.xml');
    const argv = [join(ROOT, 'bench', 'vnncomp.mjs'), folder, '--threads', '1', '--junit', report];
    const failed = await execute(process.execPath, argv).catch((error: { code: number }) => error);
    expect(failed).toMatchObject({ code: 1 });
    const text = await readFile(report, 'utf8');
    expect(text).toMatch(/tests="3" failures="2" errors="0" skipped="0"/);
    expect(text).toContain('message="expected unsat, got sat"');
    expect(text).toMatch(/message="error: [^"]*missing\.vnnlib/);
  });

  test('takes .gz files where instances.csv names plain ones', async () => {
    const packed = join(folder, 'packed');
    await mkdir(packed);
    for (const name of ['net.onnx', 'never.vnnlib'])
      await writeFile(join(packed, `${name}.gz`), gzipSync(await readFile(join(folder, name))));
    await writeFile(join(packed, 'instances.csv'), 'net.onnx,never.vnnlib,60\n');
    const argv = [join(ROOT, 'bench', 'vnncomp.mjs'), packed, '--threads', '1', '--json'];
    const { stdout } = await execute(process.execPath, argv);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) as string)).toMatchObject({ total: 1, solved: 1 });
  });

  test('takes lists of the models of a query’s networks, as the competition has them', async () => {
    const several = join(folder, 'several');
    await mkdir(several);
    await writeFile(join(several, 'net.onnx.gz'), gzipSync(await readFile(join(folder, 'net.onnx'))));
    const network = (name: string, x: string, relation = '') =>
      `(declare-network ${name} ${relation} (declare-input ${x} real [1,1,1,1])` +
      `(declare-output ${x}out real [1,2]))`;
    const query = (relation: string) =>
      `(vnnlib-version <2.0>)${network('f', 'X')}${network('g', 'U', relation)}` +
      '(assert (and (<= 0 X[0,0,0,0]) (<= X[0,0,0,0] 1) (== U[0,0,0,0] X[0,0,0,0])))' +
      '(assert (> Xout[0,0] (+ Uout[0,0] 0.01)))';
    await writeFile(join(several, 'equal.vnnlib'), query('(equal-to f)'));
    await writeFile(join(several, 'alike.vnnlib'), query('(isomorphic-to f)'));
    const list = "[('f', 'net.onnx'), ('g', 'net.onnx')]";
    await writeFile(join(several, 'instances.csv'), `${list},equal.vnnlib,60\n"${list}",alike.vnnlib,60\n`);
    const argv = [join(ROOT, 'bench', 'vnncomp.mjs'), several, '--threads', '1', '--json'];
    const { stdout } = await execute(process.execPath, argv);
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) as string)).toMatchObject({ total: 2, solved: 2 });
  });

  test('skips what was not decided, with its reason', async () => {
    const { junitCases } = (await import(join(ROOT, 'bench', 'vnncomp-junit.mjs'))) as {
      junitCases(results: readonly object[]): object[];
    };
    const result = { onnx: 'a.onnx', vnnlib: 'b.vnnlib', wrong: false, seconds: 2 };
    expect(
      junitCases([
        { ...result, verdict: 'timeout' },
        { ...result, verdict: 'unknown', reason: 'out of memory' },
        { ...result, verdict: 'unsat' },
      ]),
    ).toEqual([
      { name: 'a.onnx b.vnnlib', seconds: 2, skipped: 'timeout' },
      { name: 'a.onnx b.vnnlib', seconds: 2, skipped: 'out of memory' },
      { name: 'a.onnx b.vnnlib', seconds: 2 },
    ]);
  });
});
