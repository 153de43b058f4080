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

/** The σ of a landscape in their order. */
export const sigmasOf = ({ subjects }: Pick<Landscape, 'subjects'>): number[] => [
  ...new Set(subjects.flatMap(({ line }) => line.curves.map(({ sigma }) => sigma))),
];

/** A panel of marks, on the scale of all that it is compared with. */
const panelOf = (
  title: string,
  marks: readonly Mark[],
  scale: readonly Mark[],
  detrended: boolean,
): Panel => ({
  title,
  x: { label: 't, in units of each layer’s weights' },
  y: {
    label: detrended ? 'change of the loss, less its linear part' : 'change of the loss',
    domain: rangeOf(scale),
  },
  marks,
});

/** (1 − w)·a + w·b, point by point; no numbers are zeros. */
const between = (a: readonly number[], b: readonly number[], w: number): number[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (1 - w) * (a[i] ?? 0) + w * (b[i] ?? 0));

/**
 * The lines of a landscape at one σ or between two: raw curves morph into smoothed ones, on one scale.
 * @param position 0 for the first σ, 1 for the second, …; between them the curves of both are averaged
 * @param detrended as of `landscapeFigure`
 */
export function morphedFigure(found: Landscape, position: number, detrended = false): Figure {
  const sigmas = sigmasOf(found);
  const at = Math.min(Math.max(0, position), sigmas.length - 1);
  const [from, to] = [Math.floor(at), Math.ceil(at)].map((index) => sigmas[index] as number);
  const panels = found.subjects.map(({ name, line }) => {
    const ends = line.curves.filter(({ sigma }) => sigma === to);
    const marks = line.curves
      .filter(({ sigma }) => sigma === from)
      .flatMap((curve) => {
        const other = ends.find(({ relaxation }) => relaxation === curve.relaxation) ?? curve;
        const values = between(curve.values, other.values, at % 1);
        const changeErrors = between(curve.changeErrors, other.changeErrors, at % 1);
        return marksOf(line, { ...curve, values, changeErrors }, detrended);
      });
    const all = line.curves.flatMap((curve) => marksOf(line, curve, detrended));
    return panelOf(name, marks, all, detrended);
  });
  const title = from === to ? smoothing(from as number) : `between σ = ${from} and ${to}`;
  return {
    title: `${title.charAt(0).toUpperCase()}${title.slice(1)}`,
    columns: panels.length,
    panels,
    caption:
      `${found.network}, ε = ${found.epsilon}: mean over ${found.images} training images, from its value ` +
      `at t = 0. Bands: ± 1.96 standard errors of the change over ${found.samples} antithetic pairs.`,
  };
}

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
  const panels = drawn.map(({ name, sigma, marks }) => {
    const alike = drawn.filter((other) => other.name === name).flatMap((other) => other.marks);
    return panelOf(`${name}: ${smoothing(sigma)}`, marks, alike, detrended);
  });
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
