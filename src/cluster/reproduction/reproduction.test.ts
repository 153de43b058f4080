import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plannedTrials } from '../definition.js';
import type { SweepState } from '../sweep-state.js';
import type { TrialResult } from '../trial.js';
import { CLAIMS, type Experiment, SCALES } from './claims.js';
import { experimentsFor } from './experiments.js';
import { evidenceFigure } from './figures.js';
import { type Evidence, findingsOf } from './findings.js';
import { reportCsv, reportPage } from './report.js';
import { bestPoints, equalTimeSweep, finalSweep, type RowTrial, rowTrials, tuningSweep } from './sweeps.js';

const all = SCALES.flatMap((scale) =>
  experimentsFor(CLAIMS, scale).map((experiment) => ({ scale, experiment })),
);
const [small] = experimentsFor(['paradox'], 'small') as [Experiment];

const result = (natural: number, certified: number): TrialResult => ({
  ...{ natural, certified, adversarial: natural, images: 10, losses: { ibp: 1 }, judgingSeconds: 0 },
  ...{ epochs: 1, minutes: 0.5, digest: 'a', commit: 'abc' },
});

/** A sweep whose every trial has ended, with what `reached` says. */
function ended(
  definition: SweepState['definition'],
  reached: (row: string, seed: number) => TrialResult,
): SweepState {
  const points = definition.search.points ?? [];
  return {
    ...{ definition, trials: points.length, front: [] },
    states: points.map((point, number) => ({
      trial: { number, rung: 0, point },
      end: { result: reached(definition.labels?.[number] ?? '', point.seed as number) },
    })),
  };
}
const starts = new Map(small.rows.map((row) => [row.name, { ...row.settings, ...row.start } as never]));

describe('the experiments', () => {
  test.each(all)(
    'of $scale $experiment.name are trainings that can be, each row with equal budgets',
    ({ experiment }) => {
      const planned = plannedTrials(tuningSweep(experiment));
      expect(planned.length).toBe(experiment.rows.length * experiment.trials * (experiment.tuningSeeds ?? 1));
      const budgets = planned.map(({ settings }) =>
        [settings.epochs, settings.batchSize, settings.trainLimit].join(),
      );
      expect(new Set(budgets).size).toBe(1);
      const names = experiment.rows.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      for (const { better, worse } of experiment.comparisons)
        for (const name of [better, worse]) expect(names).toContain(name);
      // PGPE is given enough steps of enough pairs to come anywhere.
      for (const { settings } of planned)
        if (settings.smoothing === 'pgpe' && experiment.trials > 1) {
          const images = (settings.trainLimit ?? 60_000) - settings.validation;
          expect((images / settings.batchSize) * settings.epochs).toBeGreaterThanOrEqual(6000);
          expect(settings.samples).toBeGreaterThanOrEqual(32);
        }
    },
  );

  test('of all claims hold the rows of each', () => {
    const rows = (claims: Parameters<typeof experimentsFor>[0]) =>
      experimentsFor(claims, 'small').flatMap((each) => each.rows.map(({ name }) => `${each.name} ${name}`));
    for (const claim of CLAIMS) expect(rows(CLAIMS)).toEqual(expect.arrayContaining(rows([claim])));
    expect(rows(['paradox'])).toEqual([
      ...['S2 ibp', 'S2 crown-ibp', 'S2 crown'],
      ...['CNN3 ibp', 'CNN3 crown-ibp'],
    ]);
  });
});

describe('the runs that are reported', () => {
  test('are paired: each row has the same seeds, none of which tuning has seen', () => {
    const final = finalSweep(small, starts, 5);
    const seeds = new Map<string, unknown[]>();
    final.search.points?.forEach((point, i) => {
      const row = final.labels?.[i] as string;
      seeds.set(row, [...(seeds.get(row) ?? []), point.seed]);
    });
    expect([...seeds.values()]).toEqual(small.rows.map(() => [0, 1, 2, 3, 4]));
    expect(tuningSweep(small).search.points?.every(({ seed }) => (seed as number) > 4)).toBe(true);
    expect([tuningSweep(small).judge.on, final.judge.on]).toEqual(['validation', 'test']);
  });

  test('have the settings whose mean over the tuning seeds is best in their row', () => {
    const seeds = small.tuningSeeds as number;
    const ofRow = small.trials * seeds;
    // Point 2 is good with every seed; point 3 has the best single seed.
    const certified = (k: number) =>
      ({ 2: 0.5, 3: k % seeds === 0 ? 0.55 : 0.4 })[Math.floor(k / seeds)] ?? 0.4;
    const tuned = rowTrials(ended(tuningSweep(small), () => result(0.9, 0.1))).map((trial, i): RowTrial => {
      return { ...trial, result: result(0.9, certified(i % ofRow)) };
    });
    for (const [i, { name }] of small.rows.entries())
      expect(bestPoints(small, tuned).get(name)).toEqual(tuned[i * ofRow + 2 * seeds]?.point);
    expect(() => bestPoints(small, tuned.slice(ofRow))).toThrow('a tuning trial of ibp that ends');
  });
});

