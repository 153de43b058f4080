/**
 * A tree of halved boxes that the checker accepts, for polytopes that share a box: halved as a search did,
 * and where that does not suffice at the input whose width moves the linear bounds most.
 */
import { type Bounds, type Box, boundNodes, lowerBound } from '../../../checker/bounds.js';
import type { Node } from '../../../checker/onnx.js';
import type { Polytope } from '../../../checker/vnnlib.js';
import type { HalvedBox } from '../proof/trace.js';
import { crownAlpha, dualAt } from './dual.js';
import type { Tree } from './format.js';

/** Share of the whole width that counts as much as influence: no input is left out for ever. */
const FLOOR = 0.01;

/**
 * Parts that the search halved at most so often are tried as they are: the checker intersects its bounds with
 * intervals, so that many of them are proved sooner.
 */
const TRIED = 2;

export function inputTree(
  nodes: readonly Node[],
  polytopes: readonly Polytope[],
  over: () => boolean,
  searched: HalvedBox = {},
): Tree | undefined {
  const last = nodes.length - 1;
  const grow = (box: Box, open: readonly Polytope[], { halves }: HalvedBox = {}): Tree | undefined => {
    if (over()) return undefined;
    if (halves !== undefined && height({ halves }) > TRIED) return divide(box, open, halves.input, halves);
    const bounds = boundNodes(nodes, box, () => undefined);
    const left = open.filter(({ rows }) => !rows.some((row) => lowerBound(nodes, bounds, last, row, {}) > 0));
    // The checker proves all polytopes at a leaf: what is proved here may not be so in a half.
    if (left.length === 0) return 0;
    return divide(box, open, halves?.input ?? widest(nodes, bounds, box, left), halves);
  };
  const divide = (
    box: Box,
    open: readonly Polytope[],
    i: number,
    { below: first, above: second }: Partial<NonNullable<HalvedBox['halves']>> = {},
  ): Tree | undefined => {
    const middle = (box.lower[i] as number) / 2 + (box.upper[i] as number) / 2;
    if (!((box.lower[i] as number) < middle && middle < (box.upper[i] as number))) return undefined;
    const below = grow({ lower: box.lower, upper: box.upper.with(i, middle) }, open, first);
    if (below === undefined) return undefined;
    const above = grow({ lower: box.lower.with(i, middle), upper: box.upper }, open, second);
    return above === undefined ? undefined : ['x', i, below, above];
  };
  return grow(polytopes[0] as Box, polytopes, searched);
}

/** How often some part was halved, as far as it matters. */
const height = ({ halves }: HalvedBox, most = TRIED): number =>
  halves === undefined
    ? 0
    : most < 0
      ? 1
      : 1 + Math.max(height(halves.below, most - 1), height(halves.above, most - 1));

/** The input of most influence, max over rows of |a_i| (u_i − l_i). */
function widest(nodes: readonly Node[], bounds: Bounds, box: Box, open: readonly Polytope[]): number {
  const influence = new Float64Array(box.lower.length);
  const multipliers = { alpha: crownAlpha(nodes, bounds), beta: new Map() };
  for (const { rows } of open)
    for (const row of rows) {
      const { coefficients } = dualAt(nodes, bounds, row, new Map(), multipliers);
      const most = coefficients.reduce((sum, a) => Math.max(sum, Math.abs(a)), 0);
      coefficients.forEach((a, i) => {
        const width = (box.upper[i] as number) - (box.lower[i] as number);
        influence[i] = Math.max(influence[i] as number, (Math.abs(a) + FLOOR * most) * width);
      });
    }
  return influence.reduce((best, value, i) => (value > (influence[best] as number) ? i : best), 0);
}
