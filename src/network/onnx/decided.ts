/**
 * Draft nodes that fixed inputs decide, and the network without them.
 *
 * Where a box fixes the inputs that a node depends on, the node is one number for each feature: it becomes a
 * further input of the network, whose interval encloses that number (`enclosure.ts`). What is decided so need
 * not be affine: products and quotients of decided values are allowed.
 */
import type { Extents } from '../layers/layer.js';
import { INPUT } from '../network.js';
import { type Activation, type Draft, type DraftNode, sizeOf } from './draft.js';
import type { FixedInputs } from './fixed.js';

/** Whether nodes are decided; drafts change only by nodes that read what those before them did. */
const known = new WeakMap<Draft, Map<number, boolean>>();

const isFixed = ({ numbers }: FixedInputs, input: number): boolean => Number.isFinite(numbers[input]);

/** Whether all features of a node are decided by fixed inputs. */
export function isDecided(draft: Draft, node: number, fixed: FixedInputs): boolean {
  const memo = known.get(draft) ?? new Map<number, boolean>();
  known.set(draft, memo);
  const all = Array.from(fixed.numbers).every(Number.isFinite);
  if (node === INPUT) return all;
  // In their order: a chain may be of any length.
  for (let n = memo.size; n <= node; n++) {
    const { kind, inputs, ...rest } = draft[n] as DraftNode;
    const table = 'view' in rest ? rest.view.table : 'table' in rest ? rest.table : undefined;
    const reads = (from: number): boolean =>
      from !== INPUT ? (memo.get(from) as boolean) : table ? seesFixed(table, fixed) : all;
    memo.set(n, kind !== 'transposed' && inputs.every(reads));
  }
  return memo.get(node) as boolean;
}

const seesFixed = (table: Int32Array, fixed: FixedInputs): boolean =>
  table.every((input) => input < 0 || isFixed(fixed, input));

/** The same of an activation, which may see some of the inputs only. */
export const seesDecided = (draft: Draft, { node, view }: Activation, fixed: FixedInputs): boolean =>
  node === INPUT && view ? seesFixed(view.table, fixed) : isDecided(draft, node, fixed);

/** A node that became inputs, the first of them `at`. */
export interface Cut {
  readonly node: number;
  readonly at: number;
}

/** A draft over the inputs and what is decided, in this order. */
export interface CutDraft {
  readonly draft: Draft;
  readonly last: number;
  readonly cuts: readonly Cut[];
  readonly input: Extents;
}

/** The draft up to node `last` over an input and, behind it, the decided values that it reads. */
export function withoutDecided(draft: Draft, last: number, input: Extents, fixed: FixedInputs): CutDraft {
  const live = new Set<number>();
  const cut = new Set<number>();
  /** The node whose values a reader sees: selections of decided values stay. */
  const source = (node: number): number => {
    let at = node;
    for (let of = draft[at]; of?.kind === 'selection' && at !== INPUT; of = draft[at])
      at = of.inputs[0] as number;
    return at;
  };
  const reach = (node: number): void => {
    if (node === INPUT) return;
    const from = source(node);
    const decided = isDecided(draft, node, fixed) && from !== INPUT;
    if (decided && from === node) cut.add(node);
    else live.add(node);
  };
  reach(last);
  for (let node = last; node >= 0; node--)
    if (live.has(node)) for (const from of draft[node]?.inputs ?? []) reach(from);
  let end = sizeOf(input);
  const cuts = [...cut]
    .sort((a, b) => a - b)
    .map((node): Cut => {
      const at = end;
      end += sizeOf((draft[node] as DraftNode).output);
      return { node, at };
    });
  if (cuts.length === 0) return { draft, last, cuts, input };
  const order = [...live].sort((a, b) => a - b);
  return { ...rebuilt(draft, order, last, cuts, sizeOf(input), end), cuts, input: [end, 1, 1] };
}

/** The live nodes over the longer input. */
function rebuilt(
  draft: Draft,
  live: readonly number[],
  last: number,
  cuts: readonly Cut[],
  inputs: number,
  end: number,
): Pick<CutDraft, 'draft' | 'last'> {
  const made: Draft = [];
  const moved = new Map<number, number>();
  const input: Extents = [end, 1, 1];
  const starts = new Map(cuts.map(({ node, at }) => [node, at]));
  /** A part of the input as a node of its own. */
  const part = (from: number, start: number, output: Extents): number => {
    const place = moved.get(from);
    if (place !== undefined) return place;
    const table = Int32Array.from({ length: sizeOf(output) }, (_, i) => start + i);
    const view = { from: end, table };
    moved.set(from, made.push({ kind: 'selection', inputs: [INPUT], input, output, view }) - 1);
    return made.length - 1;
  };
  const place = (from: number): number => {
    if (from === INPUT) return part(INPUT, 0, [inputs, 1, 1]);
    const start = starts.get(from);
    return start === undefined
      ? (moved.get(from) as number)
      : part(from, start, (draft[from] as DraftNode).output);
  };
  for (const number of live) {
    const node = draft[number] as DraftNode;
    const [from = INPUT] = node.inputs;
    const start = from === INPUT ? 0 : starts.get(from);
    const shifted = (table: Int32Array) => table.map((i) => (i < 0 ? i : i + (start as number)));
    if (node.kind === 'selection' && start !== undefined) {
      const view = { ...node.view, from: end, table: shifted(node.view.table) };
      made.push({ ...node, inputs: [INPUT], input, view });
    } else if (node.kind === 'pooling' && start !== undefined)
      made.push({ ...node, inputs: [INPUT], input, table: shifted(node.table) });
    else made.push({ ...node, inputs: node.inputs.map(place) });
    moved.set(number, made.length - 1);
  }
  return { draft: made, last: place(last) };
}
