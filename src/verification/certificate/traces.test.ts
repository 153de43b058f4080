import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Bounds, boundNodes, lowerBound } from '../../../checker/bounds.js';
import { ballPolytopes, check } from '../../../checker/check.js';
import { readOnnx } from '../../../checker/onnx.js';
import { type Row, readVnnlib } from '../../../checker/vnnlib.js';
import { parseVnnlib } from '../../formats/vnnlib.js';
import { exportOnnx } from '../../network/onnx/export.js';
import { createPool } from '../../runtime/pool/pool.js';
import { certifiedSet } from '../../testing/certified-sets.js';
import { uniformNumbers } from '../../testing/numbers.js';
import { singleParameters } from '../../testing/property-cases.js';
import { denseNetwork } from '../../testing/searches.js';
import { certify } from '../certification/cascade.js';
import type { BoxTrace, HalvedBox } from '../proof/trace.js';
import { propertyOf } from '../property/from-vnnlib.js';
import { verify } from '../search/verify.js';
import { encodeCertificate, type Tree } from './format.js';
import { imageCertificate } from './images.js';
import { inputTree } from './input-tree.js';
import { propertyCertificate } from './property.js';

const pool = createPool(1);
afterAll(() => pool.close());

/** Splits of one kind in a tree. */
const splits = (tree: unknown, kind: string): number =>
  Array.isArray(tree)
    ? tree.reduce((sum: number, part) => sum + splits(part, kind), tree[0] === kind ? 1 : 0)
    : 0;

test('images that the search proved by signs of ReLUs have a certificate made of that, which is accepted', async () => {
  const [weak, epsilon] = [{ steps: 1, restarts: 1 }, 0.05];
  let [followed, slopes] = [0, 0];
  for (const seed of [1, 2, 3, 4]) {
    const set = await certifiedSet(seed, 20);
    const model = exportOnnx(set.network, set.parameters);
    const traces = new Map<number, readonly BoxTrace[]>();
    const complete = {
      secondsPerImage: 20,
      traced: (image: number, found: readonly BoxTrace[]) => traces.set(image, found),
    };
    const { verdicts } = await certify({ ...set, epsilon, attack: weak, pool, complete });
    const about = { model, split: set.split, ball: { epsilon, clip: true }, verdicts };
    const { certificate, proved, without } = await imageCertificate({ ...about, traces });
    expect(without.size).toBe(0);
    expect(proved).toBe(verdicts.filter(({ verdict }) => verdict === 'certified').length);
    const outcome = await check({ certificate: encodeCertificate(certificate), model, images: set.split });
    expect(outcome.proved).toBe(proved);
    for (const [image, [trace]] of traces) {
      const proof = certificate.proofs.find(({ of }) => of.includes(image));
      if (trace?.kind === 'signs' && trace.divided.size > 0) followed += splits(proof?.tree, 'relu');
      if (proof === undefined || !Array.isArray(proof.bounds)) continue;
      slopes++;
      // The search chose its slopes for narrow bounds: in their places they are, and nowhere else.
      const [nodes, rows] = [readOnnx(model), [...proof.bounds] as string[]];
      const features = set.split.images.length / set.split.count;
      const pixels = set.split.images.subarray(image * features, (image + 1) * features);
      const label = set.split.labels[image] as number;
      const polytopes = ballPolytopes(pixels, label, nodes.at(-1)?.size as number, about.ball);
      const [box] = polytopes;
      if (box === undefined) continue;
      const own = boundNodes(nodes, box, () => {
        const row = rows.shift() as string;
        return row === '' ? undefined : Uint8Array.from(Buffer.from(row, 'base64'));
      });
      const crown = boundNodes(nodes, box, () => undefined);
      const least = (bounds: Bounds) =>
        Math.min(
          ...polytopes.map(({ rows: [row] }) => lowerBound(nodes, bounds, nodes.length - 1, row as Row, {})),
        );
      expect(least(own)).toBeGreaterThan(least(crown));
    }
  }
  expect(followed).toBeGreaterThan(0);
  // About 1500: with worse hints trees are larger.
  expect(followed).toBeLessThan(2500);
  expect(slopes).toBeGreaterThan(0);
});

/** The inputs that a tree halves, in order. */
const halved = (tree: Tree): number[] =>
  Array.isArray(tree) && tree[0] === 'x' ? [tree[1], ...halved(tree[2]), ...halved(tree[3])] : [];
const searched = ({ halves }: HalvedBox): number[] =>
  halves === undefined ? [] : [halves.input, ...searched(halves.below), ...searched(halves.above)];

test('a property that the search proved by halves has a certificate of these, fewer where fewer suffice', async () => {
  const net = denseNetwork(4, 14, 14, 2);
  let divided = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(1000), async (seed) => {
      const parameters = singleParameters(net, seed);
      const model = exportOnnx(net, parameters);
      const lower = Array.from(uniformNumbers(`lower ${seed}`, 4), (v) => v.toFixed(3));
      const text = [
        ...lower.map((_, i) => `(declare-const X_${i} Real)`),
        '(declare-const Y_0 Real) (declare-const Y_1 Real)',
        ...lower.map(
          (v, i) => `(assert (>= X_${i} ${v})) (assert (<= X_${i} ${(Number(v) + 0.6).toFixed(3)}))`,
        ),
        '(assert (>= Y_0 (+ Y_1 2.0)))',
      ].join('\n');
      const property = propertyOf(parseVnnlib(text, 'test'));
      const traces: BoxTrace[] = [];
      const traced = (found: readonly BoxTrace[]) => traces.push(...found);
      const { verdict } = await verify({
        network: net,
        parameters,
        property,
        pool,
        timeoutSeconds: 10,
        traced,
      });
      if (verdict !== 'unsat') return;
      const bytes = new TextEncoder().encode(text);
      const { certificate, proved } = await propertyCertificate({ model, property: bytes, traces });
      expect(proved).toBe(1);
      const given = { certificate: encodeCertificate(certificate), model, property: bytes };
      expect((await check(given)).proved).toBe(1);
      const [trace] = traces;
      if (trace?.kind !== 'halving') return;
      const [all, own] = [searched(trace.whole), halved(certificate.proofs[0]?.tree as Tree)];
      expect(own.length).toBeLessThanOrEqual(all.length);
      divided += own.length;
      const nodes = readOnnx(model);
      const followed = inputTree(nodes, readVnnlib(text, 4, 2), () => false, trace.whole) as Tree;
      expect(halved(followed).length).toBeLessThanOrEqual(all.length);
      if (all.length > 3) expect(halved(followed)[0]).toBe(all[0]);
      const proofs = [{ of: [0], bounds: 'crown' as const, tree: followed }];
      const again = { ...given, certificate: encodeCertificate({ ...certificate, proofs }) };
      expect((await check(again)).proved).toBe(1);
    }),
    { numRuns: 25 },
  );
  expect(divided).toBeGreaterThan(0);
});
