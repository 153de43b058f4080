import { describe, expect, test } from 'vitest';
import { recordedOutput } from '../../testing/io.js';
import { duration, trainingProgress } from './training.js';

const state = (epoch: number) => ({
  epoch,
  loss: 0.4123,
  naturalAccuracy: 0.971,
  certifiedAccuracy: 0.88,
  samplesPerSecond: 5210.4,
});

describe('progress', () => {
  test('without a terminal is one line per epoch, and one every ten seconds within a long one', () => {
    const { output, text } = recordedOutput();
    let time = 0;
    const progress = trainingProgress(output, { epochs: 4, now: () => time });
    const steps = [
      [0.5, 4], // neither
      [1, 5], // epoch
      [1.1, 14], // neither
      [1.2, 15], // ten seconds
      [2, 16], // epoch
    ] as const;
    for (const [epoch, seconds] of steps) {
      time = 1000 * seconds;
      progress.update(state(epoch));
    }
    progress.stop();
    const lines = text().split('\n');
    expect(lines[0]).toBe('epoch 1/4, loss 0.412, natural 97.1%, certified 88.0%, 5210 images/s, 15s left');
    expect(lines.map((line) => line.split(',')[0])).toEqual(['epoch 1/4', 'epoch 1.2/4', 'epoch 2/4', '']);
    expect(text()).not.toContain('\u001b');
  });

  test('shows the accuracies that the method has: under attack for those that attack', () => {
    const { output, text } = recordedOutput();
    const progress = trainingProgress(output, { epochs: 1 });
    progress.update({ epoch: 1, loss: 1, naturalAccuracy: 0.9, adversarialAccuracy: 0.625 });
    expect(text()).toMatch(/^epoch 1\/1, loss 1\.00, natural 90\.0%, adversarial 62\.5%/);
  });

  test('of a resumed run estimates the time left from the epochs done since', () => {
    const { output, text } = recordedOutput();
    let time = 0;
    const progress = trainingProgress(output, { epochs: 70, startEpoch: 60, now: () => time });
    time = 10_000;
    progress.update({ epoch: 61, loss: 1 });
    expect(text()).toBe('epoch 61/70, loss 1.00, 1m 30s left\n');
  });

  test('on a terminal is a bar that ends with a line of its own', () => {
    const { output, text } = recordedOutput({ isTTY: true, columns: 120 });
    const progress = trainingProgress(output, { epochs: 4 });
    progress.update(state(4));
    progress.stop();
    expect(text()).toContain('████████████████████ epoch 4/4, loss 0.412, natural 97.1%');
    expect(text().endsWith('\n')).toBe(true);
  });

  test('durations read as people say them', () => {
    expect([0.4, 59.6, 3599, 3600, 90061].map(duration)).toEqual([
      '0s',
      '1m 00s',
      '59m 59s',
      '1h 00m',
      '25h 01m',
    ]);
  });
});
