/**
 * Proofs for certificates: what the search has proved is proved again by the checker's bounds, as the search
 * did it; where it left no trace, by the cheapest that suffice. That is what a certificate then says.
 *
 *   intervals → back-substitution → trees of halved boxes (few inputs) or of ReLU signs, ascent at leaves
 */
import { type Bounds, type Box, boundNodes } from '../../../checker/bounds.js';
import { prove } from '../../../checker/check.js';
import type { Node } from '../../../checker/onnx.js';
import type { Polytope } from '../../../checker/vnnlib.js';
import type { BoxTrace, HalvedBox } from '../proof/trace.js';
import type { HiddenBounding, HiddenMethod, Tree } from './format.js';
import { Guide } from './guide.js';
import { inputTree } from './input-tree.js';
import { ReluTree } from './relu-tree.js';

/** Boxes of at most so many inputs that vary are halved. */
const FEW_INPUTS = 20;

export interface ProofOptions {
  /** What the search proved it by, if it is known: cheaper bounds are not tried. */
  readonly from?: HiddenMethod;
  /** How the search proved it, polytopes by their place in the list. */
  readonly trace?: BoxTrace;
  /** Whether it is to give up. */
  readonly over: () => boolean;
}

export interface FoundProof {
  readonly bounds: HiddenBounding;
  readonly tree: Tree;
}

/** A proof that polytopes of one box are out of reach; undefined where none was found in time. */
export function proofOf(
  nodes: readonly Node[],
  polytopes: readonly Polytope[],
  options: ProofOptions,
): FoundProof | undefined {
  const { trace, over } = options;
  const box = polytopes[0] as Box;
  if (trace?.kind === 'halving') return halved(halvesLike(nodes, polytopes, trace.whole, over));
  const guide = trace && Guide.of(nodes, trace);
  if (guide) return guided(nodes, polytopes, guide, over);
  const methods = options.from === 'crown' ? (['crown'] as const) : (['ibp', 'crown'] as const);
  for (const bounds of methods) if (proves(nodes, box, bounds, polytopes)) return { bounds, tree: 0 };
  if (over()) return undefined;
  const varying = box.lower.reduce((count, low, i) => count + (low < (box.upper[i] as number) ? 1 : 0), 0);
  if (varying <= FEW_INPUTS) return halved(inputTree(nodes, polytopes, over));
  const tree = reluTrees(
    nodes,
    boundNodes(nodes, box, () => undefined),
    polytopes,
    over,
  );
  return halved(tree);
}

/**
 * Halves that the checker's tighter bounds choose, unless these would be more than the search made: then the
 * search's own.
 */
function halvesLike(
  nodes: readonly Node[],
  polytopes: readonly Polytope[],
  searched: HalvedBox,
  over: () => boolean,
): Tree | undefined {
  let tried = 0;
  const most = 2 * partsOf(searched);
  const own = inputTree(nodes, polytopes, () => ++tried > most || over());
  return own ?? inputTree(nodes, polytopes, over, searched);
}

const partsOf = ({ halves }: HalvedBox): number =>
  halves === undefined ? 1 : partsOf(halves.below) + partsOf(halves.above);

const halved = (tree: Tree | undefined): FoundProof | undefined =>
  tree === undefined ? undefined : { bounds: 'crown', tree };

function proves(
  nodes: readonly Node[],
  box: Box,
  bounds: HiddenMethod,
  polytopes: readonly Polytope[],
): boolean {
  try {
    prove(nodes, box, { bounds }, 0, polytopes);
    return true;
  } catch {
    return false;
  }
}

/** The proof that the search's slopes, decisions and multipliers lead to. */
function guided(
  nodes: readonly Node[],
  polytopes: readonly Polytope[],
  guide: Guide,
  over: () => boolean,
): FoundProof | undefined {
  const rows: string[] = [];
  const bounds = boundNodes(nodes, polytopes[0] as Box, (p, row, before) => {
    const alpha = guide.slopes(p, row, before);
    rows.push(alpha ? Buffer.from(alpha).toString('base64') : '');
    return alpha;
  });
  const tree = reluTrees(nodes, bounds, polytopes, over, guide);
  return tree === undefined ? undefined : { bounds: guide.hasSlopes ? rows : 'crown', tree };
}

function reluTrees(
  nodes: readonly Node[],
  bounds: Bounds,
  polytopes: readonly Polytope[],
  over: () => boolean,
  guide?: Guide,
): Tree | undefined {
  const trees: Tree[] = [];
  for (const [number, polytope] of polytopes.entries()) {
    const tree = new ReluTree(nodes, bounds, polytope, over).grow(guide, number);
    if (tree === undefined) return undefined;
    trees.push(tree);
  }
  return ['each', ...trees];
}
