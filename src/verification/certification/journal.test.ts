import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certifiedSet } from '../../testing/certified-sets.js';
import { fingerprintOf, type JournalIdentity, openJournal } from './journal.js';
import type { Verdict } from './verdict.js';

const FEATURES = 3;
const identity: JournalIdentity = {
  fingerprint: 'a',
  about: 'mnist, ε = 0.1',
  limits: { seconds: 60, bytes: 100 },
  features: FEATURES,
};

const verdictOn = (image: number): fc.Arbitrary<Verdict> => {
  const judged = { image: fc.constant(image), label: fc.nat(9) };
  return fc.oneof(
    fc.record({
      ...judged,
      verdict: fc.constant('certified' as const),
      stage: fc.constant('branch-and-bound' as const),
      margin: fc.constant(1e-5),
    }),
    fc.record({
      ...judged,
      verdict: fc.constant('falsified' as const),
      stage: fc.constant('branch-and-bound' as const),
      margin: fc.double({ max: 0, min: -9, noNaN: true }).map((margin) => margin || 0),
      counterexample: fc.float32Array({
        minLength: FEATURES,
        maxLength: FEATURES,
        min: 0,
        max: 1,
        noNaN: true,
      }),
    }),
    fc.record({
      ...judged,
      verdict: fc.constant('undecided' as const),
      stage: fc.constant(null),
      margin: fc.constantFrom(-2, Number.NEGATIVE_INFINITY),
    }),
  );
};
const someVerdicts = fc
  .integer({ min: 1, max: 6 })
  .chain((count) => fc.tuple(...Array.from({ length: count }, (_, image) => verdictOn(image))));

let folder: string;
let path: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tautnet-journal-'));
  path = join(folder, 'certificate.journal.jsonl');
});
afterAll(() => rm(folder, { recursive: true }));

async function written(verdicts: readonly Verdict[], of: JournalIdentity = identity): Promise<void> {
  await rm(path, { force: true });
  const journal = openJournal(path, of);
  for (const verdict of verdicts) journal.append(verdict);
  journal.close();
}
const undecided: Verdict = { image: 0, label: 1, verdict: 'undecided', stage: null, margin: -1 };
const certified: Verdict = {
  image: 1,
  label: 1,
  verdict: 'certified',
  stage: 'branch-and-bound',
  margin: 1e-5,
};

describe('a journal', () => {
  test('gives back what was appended, counterexamples bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(someVerdicts, async (verdicts) => {
        await written(verdicts);
        expect([...openJournal(path, identity).known.values()]).toEqual(verdicts);
      }),
      { numRuns: 15 },
    );
  });

  test('that was cut anywhere gives back a beginning of it, and what is appended then is whole', async () => {
    await fc.assert(
      fc.asyncProperty(someVerdicts, fc.double({ min: 0, max: 1, noNaN: true }), async (verdicts, part) => {
        await written(verdicts);
        await truncate(path, Math.floor(part * (await readFile(path)).length));
        const journal = openJournal(path, identity);
        const left = [...journal.known.values()];
        expect(left).toEqual(verdicts.slice(0, left.length));
        const next: Verdict = { ...certified, image: 99 };
        journal.append(next);
        journal.close();
        expect([...openJournal(path, identity).known.values()]).toEqual([...left, next]);
      }),
      { numRuns: 20 },
    );
  });

  test('tries undecided images again with more time or memory, and no others', async () => {
    await written([undecided, certified]);
    const images = (limits: JournalIdentity['limits']) => [
      ...openJournal(path, { ...identity, limits }).known.keys(),
    ];
    expect(images({ seconds: 60, bytes: 100 })).toEqual([0, 1]);
    expect(images({ seconds: 30, bytes: 100 })).toEqual([0, 1]);
    expect(images({ seconds: 61, bytes: 100 })).toEqual([1]);
    expect(images({ seconds: 60, bytes: 101 })).toEqual([1]);
  });

  test('goes when all is decided, and stays with every verdict when something is not', async () => {
    for (const closedBefore of [false, true]) {
      await rm(path, { force: true });
      const journal = openJournal(path, identity);
      for (const verdict of [undecided, certified]) journal.append(verdict);
      if (closedBefore) journal.close();
      journal.end([undecided, certified]);
      const again = openJournal(path, identity);
      expect([...again.known.values()]).toEqual([undecided, certified]);
      again.end([certified]);
      expect(existsSync(path)).toBe(false);
    }
  });

  test('of another certification is refused while that has not ended, and gives way when it has', async () => {
    const other = { ...identity, fingerprint: 'b', about: 'mnist, ε = 0.2' };
    await written([undecided]);
    expect(() => openJournal(path, other)).toThrow(
      'expected the journal of mnist, ε = 0.2, got that of mnist, ε = 0.1',
    );
    openJournal(path, identity).end([undecided]);
    const journal = openJournal(path, other);
    expect(journal.known.size).toBe(0);
    journal.append(certified);
    journal.close();
    expect([...openJournal(path, other).known.values()]).toEqual([certified]);
    expect(() => openJournal(path, identity)).toThrow('has not ended');
  });

  test('is no file of another kind, and lines that say nothing are passed over', async () => {
    await writeFile(path, '{"image":3}\n');
    expect(() => openJournal(path, identity)).toThrow(
      'expected the journal of a certification, got "{"image":3}"; move that file away',
    );
    await written([certified]);
    await appendFile(
      path,
      '\n[]\nnull\n{"image":4,"label":2,"verdict":"falsified","margin":-1,"counterexample":"AA=="}\n',
    );
    expect([...openJournal(path, identity).known.keys()]).toEqual([1]);
  });
});

test('a fingerprint is of the parameters, the images, their labels, the ball and the version', async () => {
  const { network, parameters, split } = await certifiedSet(1, 4);
  const of = (
    changes: {
      parameters?: typeof parameters;
      split?: typeof split;
      epsilon?: number;
      clip?: boolean;
      version?: string;
      proofs?: Parameters<typeof fingerprintOf>[5];
    } = {},
  ) => {
    const ball = { epsilon: changes.epsilon ?? 0.1, clip: changes.clip ?? true };
    return fingerprintOf(
      network,
      changes.parameters ?? parameters,
      changes.split ?? split,
      ball,
      changes.version ?? '1',
      changes.proofs,
    );
  };
  const [name, array] = Object.entries(parameters)[0] as [string, Float32Array];
  const all = [
    of(),
    of({ parameters: { ...parameters, [name]: array.map((v, i) => (i === 0 ? v + 1 : v)) } }),
    of({ split: { ...split, labels: Uint8Array.from(split.labels, (label) => (label + 1) % 3) } }),
    of({ split: { ...split, images: Uint8Array.from(split.images, (byte) => 255 - byte) } }),
    of({ epsilon: 0.2 }),
    of({ clip: false }),
    of({ version: '2' }),
    of({ proofs: { sound: true } }),
    of({ proofs: { sound: true, exact: { [name]: Float64Array.of(1 + 1e-9) } } }),
  ];
  expect(new Set(all).size).toBe(all.length);
  expect(of()).toBe(all[0]);
});
