/**
 * A folder is extended by seeds and by rows: what it has stays where it is, what it has not comes after.
 *
 * A row's points are a list, and what is asked for must agree with it as far as both go: then runs that have
 * ended keep their numbers and their bits.
 */
import type { SweepDefinition } from '../definition.js';
import type { Assignment } from '../search/parameter.js';

/** The points of each row, as text, in their order. */
function pointsByRow({ search, labels }: SweepDefinition): Map<string, string[]> {
  const rows = new Map<string, string[]>();
  for (const [i, point] of (search.points ?? []).entries()) {
    const row = labels?.[i] ?? '';
    rows.set(row, [...(rows.get(row) ?? []), JSON.stringify(point)]);
  }
  return rows;
}

/** Whether the shorter of two lists begins the longer. */
const agree = (a: readonly string[], b: readonly string[]): boolean =>
  a.slice(0, b.length).every((point, i) => point === b[i]);

/** What is swept, but for its points. */
const frame = ({ search, labels: _, ...rest }: SweepDefinition): string =>
  JSON.stringify({ ...rest, search: { ...search, points: [] } });

/**
 * What a folder holds with what is asked for behind it: `known` itself where nothing is new; undefined where
 * the two are not of one experiment.
 */
export function extended(known: SweepDefinition, asked: SweepDefinition): SweepDefinition | undefined {
  if (frame(known) !== frame(asked)) return undefined;
  const [before, wanted] = [pointsByRow(known), pointsByRow(asked)];
  for (const [row, points] of wanted) if (!agree(before.get(row) ?? [], points)) return undefined;
  const seen = new Map<string, number>();
  const added = (asked.search.points ?? []).flatMap((point, i): [string, Assignment][] => {
    const row = asked.labels?.[i] ?? '';
    const index = seen.get(row) ?? 0;
    seen.set(row, index + 1);
    return index < (before.get(row)?.length ?? 0) ? [] : [[row, point]];
  });
  if (added.length === 0) return known;
  return {
    ...known,
    search: { ...known.search, points: [...(known.search.points ?? []), ...added.map(([, point]) => point)] },
    labels: [...(known.labels ?? []), ...added.map(([row]) => row)],
  };
}
