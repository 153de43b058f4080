/** The measures of a curve as text, for tables in terminals and on pages. */
import type { Curve } from './line.js';

export const MEASURES = [
  ...['loss', 'above the tightest', 'jumps', 'largest', 'sensitivity', 'roughness'],
] as const;

const short = (value: number): string => String(Number(value.toPrecision(3)));

/** One cell for each of `MEASURES`; the loss is that of the middle, t = 0. */
export function measureCells({ values, tightness, jumps, sensitivity, roughness }: Curve): string[] {
  return [
    short(values[(values.length - 1) / 2] as number),
    short(tightness),
    `${jumps.count} of ${jumps.searched}`,
    ...[jumps.largest, sensitivity, roughness].map(short),
  ];
}
