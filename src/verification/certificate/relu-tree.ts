/**
 * A tree of ReLU signs that the checker accepts, for one polytope over one box: each leaf is proved by the
 * checker's own bound, with hints where it needs them. The ReLU is decided whose line is farthest from its
 * value at the bound's least point.
 */
import { type Bounds, lowerBound } from '../../../checker/bounds.js';
import type { Node } from '../../../checker/onnx.js';
import type { Polytope, Row } from '../../../checker/vnnlib.js';
import { type Ascended, ascend } from './ascent.js';
import { crownAlpha, dualAt, type Multipliers } from './dual.js';
import type { Leaf, Tree } from './format.js';
import { type Branch, type Guide, somePart } from './guide.js';

/** Steps of ascent at the root, and at the parts below it, which begin where their parent's ended. */
const STEPS = { root: 40, part: 12 };

/** One polytope over one box. */
export class ReluTree {
  readonly #relus: readonly number[];
  readonly #signs: ReadonlyMap<number, Int8Array>;
  readonly #path: [node: number, neuron: number][] = [];
  #row: Row;

  constructor(
    readonly nodes: readonly Node[],
    readonly bounds: Bounds,
    readonly polytope: Polytope,
    /** Whether it is to give up. */
    readonly over: () => boolean,
  ) {
    this.#relus = nodes.flatMap(({ op }, k) => (op === 'relu' ? [k] : []));
    this.#signs = new Map(this.#relus.map((k) => [k, new Int8Array((nodes[k] as Node).size)]));
    this.#row = polytope.rows[0] as Row;
  }

  /** The tree, as the search divided where a guide says so; undefined where it was given up. */
  grow(guide?: Guide, number = 0): Tree | undefined {
    if (this.polytope.rows.some((row) => this.#bound(row, {}) > 0)) return 0;
    const alpha = crownAlpha(this.nodes, this.bounds);
    const beta = new Map([...this.#signs].map(([k, { length }]) => [k, new Float64Array(length)]));
    const found = guide?.treeOf(number);
    this.#row = this.#rowLike(found?.row) ?? this.#nearest({ alpha, beta });
    if (guide === undefined || found === undefined) return this.#part({ alpha, beta }, STEPS.root);
    return this.#follow(guide, found.root);
  }

  /** The row of the polytope with these coefficients. */
  #rowLike(coefficients: Float64Array | undefined): Row | undefined {
    return this.polytope.rows.find(
      ({ outputs }) => outputs.length > 0 && outputs.every(([j, c]) => coefficients?.[j] === c),
    );
  }

  /** The tree of a part as the search divided it; what the checker does not prove is divided further. */
  #follow(guide: Guide, branch: Branch): Tree | undefined {
    const { decided } = branch;
    const multipliers = guide.multipliersOf(somePart(branch), this.bounds);
    // The search decides several ReLUs at once, and more than the checker's bounds need.
    const leaf = this.over() ? undefined : this.#leafOf(multipliers);
    if (leaf !== undefined) return leaf;
    if (branch.part !== undefined) return this.#part(multipliers, STEPS.part);
    if (decided === undefined) return undefined;
    const [k, i] = decided;
    const p = this.nodes[k]?.inputs[0] as number;
    const next = (side: Branch | undefined) =>
      side === undefined ? this.#part(multipliers, STEPS.part) : this.#follow(guide, side);
    // What the checker's bounds know is not decided.
    if ((this.bounds.lower[p]?.[i] as number) >= 0) return next(branch.active);
    if ((this.bounds.upper[p]?.[i] as number) <= 0) return next(branch.inactive);
    return this.#divide(this.#relus.indexOf(k), i, (sign) =>
      next(sign > 0 ? branch.active : branch.inactive),
    );
  }

  /** The row of the polytope that is nearest to a proof. */
  #nearest(multipliers: Multipliers): Row {
    const bound = (row: Row) => dualAt(this.nodes, this.bounds, row, this.#signs, multipliers).value;
    const all = this.polytope.rows.map((row) => ({ row, value: bound(row) }));
    return all.reduce((best, one) => (one.value > best.value ? one : best)).row;
  }

  #part(from: Multipliers, steps: number): Tree | undefined {
    if (this.over()) return undefined;
    let leaf: Leaf | undefined;
    const enough = (found: Ascended) => {
      if (!(found.dual.value > 0)) return false;
      leaf = this.#leafOf(found);
      return leaf !== undefined;
    };
    const problem = { nodes: this.nodes, bounds: this.bounds, row: this.#row, signs: this.#signs };
    const best = ascend(problem, from, steps, enough);
    if (leaf !== undefined || enough(best)) return leaf;
    const split = this.#widest(best);
    return split && this.#divide(split[0], split[1], () => this.#part(best, STEPS.part));
  }

  #divide(r: number, i: number, prove: (sign: number) => Tree | undefined): Tree | undefined {
    const k = this.#relus[r] as number;
    const signs = this.#signs.get(k) as Int8Array;
    this.#path.push([k, i]);
    const branches: Tree[] = [];
    for (const sign of [1, -1]) {
      signs[i] = sign;
      const branch = this.over() ? undefined : prove(sign);
      if (branch === undefined) break;
      branches.push(branch);
    }
    signs[i] = 0;
    this.#path.pop();
    const [active, inactive] = branches;
    return active !== undefined && inactive !== undefined ? ['relu', r, i, active, inactive] : undefined;
  }

  /** The leaf of multipliers as a certificate has them, if the checker's bound is positive with these. */
  #leafOf({ alpha, beta }: Multipliers): Leaf | undefined {
    const bytes = Uint8Array.from(alpha, (v) => Math.round(255 * v));
    const b = this.#path.map(([k, i]) => Number((beta.get(k)?.[i] ?? 0).toPrecision(4)));
    if (!(this.#bound(this.#row, { alpha: bytes, b }) > 0)) return undefined;
    return { a: Buffer.from(bytes).toString('base64'), ...(b.length > 0 && { b }) };
  }

  #bound(row: Row, { alpha, b }: { alpha?: Uint8Array; b?: readonly number[] }): number {
    const path = this.#path.map(([k, i], at) => [k, i, this.#signs.get(k)?.[i] as number, b?.[at] ?? 0]);
    return lowerBound(this.nodes, this.bounds, this.nodes.length - 1, row, { ...(alpha && { alpha }), path });
  }

  /** The undecided ReLU whose line is farthest from it at the least point; undefined without any. */
  #widest({ alpha, dual }: Ascended): [r: number, i: number] | undefined {
    let best: [number, number] | undefined;
    let most = -1;
    this.#relus.forEach((k, r) => {
      const p = this.nodes[k]?.inputs[0] as number;
      const [low, high] = [this.bounds.lower[p] as Float64Array, this.bounds.upper[p] as Float64Array];
      this.bounds.unstable[k]?.forEach((index, i) => {
        if (index < 0 || this.#signs.get(k)?.[i] !== 0) return;
        const a = dual.arrived[k]?.[i] ?? 0;
        const z = dual.values[p]?.[i] as number;
        const [l, h] = [low[i] as number, high[i] as number];
        const line = a >= 0 ? (alpha[index] as number) * z : (h * (z - l)) / (h - l);
        const gap = Math.abs(a * (Math.max(z, 0) - line)) + (1e-3 * Math.abs(a) * h * -l) / (h - l);
        if (gap > most) [best, most] = [[r, i], gap];
      });
    });
    return best;
  }
}
