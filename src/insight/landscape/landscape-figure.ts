/** A landscape as a figure: a column for each network, a row for each σ. */
import type { Figure, Mark, Panel } from '../figure/figure.js';
import type { Landscape, SubjectLandscape } from './landscape.js';
import type { Curve, LineScan } from './line.js';

/** "the loss", "smoothed, σ = 0.001". */
const smoothing = (sigma: number): string => (sigma === 0 ? 'the loss itself' : `smoothed, σ = ${sigma}`);

/** Least-squares slope of a curve; the points of t are symmetric around 0. */
const slopeOf = (t: readonly number[], values: readonly number[]): number =>
  t.reduce((sum, x, i) => sum + x * (values[i] as number), 0) / t.reduce((sum, x) => sum + x * x, 0);

/** A curve as the change from its middle, so that losses of different sizes share a panel. */
function marksOf({ t }: LineScan, curve: Curve, detrended: boolean): Mark[] {
  const { relaxation: series, values, changeErrors: errors } = curve;
  const middle = values[(values.length - 1) / 2] as number;
  const slope = detrended ? slopeOf(t, values) : 0;
  const y = values.map((value, i) => value - middle - slope * (t[i] as number));
  const line: Mark = { kind: 'line', series, x: t, y };
  if (errors.length === 0) return [line];
  const lower = y.map((value, i) => value - (errors[i] as number));
  const upper = y.map((value, i) => value + (errors[i] as number));
  return [{ kind: 'band', series, x: t, lower, upper }, line];
}

/** Least and largest number of marks: panels of one network have one scale, so that smoothing is seen. */
function rangeOf(marks: readonly Mark[]): [number, number] {
  const numbers = marks.flatMap((mark) => {
    if (mark.kind === 'line') return mark.y;
    return mark.kind === 'band' ? [...mark.lower, ...mark.upper] : [];
  });
  const finite = numbers.filter(Number.isFinite);
  return [Math.min(...finite), Math.max(...finite)];
}

const sigmasOf = ({ subjects }: Landscape): number[] => [
  ...new Set(subjects.flatMap(({ line }) => line.curves.map(({ sigma }) => sigma))),
];

/**
 * The lines of a landscape.
 * @param detrended without each curve's straight part, so that its shape is seen beside a steep slope
 */
export function landscapeFigure(found: Landscape, detrended = false): Figure {
  const { subjects, network, epsilon, images, samples } = found;
  const drawn = sigmasOf(found).flatMap((sigma) =>
    subjects.map(({ name, line }) => {
      const curves = line.curves.filter((curve) => curve.sigma === sigma);
      return { name, sigma, marks: curves.flatMap((curve) => marksOf(line, curve, detrended)) };
    }),
  );
  const panels = drawn.map(
    ({ name, sigma, marks }): Panel => ({
      title: `${name}: ${smoothing(sigma)}`,
      x: { label: 't, in units of each layer’s weights' },
      y: {
        label: detrended ? 'change of the loss, less its linear part' : 'change of the loss',
        domain: rangeOf(drawn.filter((other) => other.name === name).flatMap((other) => other.marks)),
      },
      marks,
    }),
  );
  const smoothed = sigmasOf(found).some((sigma) => sigma > 0);
  return {
    title: 'The tighter the relaxation, the rougher its loss; smoothing heals it',
    subtitle: `${network}: cross-entropy of the worst case over an ε = ${epsilon} ball, by relaxation`,
    columns: subjects.length,
    panels,
    caption:
      `Mean over ${images} images along one direction in parameter space, from its value at t = 0.` +
      (smoothed
        ? ` Smoothed: ${samples} antithetic pairs, bands of ± 1.96 standard errors of the change.`
        : ''),
  };
}

/** The planes of one network, a column for each relaxation; undefined where none were looked at. */
export function planeFigure(
  { network, epsilon, images }: Landscape,
  { name, plane }: SubjectLandscape,
): Figure | undefined {
  if (plane === undefined) return undefined;
  const { axis, surfaces } = plane;
  return {
    title: `The loss on a plane in parameter space, ${name}`,
    subtitle: `${network}, ε = ${epsilon}; dark is low`,
    columns: new Set(surfaces.map(({ relaxation }) => relaxation)).size,
    panelSize: [300, 260],
    panels: surfaces.map(({ relaxation, sigma, values }) => ({
      title: `${relaxation}: ${smoothing(sigma)}`,
      x: { label: 'a' },
      y: { label: 'b' },
      marks: [{ kind: 'contours', series: relaxation, x: axis, y: axis, values }],
    })),
    caption: `Mean over ${images} images; a and b are distances along two directions.`,
  };
}
