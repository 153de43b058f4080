import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureOf, fileOf, SHORT_TRAINING, startTautnet, tautnet } from '../testing/tautnet-process.js';

let folder: string;
let run: string;
let journal: string;
/** A radius at which a network trained without one leaves images that only a search decides. */
const certify = (...flags: string[]) => [
  'certify',
  run,
  '--epsilon',
  '0.02',
  '--limit',
  '100',
  '--attack-steps',
  '1',
  '--complete',
  '--json',
  ...flags,
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-complete-'));
  run = join(folder, 'run');
  journal = join(run, 'certificate.journal.jsonl');
  expect(
    await tautnet([...SHORT_TRAINING, '--method', 'natural', '--train-limit', '4000', '--out', run]),
  ).toMatchObject({ code: 0 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('tautnet certify --complete', () => {
  test('killed with -9 goes on behind the verdicts that it had reached, decides every image, and leaves no journal', async () => {
    const started = startTautnet(certify());
    await fileOf(started, journal);
    started.child.kill('SIGKILL');
    await started.ended;
    const before = (await readFile(journal, 'utf8')).trimEnd().split('\n').slice(1);
    const reached = before.flatMap((line) =>
      line.endsWith('}') ? [(JSON.parse(line) as { image: number }).image] : [],
    );

    const ended = await tautnet(certify());
    expect(ended.code).toBe(0);
    const report = JSON.parse(ended.stdout) as {
      images: number;
      certified: number;
      adversarial: number;
      stages: Record<string, { images: number }>;
    };
    const verdicts = (await readFile(join(run, 'certificate.jsonl'), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { image: number; verdict: string; stage: string });
    expect(verdicts.map(({ image }) => image)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    for (const image of reached) expect(verdicts[image]).toMatchObject({ stage: 'branch-and-bound' });
    expect(verdicts.every(({ verdict }) => verdict !== 'undecided')).toBe(true);
    expect(report.certified).toBe(report.adversarial);
    expect(existsSync(journal)).toBe(false);
  });

  test('stopped by Ctrl-C says how many verdicts are kept and how to go on, with code 130, and then how many it goes on from', async () => {
    const started = startTautnet(certify());
    await fileOf(started, journal);
    started.child.kill('SIGINT');
    const ended = await started.ended;
    const kept = (await readFile(journal, 'utf8')).trimEnd().split('\n').slice(1).length;
    expect(kept).toBeGreaterThan(0);
    const inWords = `${kept} ${kept === 1 ? 'verdict of the search is' : 'verdicts of the search are'} kept in ${journal}`;
    expect([ended.code, ended.stdout, failureOf(ended)]).toEqual([
      130,
      '',
      `tautnet: interrupted by SIGINT; ${inWords}, the same command goes on from there`,
    ]);
    const resumed = await tautnet(certify());
    expect([resumed.code, resumed.stderr.split('\n')[0]]).toEqual([0, `going on: ${inWords}`]);
  });

  test('limits of the search without it are refused in one line', async () => {
    const ended = await tautnet(['certify', run, '--timeout-per-image', '3']);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toBe(
      'tautnet: --timeout: expected --complete beside it, whose search it limits; add --complete\n',
    );
    const memory = await tautnet(['certify', run, '--memory', '64']);
    expect(memory.code).toBe(2);
    expect(memory.stderr).toBe(
      'tautnet: --memory: expected --complete or a --device beside it, which it limits; add one of them\n',
    );
  });
});

describe('tautnet verify --index', () => {
  test('answers as certify does for the same image', async () => {
    await tautnet(certify());
    const lines = (await readFile(join(run, 'certificate.jsonl'), 'utf8')).trimEnd().split('\n');
    for (const wanted of ['certified', 'falsified']) {
      const index = lines.findIndex((line) => (JSON.parse(line) as { verdict: string }).verdict === wanted);
      const ended = await tautnet([
        'verify',
        run,
        '--index',
        `${index}`,
        '--epsilon',
        '0.02',
        '--threads',
        '1',
      ]);
      expect([ended.code, ended.stdout.split('\n')[0]]).toEqual(
        wanted === 'certified' ? [0, 'unsat'] : [1, 'sat'],
      );
    }
  });

  test.each([
    [[], 'verify: expected a VNN-LIB file, or --index with the number of a test image, got neither'],
    [
      ['--dataset', 'mnist'],
      '--dataset: expected --index beside it, the number of a test image; add --index',
    ],
    [['--index', '10000'], '--index: expected a test image of mnist, 0 to 9999, got 10000'],
    [['--index', '-1'], '--index: expected the number of a test image, from 0, got "-1"'],
  ])('%j is refused in one line', async (flags, message) => {
    const ended = await tautnet(['verify', run, ...flags]);
    expect(ended).toMatchObject({ code: 2, stdout: '', stderr: `tautnet: ${message}\n` });
  });
});
