/** Linear layers and ReLUs in a row, and whether their neurons repeat each other. */
import type { Draft } from './draft.js';
import type { LinearNode } from './merged.js';

/** Nodes in a row, each read by the next one alone: linear layers at both ends, ReLUs among them. */
export type Chain = readonly number[];

/** The chains of a draft, as long as they can be. */
export function chainsOf(draft: Draft): Chain[] {
  const readers = draft.map((): number[] => []);
  draft.forEach(({ inputs }, node) => {
    for (const from of inputs) readers[from]?.push(node);
  });
  const isLink = (node: number | undefined) => ['linear', 'relu'].includes(draft[node as number]?.kind ?? '');
  /** The only reader of a node, where it goes on a chain. */
  const next = (node: number): number | undefined => {
    const [reader, other] = readers[node] as number[];
    return other === undefined && isLink(reader) ? reader : undefined;
  };
  const inside = new Set<number>();
  const chains: Chain[] = [];
  draft.forEach(({ kind }, start) => {
    if (kind !== 'linear' || inside.has(start)) return;
    const chain: number[] = [];
    for (let at: number | undefined = start; at !== undefined; at = next(at)) chain.push(at);
    for (const node of chain) inside.add(node);
    while (draft[chain.at(-1) as number]?.kind === 'relu') chain.pop();
    if (chain.some((node) => draft[node]?.kind === 'relu')) chains.push(chain);
  });
  return chains;
}

/** How many of a chain's neurons have a twin before them, equal to them or opposite; or read nothing. */
export function twinsOf(draft: Draft, chain: Chain): { readonly twins: number; readonly neurons: number } {
  let [twins, neurons] = [0, 0];
  chain.forEach((node, at) => {
    if (draft[node]?.kind !== 'relu') return;
    const before = draft[chain[at - 1] as number];
    if (before?.kind !== 'linear') return;
    const marks = rowMarks(before);
    neurons += marks.length;
    twins += marks.length - new Set(marks.filter((mark) => mark !== 0)).size;
  });
  return { twins, neurons };
}

/** A number for each row that is the same for equal and for opposite ones, and hardly for others. */
function rowMarks({ weight, bias }: LinearNode): Float64Array {
  const width = weight.length / bias.length;
  const factors = Float64Array.from({ length: width }, (_, i) => 1 + (((i + 1) * 0.6180339887498949) % 1));
  return bias.map((b, row) => {
    let sum = 0;
    for (let i = 0; i < width; i++) {
      const w = weight[row * width + i] as number;
      if (w !== 0) sum += w * (factors[i] as number);
    }
    return Math.abs(sum + b * Math.E);
  });
}
