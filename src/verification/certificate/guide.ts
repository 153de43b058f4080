/**
 * What a search left behind of a box that it divided by the signs of ReLUs, in the checker's words: slopes
 * for hidden bounds, the tree of decisions of each polytope, multipliers of its leaves. The r-th ReLU layer
 * of the network is the checker's r-th; where that cannot be, there is no guide.
 */
import type { Bounds, Slopes } from '../../../checker/bounds.js';
import type { Node } from '../../../checker/onnx.js';
import type { ProvedPart, SignsTrace } from '../proof/trace.js';
import { crownAlpha, type Multipliers } from './dual.js';

/** A part of the search: what was decided next on it, or what it was proved with. */
export interface Branch {
  /** The checker's node and the neuron that was decided. */
  decided?: readonly [node: number, neuron: number];
  active?: Branch;
  inactive?: Branch;
  part?: ProvedPart;
}

/** A part below a branch, whose multipliers are likely to be near to its own. */
export function somePart({ part, active, inactive }: Branch): ProvedPart {
  if (part !== undefined) return part;
  const below = active ?? inactive;
  return below === undefined ? { decisions: [], alpha: new Uint8Array(0), beta: [] } : somePart(below);
}

export class Guide {
  /** The checker's ReLU node by that of the network, and back. */
  readonly #nodeOf = new Map<number, number>();
  readonly #reluOf = new Map<number, number>();
  /** By node that is bounded: places in a row of the trace by the checker's numbers of α, and CROWN's α. */
  readonly #places = new Map<number, { places: Int32Array; crown: Float64Array }>();

  private constructor(
    readonly nodes: readonly Node[],
    readonly trace: SignsTrace,
    relus: readonly number[],
  ) {
    relus.forEach((k, r) => {
      const { node } = trace.relus[r] as { node: number };
      this.#nodeOf.set(node, k);
      this.#reluOf.set(k, node);
    });
  }

  /** The guide of a trace, if both have the same ReLU layers. */
  static of(nodes: readonly Node[], trace: SignsTrace): Guide | undefined {
    const relus = nodes.flatMap(({ op }, k) => (op === 'relu' ? [k] : []));
    const same =
      relus.length === trace.relus.length &&
      relus.every((k, r) => nodes[k]?.size === (trace.relus[r] as { size: number }).size);
    return same ? new Guide(nodes, trace, relus) : undefined;
  }

  /** Whether the search found slopes for hidden bounds. */
  get hasSlopes(): boolean {
    return this.trace.hidden.size > 0;
  }

  /** α for a row over node p; none where the search knew none. */
  readonly slopes: Slopes = (p, { outputs }, bounds) => {
    const relu = this.nodes.findIndex(({ op, inputs }) => op === 'relu' && inputs[0] === p);
    const hidden = this.trace.hidden.get(this.#reluOf.get(relu) as number);
    const [i, sign] = outputs[0] as readonly [number, number];
    const row = hidden?.rows.get(2 * i + (sign > 0 ? 0 : 1));
    if (hidden === undefined || row === undefined) return undefined;
    const known = this.#places.get(p) ?? this.#placesOf(hidden.neurons, bounds);
    this.#places.set(p, known);
    return Uint8Array.from(known.places, (place, u) =>
      place < 0 ? Math.round(255 * (known.crown[u] as number)) : (row[place] as number),
    );
  };

  #placesOf({ node, neuron }: SignsTrace['neurons'], bounds: Bounds) {
    const crown = crownAlpha(this.nodes, bounds);
    const places = new Int32Array(crown.length).fill(-1);
    node.forEach((of, place) => {
      const u = bounds.unstable[this.#nodeOf.get(of) as number]?.[neuron[place] as number] ?? -1;
      if (u >= 0) places[u] = place;
    });
    return { places, crown };
  }

  /** The row that the search proved of a polytope, and its parts as a tree; undefined if undivided. */
  treeOf(polytope: number): { readonly row: Float64Array; readonly root: Branch } | undefined {
    const divided = this.trace.divided.get(polytope);
    if (divided === undefined) return undefined;
    const root: Branch = {};
    for (const part of divided.parts) {
      let at = root;
      for (const decision of part.decisions) {
        at.decided ??= this.#neuronOf(decision);
        const side = decision < 0 ? 'inactive' : 'active';
        at[side] ??= {};
        at = at[side];
      }
      at.part = part;
    }
    return { row: divided.row, root };
  }

  /** Multipliers of a proved part, over bounds that the checker found. */
  multipliersOf({ decisions, alpha, beta }: ProvedPart, bounds: Bounds): Multipliers {
    const { places, crown } = this.#placesOf(this.trace.neurons, bounds);
    const found = new Map(
      [...this.#reluOf.keys()].map((k) => [k, new Float64Array(this.nodes[k]?.size ?? 0)]),
    );
    decisions.forEach((decision, d) => {
      const [k, i] = this.#neuronOf(decision);
      (found.get(k) as Float64Array)[i] = beta[d] as number;
    });
    return {
      alpha: crown.map((own, u) => {
        const found = alpha[places[u] as number];
        return found === undefined ? own : found / 255;
      }),
      beta: found,
    };
  }

  #neuronOf(decision: number): readonly [number, number] {
    const { node, neuron } = this.trace.neurons;
    const u = decision < 0 ? ~decision : decision;
    return [this.#nodeOf.get(node[u] as number) as number, neuron[u] as number];
  }
}
