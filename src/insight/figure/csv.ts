/** The numbers of a figure as a table (RFC 4180): one row for each point. */
import type { Figure, Mark } from './figure.js';

const COLUMNS = ['panel', 'mark', 'series', 'x', 'y', 'lower', 'upper', 'value', 'label'] as const;
type Row = Partial<Record<(typeof COLUMNS)[number], string | number>>;

function rowsOf(mark: Mark): Row[] {
  const { kind } = mark;
  switch (kind) {
    case 'line':
      return mark.x.map((x, i) => ({ x, y: mark.y[i], series: mark.series }));
    case 'dots':
      return mark.x.map((x, i) => ({ x, y: mark.y[i], label: mark.labels?.[i], series: mark.series }));
    case 'band':
      return mark.x.map((x, i) => ({ x, lower: mark.lower[i], upper: mark.upper[i], series: mark.series }));
    case 'bars':
      return mark.parts.flatMap(({ series, y }) =>
        mark.categories.map((category, i) => ({ x: category, y: y[i], series })),
      );
    case 'contours':
      return mark.values.map((value, i) => ({
        x: mark.x[i % mark.x.length],
        y: mark.y[Math.floor(i / mark.x.length)],
        value,
        series: mark.series,
      }));
  }
}

/** One cell; text is quoted where it has to be, a number that is not finite is empty. */
export function csvCell(value: string | number | boolean | null | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : '';
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows under their header, each line with its end. */
export const csvText = (rows: readonly (readonly Parameters<typeof csvCell>[0][])[]): string =>
  rows.map((row) => `${row.map(csvCell).join(',')}\n`).join('');

export function figureCsv({ panels }: Figure): string {
  const rows = panels.flatMap(({ title, marks }) =>
    marks.flatMap((mark) => rowsOf(mark).map((row): Row => ({ panel: title, mark: mark.kind, ...row }))),
  );
  return csvText([COLUMNS, ...rows.map((row) => COLUMNS.map((name) => row[name]))]);
}
