/** The evidence as a figure: natural against certified accuracy, and certified accuracy against time. */
import type { Dots, Figure, Panel as FigurePanel } from '../../insight/figure/figure.js';
import { type Evidence, ofRow, panelsOf, trialsOf } from './findings.js';
import type { RowTrial } from './sweeps.js';

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

function panels(evidence: Evidence): FigurePanel[] {
  const certified = { label: 'certified accuracy (%)', percent: true };
  return panelsOf(evidence).flatMap((panel): FigurePanel[] => {
    const trials = trialsOf(evidence, panel);
    const title = `${evidence.experiment.name}, equal ${panel}`;
    return [
      {
        title,
        x: { label: 'natural accuracy (%)', percent: true },
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
}

export const evidenceFigure = (evidence: readonly Evidence[]): Figure => ({
  title: 'Natural and certified accuracy, and what it took',
  columns: 2,
  panelSize: [460, 320],
  panels: evidence.flatMap(panels),
  caption: 'A dot is a run, a colour a row; up is better, to the right more natural accuracy or more time.',
});
