/**
 * The evidence as a figure: natural against certified accuracy, certified accuracy against time, and the
 * Pareto front of each row's tuning.
 */
import type { Dots, Figure, Panel as FigurePanel, Line } from '../../insight/figure/figure.js';
import { paretoFront } from '../../insight/runs/pareto.js';
import type { Row } from './claims.js';
import { type Evidence, ofRow, panelsOf, trialsOf } from './findings.js';
import { type RowTrial, rowTrials } from './sweeps.js';

/**
 * Colours are few: a row that is smoothed and nothing else has the colour of the one that is not, as circles;
 * of both ways to take samples the unbiased one has circles.
 */
export function lookOf({ name, settings }: Row): { readonly series: string; readonly hollow: boolean } {
  const { method, relaxation, smoothing, antithetic, unbiased, sigmaMode, controlVariate, curriculum } =
    settings;
  if (antithetic || unbiased)
    return { series: `${relaxation}, antithetic or unbiased`, hollow: unbiased === true };
  const isChanged = [sigmaMode, controlVariate, curriculum].some((setting) => setting !== undefined);
  if (smoothing === undefined || isChanged) return { series: name, hollow: false };
  return { series: String(method ?? relaxation), hollow: true };
}

/** A cloud of seeds for each row. */
const clouds = (
  { experiment }: Evidence,
  trials: readonly RowTrial[],
  x: (trial: RowTrial) => number,
): Dots[] =>
  experiment.rows.flatMap((row) => {
    const own = ofRow(trials, row.name);
    if (own.length === 0) return [];
    return [{ kind: 'dots', ...lookOf(row), x: own.map(x), y: own.map(({ result }) => result.certified) }];
  });

const certified = { label: 'certified accuracy (%)', percent: true };
const natural = { label: 'natural accuracy (%)', percent: true };

/** What tuning reached on held-out images, and of each row the trials that no other of it beats in both. */
function tuningPanel(evidence: Evidence): FigurePanel {
  const { experiment } = evidence;
  const trials = rowTrials(evidence.tuning);
  const fronts = experiment.rows.flatMap((row): Line[] => {
    const points = ofRow(trials, row.name).map(({ result }) => [result.natural, result.certified] as const);
    const front = paretoFront(points).map((i) => points[i] as readonly [number, number]);
    const ordered = front.toSorted(([a], [b]) => a - b);
    if (ordered.length < 2) return [];
    const { series, hollow } = lookOf(row);
    const [x, y] = [ordered.map(([at]) => at), ordered.map(([, at]) => at)];
    return [{ kind: 'line', series, dashed: hollow, x, y }];
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
    'A dot is a run, a circle a smoothed one (RGS or PGPE; of antithetic and unbiased, unbiased), a line a ' +
    'Pareto front; up is better, to the right is more natural accuracy or more time.',
});
