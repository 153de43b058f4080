import { describe, expect, test } from 'vitest';
import { resolveSettings } from '../settings/resolve-settings.js';
import type { MetricsRecord } from './metrics.js';
import { summarize } from './summary.js';

const settings = resolveSettings({
  relaxation: 'crown-ibp',
  smoothing: 'rgs',
  samples: 4,
  seed: 3,
  threads: 2,
});
const run = { path: 'runs/a', settings, version: '0.1.0' };
const metrics: MetricsRecord[] = Array.from({ length: 140 }, (_, i) => ({
  step: i + 1,
  epoch: (i + 1) / 2,
  loss: 1 / (i + 1),
  naturalAccuracy: 0.9,
  epsilon: 0.1,
}));

describe('the summary of a run', () => {
  test('says what was trained, how it ended and what to do next', () => {
    const found = { images: 10_000, epsilon: 0.1, natural: 0.9876, certified: 0.95, adversarial: 0.96 };
    const text = summarize(run, [...metrics, { step: 141, epoch: 70, seconds: 600 }], {
      ...found,
      seconds: 5,
    });
    expect(text).toContain('# cnn3 on mnist, ε = 0.1');
    expect(text).toContain('Certified training with crown-ibp, rgs smoothing (σ = 0.001, 4 samples); seed 3');
    expect(text).toContain('| natural | 98.76 % |\n| certified | 95.00 % |\n| adversarial | 96.00 % |');
    expect(text).toContain('## Result on 10000 test images, ε = 0.1');
    expect(text).toContain('Training took 10.0 minutes. Certification took 5 seconds.');
    expect(text).toContain('tautnet certify runs/a');
    expect(text).toContain('tautnet train --resume runs/a');
    expect(text).toContain('| learning-rate-decay-epochs | 50,60 |');
    expect(text).not.toContain('sigma-min');
  });

  test('before certification says how to prove it, and leaves no number out without a word', () => {
    const text = summarize(run, metrics);
    expect(text).toContain('Not certified yet: `tautnet certify runs/a` proves');
    expect(text).not.toContain('not computed');
  });

  test('shows a page of epochs, the first and the last among them, each as it ended', () => {
    const rows = summarize(run, metrics)
      .split('\n')
      .filter((line) => /^\| \d/.test(line));
    expect(rows).toHaveLength(12);
    expect(rows[0]).toBe('| 1 | 0.1 | 0.5 | 90.00 % |');
    expect(rows[11]).toBe('| 70 | 0.1 | 0.007143 | 90.00 % |');
  });

  test('a path with a space can be pasted into a shell, and a run without metrics has a summary', () => {
    const text = summarize({ ...run, path: "it's a run" }, []);
    expect(text).toContain(`tautnet certify 'it'\\''s a run'`);
    expect(text).not.toContain('Course');
  });
});
