/**
 * Proofs for certificates: what the search has proved is proved again by the checker's bounds, the cheapest
 * first, until they accept it; that is what a certificate then says.
 *
 *   intervals → back-substitution → trees of halved boxes (few inputs) or of ReLU signs, ascent at leaves
 */
import { type Box, boundNodes } from '../../../checker/bounds.js';
import { prove } from '../../../checker/check.js';
import type { Node } from '../../../checker/onnx.js';
import type { Polytope } from '../../../checker/vnnlib.js';
import type { HiddenMethod, Tree } from './format.js';
import { inputTree } from './input-tree.js';
import { ReluTree } from './relu-tree.js';

/** Boxes of at most so many inputs that vary are halved. */
const FEW_INPUTS = 20;

export interface ProofOptions {
  /** What the search proved it by, if it is known: cheaper bounds are not tried. */
  readonly from?: HiddenMethod;
  /** Whether it is to give up. */
  readonly over: () => boolean;
}

export interface FoundProof {
  readonly bounds: HiddenMethod;
  readonly tree: Tree;
}

/** A proof that polytopes of one box are out of reach; undefined where none was found in time. */
export function proofOf(
  nodes: readonly Node[],
  polytopes: readonly Polytope[],
  options: ProofOptions,
): FoundProof | undefined {
  const box = polytopes[0] as Box;
  const methods = options.from === 'crown' ? (['crown'] as const) : (['ibp', 'crown'] as const);
  for (const bounds of methods) if (proves(nodes, box, bounds, polytopes)) return { bounds, tree: 0 };
  if (options.over()) return undefined;
  const varying = box.lower.reduce((count, low, i) => count + (low < (box.upper[i] as number) ? 1 : 0), 0);
  const tree =
    varying <= FEW_INPUTS
      ? inputTree(nodes, polytopes, options.over)
      : reluTrees(nodes, polytopes, options.over);
  return tree === undefined ? undefined : { bounds: 'crown', tree };
}

function proves(
  nodes: readonly Node[],
  box: Box,
  bounds: HiddenMethod,
  polytopes: readonly Polytope[],
): boolean {
  try {
    prove(nodes, box, bounds, 0, polytopes);
    return true;
  } catch {
    return false;
  }
}

function reluTrees(
  nodes: readonly Node[],
  polytopes: readonly Polytope[],
  over: () => boolean,
): Tree | undefined {
  const bounds = boundNodes(nodes, polytopes[0] as Box, () => undefined);
  const trees: Tree[] = [];
  for (const polytope of polytopes) {
    const tree = new ReluTree(nodes, bounds, polytope, over).grow();
    if (tree === undefined) return undefined;
    trees.push(tree);
  }
  return ['each', ...trees];
}
