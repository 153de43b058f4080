import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tautnet } from '../testing/tautnet-process.js';

test('every claim is looked at on a small scale, and the same seed gives the same bits again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-reproduce-'));
  try {
    const reproduce = (claim: string, out: string, ...more: string[]) =>
      tautnet([
        'reproduce',
        claim,
        '--scale',
        'smoke',
        '--threads',
        '2',
        '--json',
        '--out',
        join(folder, out),
        ...more,
      ]);
    const { code, stdout } = await reproduce('all', 'first');
    const { findings } = JSON.parse(stdout) as { findings: { claim: string; answer: string }[] };
    expect([code, [...new Set(findings.map(({ claim }) => claim))]]).toEqual([
      0,
      ['paradox', 'rgs', 'pgpe', 'beyond'],
    ]);
    const page = await readFile(join(folder, 'first', 'results.md'), 'utf8');
    for (const relaxation of ['ibp', 'hbox', 'deepz', 'crown-ibp', 'crown'])
      expect(page).toContain(relaxation);

    // A part of the same runs, one row and then the others: their bits are in the table of the first.
    expect(await reproduce('paradox', 'second', '--rows', 'crown')).toMatchObject({ code: 0 });
    expect(await reproduce('paradox', 'second')).toMatchObject({ code: 0 });
    const digests = async (out: string) =>
      (await readFile(join(folder, out, 'results.csv'), 'utf8'))
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => line.split(',').at(-1));
    const [first, second] = [await digests('first'), await digests('second')];
    expect(second.length).toBe(3 + 3 * 2);
    expect(first).toEqual(expect.arrayContaining(second));

    // More seeds come to those that there are.
    expect(await reproduce('paradox', 'second', '--seeds', '3')).toMatchObject({ code: 0 });
    const third = await digests('second');
    expect(third.length).toBe(3 + 3 * 3);
    expect(third).toEqual(expect.arrayContaining(second));

    // Once more in the time of the slowest row, and written from the folder by another call.
    expect(await reproduce('paradox', 'second', '--equal-time', '--seeds', '3')).toMatchObject({ code: 0 });
    const written = await readFile(join(folder, 'second', 'results.md'), 'utf8');
    expect(written).toContain('### Equal time');
    const copy = join(folder, 'docs', 'results');
    expect(await reproduce('paradox', 'second', '--report', copy)).toMatchObject({ code: 0 });
    expect(await readFile(`${copy}.md`, 'utf8')).toBe(written);
    for (const kind of ['csv', 'svg'])
      expect(await readFile(`${copy}.${kind}`, 'utf8')).toBe(
        await readFile(join(folder, 'second', `results.${kind}`), 'utf8'),
      );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
