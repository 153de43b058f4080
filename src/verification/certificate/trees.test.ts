import { expect, test } from 'vitest';
import { type Box, boundNodes, lowerBound } from '../../../checker/bounds.js';
import { prove } from '../../../checker/check.js';
import { type Node, readOnnx } from '../../../checker/onnx.js';
import type { Polytope, Row } from '../../../checker/vnnlib.js';
import { exportOnnx } from '../../network/onnx/export.js';
import { normalNumbers } from '../../testing/numbers.js';
import { singleParameters } from '../../testing/property-cases.js';
import { denseNetwork } from '../../testing/searches.js';
import type { HalvedBox } from '../proof/trace.js';
import type { Tree } from './format.js';
import { inputTree } from './input-tree.js';
import { ReluTree } from './relu-tree.js';

const never = () => false;

/** Outputs of a network of chains at x. */
const outputsAt = (nodes: readonly Node[], x: Float64Array): Float64Array => {
  const { upper } = boundNodes(nodes, { lower: x, upper: x }, false);
  return upper.at(-1) as Float64Array;
};

/** A polytope whose bound leaves a share of the gap between CROWN's bound and the least value met open. */
function polytopeOf(seed: number, share: number): { nodes: readonly Node[]; polytope: Polytope } {
  const net = denseNetwork(3, 12, 12, 2);
  const nodes = readOnnx(exportOnnx(net, singleParameters(net, seed)));
  const centre = normalNumbers(`centre ${seed}`, 3);
  const box: Box = { lower: centre.map((c) => c - 0.4), upper: centre.map((c) => c + 0.4) };
  const free: Row = {
    outputs: [
      [0, 1],
      [1, -1],
    ],
    inputs: [],
    bound: 0,
  };
  const bounds = boundNodes(nodes, box, () => undefined);
  // A bound of 1e9 is proved at no node, so that all of them count.
  const loose = lowerBound(nodes, bounds, nodes.length - 1, { ...free, bound: 1e9 }, {}) + 1e9;
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < 9 ** 3; k++) {
    const x = box.lower.map((low, i) => low + (0.8 * (Math.floor(k / 9 ** i) % 9)) / 8);
    const [first = 0, second = 0] = outputsAt(nodes, x);
    least = Math.min(least, first - second);
  }
  return { nodes, polytope: { ...box, rows: [{ ...free, bound: loose + share * (least - loose) }] } };
}

const isWhole = (tree: unknown): boolean =>
  Array.isArray(tree)
    ? tree.length >= 5 - Number(tree[0] === 'x') && tree.slice(1).every(isWhole)
    : tree !== undefined;
/** How often a tree divides, in either way. */
const splits = (tree: Tree): number => (JSON.stringify(tree).match(/"(x|relu)"/g) ?? []).length;

const trees = [
  [
    'halved boxes',
    (nodes: readonly Node[], polytope: Polytope, over: () => boolean) => inputTree(nodes, [polytope], over),
    55,
  ],
  [
    'signs of ReLUs',
    (nodes: readonly Node[], polytope: Polytope, over: () => boolean) =>
      new ReluTree(
        nodes,
        boundNodes(nodes, polytope, () => undefined),
        polytope,
        over,
      ).grow(),
    16,
  ],
] as const;

test.each(trees)(
  'a tree of %s is one that the checker accepts, or none where it was given up',
  (kind, grow, most) => {
    let [divided, found] = [0, 0];
    for (let seed = 1; seed <= 12; seed++) {
      const { nodes, polytope } = polytopeOf(seed, 0.7);
      let asked = 0;
      const counting = () => ++asked < 0;
      const tree = grow(nodes, polytope, counting);
      if (tree === undefined) continue;
      found++;
      expect(() => prove(nodes, polytope, { bounds: 'crown' }, tree, [polytope])).not.toThrow();
      divided += splits(tree);
      // However early it is given up, no part of a tree is left.
      for (let after = 0; after < Math.min(asked, 30); after++) {
        let at = 0;
        const part = grow(nodes, polytope, () => ++at > after);
        expect(part === undefined || isWhole(part)).toBe(true);
      }
    }
    console.info(kind, found, divided, most);
    expect(found).toBe(12);
    expect(divided).toBeGreaterThan(0);
  },
);

test('none is found where the polytope is reached', () => {
  const { nodes, polytope } = polytopeOf(5, 1.2);
  let asked = 0;
  expect(inputTree(nodes, [polytope], () => ++asked > 200)).toBeUndefined();
  const bounds = boundNodes(nodes, polytope, () => undefined);
  let more = 0;
  expect(new ReluTree(nodes, bounds, polytope, () => ++more > 100).grow()).toBeUndefined();
});

test('a tree follows the search where that halved often, and the whole of the tree is proved', () => {
  const part: HalvedBox = {};
  const halve = (input: number, below: HalvedBox, above: HalvedBox): HalvedBox => ({
    halves: { input, below, above },
  });
  const deep = halve(2, halve(1, halve(0, part, part), part), halve(1, part, part));
  for (let seed = 1; seed <= 4; seed++) {
    const { nodes, polytope } = polytopeOf(seed, 0.5);
    const tree = inputTree(nodes, [polytope], never, deep) as Tree;
    expect((tree as readonly unknown[]).slice(0, 2)).toEqual(['x', 2]);
    expect(() => prove(nodes, polytope, { bounds: 'crown' }, tree, [polytope])).not.toThrow();
    // What was halved twice at most is tried as it is.
    const shallow = inputTree(
      nodes,
      [{ ...polytope, rows: polytope.rows.map((row) => ({ ...row, bound: -1e6 })) }],
      never,
      halve(2, halve(1, part, part), part),
    );
    expect(shallow).toBe(0);
  }
});
