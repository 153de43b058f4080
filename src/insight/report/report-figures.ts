/** Figures of a report: the course of training, its schedules, verdicts by class, neurons by layer. */

import type { LayerActivity } from '../../evaluation/neuron-activity.js';
import { trainingObjectiveSchedules } from '../../experiment/prepare-training.js';
import { type MetricsRecord, unstableMetric } from '../../experiment/run/metrics.js';
import type { Settings } from '../../experiment/settings/settings.js';
import { sigmaAt } from '../../experiment/sigma-at.js';
import type { CertificateLine } from '../../verification/certification/certificate-lines.js';
import type { Figure, Line, Panel } from '../figure/figure.js';

const WIDE = [760, 240] as const;

const ACCURACIES = {
  naturalAccuracy: 'natural',
  certifiedAccuracy: 'certified',
  adversarialAccuracy: 'adversarial',
} as const;

const PARTS = {
  naturalLoss: 'natural',
  robustLoss: 'robust',
  regularizationLoss: 'regularisation',
} as const;

/** A metric over epochs; undefined where no record has it. */
function course(metrics: readonly MetricsRecord[], name: string, series: string, dashed = false) {
  const known = metrics.filter((record) => typeof record[name] === 'number');
  const line: Line = {
    kind: 'line',
    series,
    dashed,
    x: known.map(({ epoch }) => epoch),
    y: known.map((record) => record[name] as number),
  };
  return known.length > 0 ? [line] : [];
}

const epochs = { label: 'epoch' } as const;

/**
 * Loss, its parts and accuracies on training batches, and dashed on validation images; undefined without
 * metrics.
 */
export function courseFigure(metrics: readonly MetricsRecord[]): Figure | undefined {
  const accuracies = Object.entries(ACCURACIES).flatMap(([name, series]) => [
    ...course(metrics, name, series),
    ...course(metrics, `validation${name.charAt(0).toUpperCase()}${name.slice(1)}`, series, true),
  ]);
  const losses = [...course(metrics, 'loss', 'loss'), ...course(metrics, 'validationLoss', 'loss', true)];
  const parts = Object.entries(PARTS).flatMap(([name, series]) => course(metrics, name, series));
  const panels: Panel[] = [
    { title: 'Loss', x: epochs, y: { label: 'loss' }, marks: losses },
    { title: 'Parts of the loss', x: epochs, y: { label: 'part, its weight included' }, marks: parts },
    { title: 'Accuracy', x: epochs, y: { label: 'accuracy (%)', percent: true }, marks: accuracies },
  ].filter(({ marks }) => marks.length > 0);
  if (panels.length === 0) return undefined;
  const caption = 'Solid: training batches as they were perturbed and augmented. Dashed: validation images.';
  return { title: 'Course of training', columns: 2, panels, caption };
}

/** Shares of unstable neurons over epochs, a curve for each ReLU layer; undefined where none was measured. */
export function neuronFigure(metrics: readonly MetricsRecord[], epsilon: number): Figure | undefined {
  const marks: Line[] = [];
  for (let layer = 0; metrics.some((record) => typeof record[unstableMetric(layer)] === 'number'); layer++)
    marks.push(...course(metrics, unstableMetric(layer), `ReLU ${layer + 1}`));
  if (marks.length === 0) return undefined;
  return {
    title: 'Unstable neurons while it trains',
    columns: 1,
    panelSize: WIDE,
    panels: [
      {
        title: `Over balls of radius ${Number(epsilon.toPrecision(3))}, by interval bounds`,
        x: epochs,
        y: { label: 'share of the layer (%)', percent: true },
        marks,
      },
    ],
  };
}

/**
 * ε, κ, σ and the learning rate over epochs, each as a part of its largest value; dashed from epoch `done`
 * on.
 */
export function scheduleFigure(settings: Settings, done: number = settings.epochs): Figure {
  const { epsilon, kappa, learningRate } = trainingObjectiveSchedules(settings);
  const x = Array.from({ length: 201 }, (_, i) => (settings.epochs * i) / 200);
  const named: readonly (readonly [string, (epoch: number) => number | undefined])[] = [
    ['ε', epsilon],
    ['κ', kappa],
    ['σ', (epoch) => sigmaAt(settings, epoch / settings.epochs)],
    ['learning rate', learningRate],
  ];
  const marks = named.flatMap(([name, at]): Line[] => {
    const values = x.map((epoch) => at(epoch) ?? Number.NaN);
    const largest = Math.max(...values.filter(Number.isFinite), 0);
    const series = `${name}, at most ${Number(largest.toPrecision(3))}`;
    const part = (dashed: boolean, within: (epoch: number) => boolean): Line[] => {
      const some = x.flatMap((epoch, i) => (within(epoch) ? [[epoch, values[i] as number] as const] : []));
      if (some.length < 2) return [];
      return [{ kind: 'line', series, dashed, x: some.map(([e]) => e), y: some.map(([, v]) => v / largest) }];
    };
    const step = settings.epochs / 200;
    return largest > 0
      ? [...part(false, (epoch) => epoch <= done), ...part(true, (epoch) => epoch > done - step)]
      : [];
  });
  const y = { label: 'part of the largest value', domain: [0, 1] as const };
  const panels = [{ title: 'By epoch', x: epochs, y, marks }];
  return { title: 'Schedules', columns: 1, panelSize: WIDE, panels };
}

/** Certified, undecided and falsified images of each class. */
export function classFigure(lines: readonly CertificateLine[]): Figure {
  const classes = [...new Set(lines.map(({ label }) => label))].sort((a, b) => a - b);
  const counts = (holds: (line: CertificateLine) => boolean): number[] =>
    classes.map((label) => lines.filter((line) => line.label === label && holds(line)).length);
  const falsified = ({ verdict }: CertificateLine) => verdict === 'falsified';
  const parts = [
    { series: 'certified', y: counts(({ verdict }) => verdict === 'certified') },
    { series: 'undecided', y: counts(({ verdict }) => verdict === 'undecided') },
    { series: 'falsified', y: counts((line) => falsified(line) && line.stage !== 'natural') },
    { series: 'wrong as it is', y: counts((line) => falsified(line) && line.stage === 'natural') },
  ];
  const marks = [{ kind: 'bars', categories: classes.map(String), parts }] as const;
  return {
    title: 'Verdicts by class',
    columns: 1,
    panelSize: WIDE,
    panels: [{ title: `${lines.length} test images`, x: { label: 'class' }, y: { label: 'images' }, marks }],
  };
}

/** Active, inactive and unstable neurons of each ReLU layer. */
export function activityFigure(layers: readonly LayerActivity[], epsilon: number, images: number): Figure {
  const part = (name: 'active' | 'inactive' | 'unstable') => ({
    series: name,
    y: layers.map((layer) => layer[name] / layer.neurons),
  });
  const categories = layers.map(({ neurons }, i) => `ReLU ${i + 1} (${neurons})`);
  const marks = [
    { kind: 'bars', categories, parts: [part('unstable'), part('active'), part('inactive')] },
  ] as const;
  return {
    title: 'Unstable neurons by layer',
    columns: 1,
    panelSize: WIDE,
    panels: [
      {
        title: `Over balls of radius ${epsilon}, by interval bounds`,
        x: { label: 'layer (neurons)' },
        y: { label: 'share (%)', percent: true },
        marks,
      },
    ],
    caption: `Average over ${images} test images. Only unstable neurons are relaxed.`,
  };
}
