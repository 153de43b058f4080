/**
 * A figure as plain data: panels with axes, and marks with their numbers. The same data become SVG, PNG and a
 * table (`svg.ts`, `png.ts`, `csv.ts`).
 *
 * A number that is not finite is a gap: nothing is drawn there, and its cell of the table is empty.
 */

export interface Axis {
  readonly label: string;
  /** Logarithmic, base 10 (default linear). */
  readonly scale?: 'linear' | 'log';
  /** What the axis shows at least (default: what the marks need). */
  readonly domain?: readonly [number, number];
  /** Numbers in [0, 1], shown as percent. */
  readonly percent?: boolean;
}

/** A curve through points, in their order. */
export interface Line {
  readonly kind: 'line';
  readonly series: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly dashed?: boolean;
}

/** The area between two curves: an error band. */
export interface Band {
  readonly kind: 'band';
  readonly series: string;
  readonly x: readonly number[];
  readonly lower: readonly number[];
  readonly upper: readonly number[];
}

export interface Dots {
  readonly kind: 'dots';
  readonly series: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** Circles instead of discs: numbers that are somebody else's. */
  readonly hollow?: boolean;
  /** Text beside each point. */
  readonly labels?: readonly string[];
}

/** Bars on top of one another: one for each category, a part for each series. */
export interface Bars {
  readonly kind: 'bars';
  readonly categories: readonly string[];
  readonly parts: readonly { readonly series: string; readonly y: readonly number[] }[];
}

/** Lines of equal value over a grid; `values` is row by row, a row for each y. */
export interface Contours {
  readonly kind: 'contours';
  readonly series: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
  readonly values: readonly number[];
}

export type Mark = Line | Band | Dots | Bars | Contours;

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly marks: readonly Mark[];
}

export interface Figure {
  readonly title: string;
  readonly subtitle?: string;
  /** Panels in a row. */
  readonly columns: number;
  /** Of one panel, in pixels (default 380 × 240). */
  readonly panelSize?: readonly [width: number, height: number];
  readonly panels: readonly Panel[];
  /** Below the panels: what was computed. */
  readonly caption?: string;
}

/** Series that have a colour, in the order in which the figure names them first. */
export function seriesOf(figure: Figure): readonly string[] {
  const names = figure.panels.flatMap(({ marks }) =>
    marks.flatMap((mark) => {
      if (mark.kind === 'bars') return mark.parts.map(({ series }) => series);
      return mark.kind === 'contours' ? [] : [mark.series];
    }),
  );
  return [...new Set(names)];
}

/**
 * The label of a panel's y axis without what its title says already: "Accuracy", "accuracy (%)" → "(%)" and
 * "Robust loss", "loss" → "".
 */
export function yLabelOf({ title, y: { label } }: Panel): string {
  const [said, meant] = [title.toLowerCase(), label.toLowerCase()];
  if (said.endsWith(meant)) return '';
  return meant.startsWith(said) ? label.slice(title.length).trim() : label;
}

/** Colours that a figure has. */
export const COLOUR_COUNT = 8;

/** Series that have one colour in all figures: blue 0, orange 1, green 2, red 3, grey 7. */
const FIXED: Readonly<Record<string, number>> = {
  ...{ natural: 0, adversarial: 1, certified: 2 },
  ...{ falsified: 3, undecided: 1, 'wrong as it is': 7 },
  ...{ unstable: 1, active: 2, inactive: 7 },
  ...{ ibp: 0, 'crown-ibp': 1, crown: 2 },
  'Pareto front': 7,
};

/** The colour of each series as a number below COLOUR_COUNT: its fixed one, or the next that is free. */
export function coloursOf(figure: Figure): ReadonlyMap<string, number> {
  const series = seriesOf(figure);
  const fixed = (name: string): number | undefined => (Object.hasOwn(FIXED, name) ? FIXED[name] : undefined);
  const taken = new Set(series.map(fixed));
  const free = Array.from({ length: COLOUR_COUNT }, (_, i) => i).filter((colour) => !taken.has(colour));
  let next = 0;
  return new Map(series.map((name) => [name, fixed(name) ?? (free[next++ % free.length] as number)]));
}