describe('a comparison', () => {
  const evidence = (reached: (row: string, seed: number) => TrialResult) => ({
    experiment: small,
    tuning: ended(tuningSweep(small), () => result(0.5, 0.4)),
    final: ended(finalSweep(small, starts, 5), reached),
  });
  const noise = [0.002, -0.001, 0.0015, -0.002, 0.0005];

  test('is shown where the difference stands out from its spread, refuted where its opposite does', () => {
    fc.assert(
      fc.property(fc.double({ min: -0.1, max: 0.1, noNaN: true }), (gap) => {
        const findings = findingsOf(
          evidence((row, seed) =>
            result(0.9, (row === 'ibp' ? gap : 0) + 0.5 + (row === 'ibp' ? 1 : 0) * (noise[seed] ?? 0)),
          ),
        );
        // t(0.975, 4)·s/√5 of the noise about its mean 0.0002.
        const half = (2.77645 * Math.sqrt(0.0000113 / 4)) / Math.sqrt(5);
        const mean = gap + 0.0002;
        const expected = mean > half ? 'shown' : mean < -half ? 'refuted' : 'open';
        if (Math.abs(Math.abs(mean) - half) > 1e-6)
          expect(findings.map(({ answer }) => answer)).toEqual([expected, expected]);
      }),
    );
  });

  test('is on the page with what it found, and every run is in the table with its command', () => {
    const some = evidence((row, seed) => result(0.9, row === 'crown' ? 0.4 : 0.6 + (noise[seed] ?? 0)));
    const page = reportPage([some], 'tautnet reproduce paradox');
    expect(page).toContain('- **paradox**: comparisons 1 shown (ibp over crown in S2); 0 refuted; 1 open');
    const lines = reportCsv([some]).trimEnd().split('\n');
    expect(lines.length).toBe(1 + 3 * small.trials * (small.tuningSeeds as number) + 3 * 5);
    for (const line of lines.slice(1)) expect(line).toMatch(/"?tautnet train .*--seed |--epochs/);
  });

  test('at equal time gives each row the epochs that fit into the time of the slowest', () => {
    const minutes: Readonly<Record<string, number>> = { ibp: 0.1, 'crown-ibp': 0.5, crown: 1 };
    const took = (row: string, certified: number): TrialResult => ({
      ...result(0.9, certified),
      ...{ epochs: 40, minutes: minutes[row] as number },
    });
    const inSteps = evidence((row) => took(row, 0.5));
    const longer = equalTimeSweep(small, starts, 5, rowTrials(inSteps.final)) as SweepState['definition'];
    expect([...new Set(longer.labels)]).toEqual(['ibp', 'crown-ibp']);
    const [first, last] = [longer.search.points?.[0], longer.search.points?.at(-1)];
    expect([first?.epochs, first?.warmupEpochs, last?.epochs, last?.seed]).toEqual([400, 200, 80, 4]);
    expect(plannedTrials(longer)).toHaveLength(10);

    // IBP is worse than CROWN in equal steps and better in equal time.
    const both: Evidence = {
      ...evidence((row, seed) => took(row, (row === 'crown' ? 0.6 : 0.5) + (noise[seed] ?? 0))),
      equalTime: ended(longer, (row, seed) => took(row, 0.7 - (noise[seed] ?? 0))),
    };
    const answers = findingsOf(both).filter(({ worse }) => worse === 'crown');
    expect(answers.map(({ equal, answer }) => [equal, answer])).toEqual([
      ['steps', 'refuted'],
      ['time', 'shown'],
    ]);
    expect(reportPage([both], '')).toContain('ibp over crown in S2 at equal time');
    expect(reportCsv([both]).match(/^S2,equal time,/gm)).toHaveLength(10);
    expect(evidenceFigure([both]).panels).toHaveLength(4);
    expect(
      equalTimeSweep(small, starts, 5, rowTrials(evidence(() => result(0.9, 0.5)).final)),
    ).toBeUndefined();
  });
});
