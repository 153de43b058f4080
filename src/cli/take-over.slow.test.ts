import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fileOf, resultOf, SHORT_TRAINING, startTautnet, tautnet } from '../testing/tautnet-process.js';

test('a run whose process was killed is waited for, then taken over, and ends in the same bits', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tautnet-take-over-'));
  try {
    const training = (run: string) => [
      ...SHORT_TRAINING,
      '--epochs',
      '40',
      '--checkpoint-every',
      '40',
      '--checkpoint-seconds',
      '0.1',
      '--out',
      join(folder, run),
    ];
    expect(await tautnet(training('whole'))).toMatchObject({ code: 0 });
    const started = startTautnet(training('killed'));
    await fileOf(started, join(folder, 'killed', 'checkpoints', 'last.safetensors'));
    started.child.kill('SIGKILL');
    await started.ended;
    const { code, stderr } = await tautnet(['train', '--resume', join(folder, 'killed')]);
    expect(stderr).toContain(
      `its last process (${started.child.pid}) did not end properly; waiting up to 20 s to take it over\n`,
    );
    expect(code).toBe(0);
    expect(await resultOf(join(folder, 'killed'))).toEqual(await resultOf(join(folder, 'whole')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
