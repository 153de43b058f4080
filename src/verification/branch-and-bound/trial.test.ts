import { describe, expect, it } from 'vitest';
import type { Engine } from './engine.js';
import { trialOf } from './trial.js';

const clock = () => performance.now() / 1000;
const lasting = { expired: () => false } as Engine;
/** A trial without time: each question whether it is over is its end, or the beginning of another. */
const ended = (...bounds: readonly number[]) => {
  const { engine, watch } = trialOf(lasting, 0, clock);
  for (const bound of bounds) watch(bound);
  return engine;
};

describe('a trial', () => {
  it('goes on where its bounds came half of the way to a proof, and not twice for the same gain', () => {
    const engine = ended(-4, -1.9);
    expect(engine.expired()).toBe(false);
    expect(engine.expired()).toBe(true);
  });

  it('goes on to the end once nine tenths of the way are gone', () => {
    const engine = ended(-4, -0.39);
    for (let question = 0; question < 5; question++) expect(engine.expired()).toBe(false);
    expect(ended(-4, -1.9, -1).expired()).toBe(false);
  });

  it('ends for good where they gain less, or where some box was never bounded', () => {
    for (const bounds of [[], [-4, -2.1], [-4, -4], [Number.NEGATIVE_INFINITY]]) {
      const { engine, watch } = trialOf(lasting, 0, clock);
      for (const bound of bounds) watch(bound);
      expect(engine.expired()).toBe(true);
      watch(-1e-9);
      expect(engine.expired()).toBe(true);
    }
  });

  it('has 15 % of the time that is left, twice as much in all where that gained, and at most 20 seconds', () => {
    let now = 100;
    const { engine, watch } = trialOf(lasting, 60, () => now);
    watch(-4);
    now = 108.9;
    expect(engine.expired()).toBe(false);
    watch(-1);
    now = 109.1;
    expect(engine.expired()).toBe(false);
    now = 117.9;
    expect(engine.expired()).toBe(false);
    now = 118.1;
    expect(engine.expired()).toBe(true);
    const patient = trialOf(lasting, Number.POSITIVE_INFINITY, () => now);
    now += 19.9;
    expect(patient.engine.expired()).toBe(false);
    now += 0.2;
    expect(patient.engine.expired()).toBe(true);
  });

  it('is not over while it has time, unless the search is', () => {
    expect(trialOf(lasting, 1e4, clock).engine.expired()).toBe(false);
    expect(trialOf({ expired: () => true } as Engine, 1e4, clock).engine.expired()).toBe(true);
  });
});
