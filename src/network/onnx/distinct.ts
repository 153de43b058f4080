/**
 * A draft without neurons that repeat others: of ReLUs whose inputs are equal or opposite one is left, and of
 * linear layers what they make of those.
 *
 * Max and min written as linear layers and ReLUs, |x| as relu(x) + relu(−x), x as relu(x) − relu(−x), groups
 * that take a feature many times: all are smaller so. Bounds of what is left are tighter, too, since no
 * relaxation knows that two neurons are one. A layer may read those of all layers before it then; kernels and
 * hulls know chains alone, so that these stay unless most of their neurons go.
 */
import type { Extents } from '../layers/layer.js';
import { INPUT } from '../network.js';
import { type Chain, chainsOf, twinsOf } from './chains.js';
import { type Draft, type DraftNode, sizeOf } from './draft.js';
import {
  atoms,
  coefficientsOf,
  constantsOf,
  type Forms,
  linearForms,
  reluForms,
  sizesOf,
} from './exact-forms.js';
import { cancels, type LinearNode, rounded } from './merged.js';
import { sparseRows } from './sparse-rows.js';

/** Share of a chain's neurons that has twins at least. */
const LEAST_TWINS = 0.25;
/** Share that is left at most, in a chain and where layers read more than the one before them. */
const MOST_LEFT = { chain: 0.75, joined: 0.4 } as const;
/** Products that a chain's forms may take: a second or two. */
const MOST_PRODUCTS = 2 ** 22;

/** The draft, all of whose nodes are needed, with chains of distinct neurons; itself where none has twins. */
export function withDistinctNeurons(draft: Draft): Draft {
  const made: Draft = [];
  const moved = new Map([[INPUT, INPUT]]);
  const ends = new Map<number, Chain>();
  const inside = new Set<number>();
  for (const chain of chainsOf(draft)) {
    const { twins, neurons } = twinsOf(draft, chain);
    if (twins < LEAST_TWINS * neurons) continue;
    ends.set(chain.at(-1) as number, chain);
    for (const node of chain) inside.add(node);
  }
  if (ends.size === 0) return draft;
  const copy = (node: number) => {
    const old = draft[node] as DraftNode;
    moved.set(node, made.push({ ...old, inputs: old.inputs.map((from) => moved.get(from) as number) }) - 1);
  };
  draft.forEach((_, node) => {
    const chain = ends.get(node);
    if (chain === undefined) {
      if (!inside.has(node)) copy(node);
      return;
    }
    const source = moved.get((draft[chain[0] as number] as DraftNode).inputs[0] as number) as number;
    const nodes = distinctChain(draft, chain, source, made.length);
    if (nodes === undefined) for (const one of chain) copy(one);
    else moved.set(node, made.push(...nodes) - 1);
  });
  return made;
}

/** Nodes from number `first` on that do what a chain does; undefined where they would not pay off. */
function distinctChain(
  draft: Draft,
  chain: Chain,
  source: number,
  first: number,
): readonly DraftNode[] | undefined {
  const nodes = chain.map((node) => draft[node] as DraftNode);
  const exact = exactChain(nodes);
  if (exact === undefined) return undefined;
  const layers = usedNeurons(exact);
  const left = layers.reduce((sum, { atoms: own }) => sum + own.length, 0);
  const { input } = nodes[0] as LinearNode;
  const made: DraftNode[] = [];
  const push = (node: DraftNode) => first + made.push(node) - 1;
  const groups: Group[] = [{ node: source, extents: input, atoms: exact.inputs }];
  let room = nodes.reduce((sum, node) => sum + (node.kind === 'linear' ? node.weight.length : 0), 0);
  const add = (forms: Forms): number | undefined => {
    const used = new Set(forms.forms.flatMap(({ terms }) => [...terms.keys()]));
    const read = groups.filter(({ atoms: own }) => own.some((atom) => used.has(atom)));
    for (const { atoms: own } of read) room -= forms.forms.length * own.length;
    return room < 0 ? undefined : affine(forms, read.length > 0 ? read : groups.slice(0, 1), push);
  };
  for (const { neurons, atoms: own } of layers) {
    const before = add(neurons);
    if (before === undefined) return undefined;
    const extents: Extents = [own.length, 1, 1];
    groups.push({ node: push({ kind: 'relu', inputs: [before], output: extents }), extents, atoms: own });
  }
  if (add(exact.outputs) === undefined) return undefined;
  const most = made.some(({ kind }) => kind === 'join') ? MOST_LEFT.joined : MOST_LEFT.chain;
  return left <= most * exact.count ? made : undefined;
}

