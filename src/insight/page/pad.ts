/**
 * A digit drawn on a pad as MNIST has digits: within 20 × 20 pixels, its centre of mass in the middle of
 * 28 × 28 (LeCun, Cortes and Burges).
 *
 * Lines are drawn after scaling, so that their width is that of MNIST's however large somebody draws.
 */

/** Places on the pad, in any unit, y downwards. */
export interface Place {
  readonly x: number;
  readonly y: number;
}
/** A line drawn without lifting the pen. */
export type Stroke = readonly Place[];

const SIDE = 28;
/** The longer side of the box that a digit fills, and half the width of its lines, in pixels. */
const BOX = 20;
const RADIUS = 1.25;

/** Distance of a point from the line between two others. */
function distance(x: number, y: number, a: Place, b: Place): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((x - a.x) * dx + (y - a.y) * dy) / length));
  return Math.hypot(x - a.x - along * dx, y - a.y - along * dy);
}

/** Grey levels of 28 × 28 pixels, 1 on the lines, falling to 0 within a pixel beside them. */
function drawn(strokes: readonly Stroke[], place: (at: Place) => Place): Float64Array {
  const levels = new Float64Array(SIDE * SIDE);
  for (const stroke of strokes) {
    const line = stroke.map(place);
    line.forEach((to, k) => {
      const from = line[Math.max(0, k - 1)] as Place;
      for (let i = 0; i < levels.length; i++) {
        const away = distance((i % SIDE) + 0.5, Math.floor(i / SIDE) + 0.5, from, to);
        levels[i] = Math.max(levels[i] as number, Math.min(1, Math.max(0, RADIUS + 0.5 - away)));
      }
    });
  }
  return levels;
}

/** The strokes' pixels, 28 × 28 bytes, white on black; undefined where nothing was drawn. */
export function digitOf(strokes: readonly Stroke[]): Uint8Array | undefined {
  const places = strokes.flat();
  if (places.length === 0) return undefined;
  const [xs, ys] = [places.map(({ x }) => x), places.map(({ y }) => y)];
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const longest = Math.max(right - left, bottom - top);
  const scale = longest > 0 ? (BOX - 2 * RADIUS) / longest : 1;
  const about = (shift: Place) => (at: Place) => ({
    x: SIDE / 2 + shift.x + scale * (at.x - (left + right) / 2),
    y: SIDE / 2 + shift.y + scale * (at.y - (top + bottom) / 2),
  });
  const middle = drawn(strokes, about({ x: 0, y: 0 }));
  const mass = middle.reduce((sum, level) => sum + level, 0);
  const centre = (of: (i: number) => number) =>
    middle.reduce((sum, level, i) => sum + level * (of(i) + 0.5), 0) / mass;
  const shift = {
    x: SIDE / 2 - centre((i) => i % SIDE),
    y: SIDE / 2 - centre((i) => Math.floor(i / SIDE)),
  };
  return Uint8Array.from(drawn(strokes, about(shift)), (level) => Math.round(255 * level));
}
