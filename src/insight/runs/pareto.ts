/**
 * Several objectives at once: which points no other beats, and how much of the plane they cover.
 *
 * Point a dominates b when it is nowhere worse and somewhere better. Larger is better in every coordinate
 * here; `oriented` turns what is to be minimised.
 */

/** Whether more or less of an objective is better. */
export type Direction = 'maximize' | 'minimize';

/** Names of objectives to their directions. */
export type Objectives = Readonly<Record<string, Direction>>;

/** A point's coordinates, larger is better, in the order of the objectives. */
export const oriented = (
  values: Readonly<Record<string, number>>,
  objectives: Objectives,
): readonly number[] =>
  Object.entries(objectives).map(([name, direction]) =>
    direction === 'maximize' ? (values[name] as number) : -(values[name] as number),
  );

const dominates = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((x, i) => x >= (b[i] as number)) && a.some((x, i) => x > (b[i] as number));

/**
 * Indices of the points that no other point dominates, in order; larger is better in every coordinate. Equal
 * points are all on the front.
 */
export function paretoFront(points: readonly (readonly number[])[]): number[] {
  return points.flatMap((point, i) => (points.some((other) => dominates(other, point)) ? [] : [i]));
}

/** Distance to the neighbours along each coordinate of a front, ends infinitely far (Deb et al. 2002). */
function crowding(points: readonly (readonly number[])[]): number[] {
  const distances = points.map(() => 0);
  for (let axis = 0; axis < (points[0]?.length ?? 0); axis++) {
    const order = points
      .map((point, i) => ({ i, x: point[axis] as number }))
      .sort((a, b) => a.x - b.x || a.i - b.i);
    const span = (order.at(-1)?.x ?? 0) - (order[0]?.x ?? 0);
    order.forEach(({ i }, k) => {
      const [before, after] = [order[k - 1], order[k + 1]];
      const gap = before && after && span > 0 ? (after.x - before.x) / span : Number.POSITIVE_INFINITY;
      distances[i] = (distances[i] as number) + gap;
    });
  }
  return distances;
}

/**
 * Indices from best to worst: front after front (nondominated sorting), within a front the less crowded
 * first, then the earlier. With one objective this is the order of its values.
 */
export function ranked(points: readonly (readonly number[])[]): number[] {
  const order: number[] = [];
  let left = points.map((_, i) => i);
  while (left.length > 0) {
    const at = (index: number) => points[index] as readonly number[];
    const front = paretoFront(left.map(at)).map((k) => left[k] as number);
    const distances = crowding(front.map(at));
    const by = front.map((index, k) => ({ index, distance: distances[k] as number }));
    // Infinity − Infinity is no number: ends of a front stay in their order.
    by.sort((a, b) => (a.distance === b.distance ? a.index - b.index : b.distance - a.distance));
    order.push(...by.map(({ index }) => index));
    left = left.filter((index) => !front.includes(index));
  }
  return order;
}

/**
 * Volume that points dominate above a reference point: the measure of ∪ᵢ [reference, pointᵢ], larger is
 * better in every coordinate.
 *
 * Computed by slices along the last coordinate, each a hypervolume of one dimension less: exact, in time
 * that grows as nᵈ, which is for tens of points.
 * @throws RangeError for points of another dimension than the reference
 */
export function hypervolume(points: readonly (readonly number[])[], reference: readonly number[]): number {
  const wrong = points.find((point) => point.length !== reference.length);
  if (wrong !== undefined)
    throw new RangeError(
      `hypervolume: expected points of ${reference.length} coordinates as the reference, got ${wrong.length}`,
    );
  const dimension = reference.length;
  const inside = points.filter((point) => point.every((x, i) => x > (reference[i] as number)));
  if (inside.length === 0) return 0;
  if (dimension === 1) return Math.max(...inside.map(([x]) => x as number)) - (reference[0] as number);
  const last = dimension - 1;
  const levels = [...new Set(inside.map((point) => point[last] as number))].sort((a, b) => b - a);
  const base = reference.slice(0, last);
  return levels.reduce((sum, level, k) => {
    const below = levels[k + 1] ?? (reference[last] as number);
    const slice = inside.filter((point) => (point[last] as number) >= level);
    return (
      sum +
      (level - below) *
        hypervolume(
          slice.map((point) => point.slice(0, last)),
          base,
        )
    );
  }, 0);
}
