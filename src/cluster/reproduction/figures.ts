/**
 * The evidence as a figure: natural against certified accuracy, certified accuracy against time, and the
 * Pareto front of each row's tuning.
 */
import type { Dots, Figure, Panel as FigurePanel, Line } from '../../insight/figure/figure.js';
import { paretoFront } from '../../insight/runs/pareto.js';
import { type Evidence, ofRow, panelsOf, trialsOf } from './findings.js';
import { type RowTrial, rowTrials } from './sweeps.js';

/** A cloud of seeds for each row. */
const clouds = (
  { experiment }: Evidence,
  trials: readonly RowTrial[],
  x: (trial: RowTrial) => number,
): Dots[] =>
  experiment.rows.flatMap(({ name }) => {
    const own = ofRow(trials, name);
    if (own.length === 0) return [];
    return [{ kind: 'dots', series: name, x: own.map(x), y: own.map(({ result }) => result.certified) }];
  });

const certified = { label: 'certified accuracy (%)', percent: true };
const natural = { label: 'natural accuracy (%)', percent: true };

/** What tuning reached on held-out images, and of each row the trials that no other of it beats in both. */
function tuningPanel(evidence: Evidence): FigurePanel {
  const { experiment } = evidence;
  const trials = rowTrials(evidence.tuning);
  const fronts = experiment.rows.flatMap(({ name }): Line[] => {
    const points = ofRow(trials, name).map(({ result }) => [result.natural, result.certified] as const);
    const front = paretoFront(points).map((i) => points[i] as readonly [number, number]);
    const ordered = front.toSorted(([a], [b]) => a - b);
    if (ordered.length < 2) return [];
    return [{ kind: 'line', series: name, x: ordered.map(([x]) => x), y: ordered.map(([, y]) => y) }];
  });
  return {
    title: `${experiment.name}, tuning: held-out images`,
    x: natural,
    y: certified,
    marks: [...fronts, ...clouds(evidence, trials, ({ result }) => result.natural)],
  };
}

function panels(evidence: Evidence): FigurePanel[] {
  const pairs = panelsOf(evidence).flatMap((panel): FigurePanel[] => {
    const trials = trialsOf(evidence, panel);
    const title = `${evidence.experiment.name}, equal ${panel}`;
    return [
      {
        title,
        x: natural,
        y: certified,
        marks: clouds(evidence, trials, ({ result }) => result.natural),
      },
      {
        title,
        x: { label: 'minutes of training', scale: 'log' },
        y: certified,
        marks: clouds(evidence, trials, ({ result }) => result.minutes),
      },
    ];
  });
  return [...pairs, tuningPanel(evidence)];
}

export const evidenceFigure = (evidence: readonly Evidence[]): Figure => ({
  title: 'Natural and certified accuracy, and what it took',
  columns: 2,
  panelSize: [460, 320],
  panels: evidence.flatMap(panels),
  caption:
    'A dot is a run, a colour a row, a line a Pareto front; up is better, to the right is more natural ' +
    'accuracy or more time.',
});