/** Neurons of one layer, with the atoms that their ReLUs are. */
interface Layer {
  readonly neurons: Forms;
  readonly atoms: readonly number[];
}

interface ExactChain {
  /** Atoms of what it reads. */
  readonly inputs: readonly number[];
  readonly layers: readonly Layer[];
  readonly outputs: Forms;
  /** ReLUs as the file has them. */
  readonly count: number;
}

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);

function exactChain(nodes: readonly DraftNode[]): ExactChain | undefined {
  const inputs = sizeOf((nodes[0] as LinearNode).input);
  let [forms, end, count] = [atoms(inputs), inputs, 0];
  const budget = { products: MOST_PRODUCTS };
  const layers: Layer[] = [];
  for (const node of nodes)
    if (node.kind === 'linear') {
      const next = linearForms(forms, node, budget);
      if (next === undefined || isFarBelow(forms, node, next)) return undefined;
      forms = next;
    } else {
      count += forms.forms.length;
      const { after, neurons } = reluForms(forms, end);
      layers.push({ neurons, atoms: range(end, neurons.forms.length) });
      end += neurons.forms.length;
      forms = after;
    }
  return { inputs: range(0, inputs), layers, outputs: forms, count };
}

/** Whether a layer cancels much of what it reads, so that a runtime's float32 would show it. */
function isFarBelow(before: Forms, { weight, bias }: LinearNode, after: Forms): boolean {
  const outer = sparseRows(weight, bias.length);
  const [from, to] = [sizesOf(before), sizesOf(after)];
  return cancels(outer, from.terms, to.terms) || cancels(outer, from.constants, to.constants);
}

/** The layers without neurons that nothing behind them reads. */
function usedNeurons({ layers, outputs }: ExactChain): readonly Layer[] {
  const used = new Set<number>();
  const use = ({ forms }: Forms) => {
    for (const { terms } of forms) for (const atom of terms.keys()) used.add(atom);
  };
  use(outputs);
  const kept = layers.toReversed().map(({ neurons: { forms, shift }, atoms: all }) => {
    const left = all.flatMap((atom, i) => (used.has(atom) ? [i] : []));
    const neurons = { forms: left.map((i) => forms[i] as Forms['forms'][number]), shift };
    use(neurons);
    return { neurons, atoms: left.map((i) => all[i] as number) };
  });
  return kept.toReversed().filter(({ atoms: own }) => own.length > 0);
}

/** Atoms by the node whose features they are. */
interface Group {
  readonly node: number;
  readonly extents: Extents;
  readonly atoms: readonly number[];
}

/** The node of forms of the groups' atoms; undefined where float32 would not hold their numbers. */
function affine(
  forms: Forms,
  groups: readonly Group[],
  push: (node: DraftNode) => number,
): number | undefined {
  const rows = forms.forms.length;
  const output: Extents = [rows, 1, 1];
  const constants = rounded(constantsOf(forms));
  if (constants === undefined) return undefined;
  const parts: number[] = [];
  for (const { node, extents, atoms: own } of groups) {
    const weights = rounded(coefficientsOf(forms, own));
    if (weights === undefined) return undefined;
    const { high, low, exact } = constants;
    const isFirst = parts.length === 0;
    parts.push(
      push({
        ...{ kind: 'linear', inputs: [node], input: extents, output },
        ...{ weight: weights.high, foldings: weights.low.every((value) => value === 0) ? 0 : 1 },
        ...(isFirst
          ? { bias: high, biasLow: low, exactBias: exact }
          : { bias: new Float64Array(rows), exactBias: true }),
      }),
    );
  }
  return parts.length === 1 ? parts[0] : push({ kind: 'join', inputs: parts, output });
}
