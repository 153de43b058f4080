/**
 * Generators of zonotopes: the columns of E in x = c + E ε, ε ∈ [−1, 1]ⁿ, a matrix for each image.
 *
 * Columns are kept in blocks, one for each source of noise: the input (INPUT) or the ReLU that made them (its
 * node number). Where branches of a network meet, blocks of one source add up column by column, so that what
 * branches share is not counted twice. A new block is diagonal, one column per feature, [features, batch];
 * the first affine layer that it meets makes it dense, [features, columns · batch] with the batch innermost,
 * which affine layers take as if its columns were images.
 *
 * Cost: a dense block behind a layer of F features holds F · n values an image, and a convolution's patches
 * kernel area times more.
 */
import {
  abs,
  add,
  addAll,
  batchedMatmul,
  equalRows,
  type FloatType,
  mul,
  range,
  reshape,
  sum,
  type Tensor,
  transpose,
} from '../../graph/index.js';
import type { AffineLayer, Weights } from '../../network/layers/layer.js';

/** Columns of one source. */
export type Block =
  /** Column i is entry i of [features, batch] in row i and 0 elsewhere. */
  | { readonly kind: 'diagonal'; readonly entries: Tensor }
  /** [features, columns · batch] */
  | { readonly kind: 'dense'; readonly columns: Tensor; readonly batch: number };

/** Blocks by source. */
export type Generators = ReadonlyMap<number, Block>;

const mapBlocks = (generators: Generators, change: (block: Block) => Block): Generators =>
  new Map([...generators].map(([from, b]) => [from, change(b)]));
const featuresOfBlock = (block: Block): number =>
  (block.kind === 'diagonal' ? block.entries : block.columns).shape[0] as number;
/** A dense block as [features, columns, batch]. */
const cube = ({ columns, batch }: Block & { kind: 'dense' }): Tensor =>
  reshape(columns, [columns.shape[0] as number, (columns.shape[1] as number) / batch, batch]);

/** A linear map L [m, features] after a diagonal block: column i is L's column i times entry i. */
function spread(matrix: Tensor, entries: Tensor): Block {
  const [features, batch] = entries.shape as [number, number];
  const rows = matrix.shape[0] as number;
  const columns = mul(reshape(matrix, [rows, features, 1]), reshape(entries, [1, features, batch]));
  return { kind: 'dense', columns: reshape(columns, [rows, features * batch]), batch };
}

const identity = (features: number, dtype: FloatType): Tensor => equalRows(range(features), features, dtype);

/** E ↦ L E, the bias left out. The matrix of L is made once for the batch where a diagonal block meets it. */
export function affineGenerators(layer: AffineLayer, weights: Weights, generators: Generators): Generators {
  return mapBlocks(generators, (block) => {
    if (block.kind === 'dense') return { ...block, columns: layer.linear(weights, block.columns) };
    const matrix =
      layer.name === 'linear'
        ? (weights.weight as Tensor)
        : layer.linear(weights, identity(featuresOfBlock(block), block.entries.dtype as FloatType));
    return spread(matrix, block.entries);
  });
}

/** E ↦ diag(factor) E with factor [features, batch]. */
export function scaleGenerators(generators: Generators, factor: Tensor): Generators {
  const [features, batch] = factor.shape as [number, number];
  return mapBlocks(generators, (block) =>
    block.kind === 'diagonal'
      ? { kind: 'diagonal', entries: mul(block.entries, factor) }
      : {
          ...block,
          columns: reshape(mul(cube(block), reshape(factor, [features, 1, batch])), block.columns.shape),
        },
  );
}

/** The sum of branches: columns of one source add up. */
export function addGenerators(branches: readonly Generators[]): Generators {
  const sources = new Set(branches.flatMap((branch) => [...branch.keys()]));
  return new Map(
    [...sources].map((source): [number, Block] => {
      const blocks = branches.flatMap((branch) => branch.get(source) ?? []);
      const diagonals = blocks.flatMap((block) => (block.kind === 'diagonal' ? [block.entries] : []));
      if (diagonals.length === blocks.length)
        return [source, { kind: 'diagonal', entries: addAll(diagonals) }];
      const dense = blocks.map((block) =>
        block.kind === 'dense'
          ? block
          : spread(identity(featuresOfBlock(block), block.entries.dtype as FloatType), block.entries),
      );
      const [first] = dense as [Block & { kind: 'dense' }];
      return [source, { ...first, columns: addAll(dense.map((block) => (block as typeof first).columns)) }];
    }),
  );
}

/** Σ of tensors of which there is at least one. */
const addUp = (terms: readonly Tensor[]): Tensor => terms.reduce(add);

/** Σ |columns|, [features, batch]: how far each feature reaches from the centre. */
export function generatorRadius(generators: Generators): Tensor {
  return addUp(
    [...generators.values()].map((block) => {
      if (block.kind === 'diagonal') return abs(block.entries);
      return reshape(sum(abs(cube(block)), [1]), [featuresOfBlock(block), block.batch]);
    }),
  );
}

/** Σ_columns |aᵀ E| of linear functions a [features, rows, batch]: their reach, [rows, batch]. */
export function rowRadius(generators: Generators, rows: Tensor): Tensor {
  const [features, count, batch] = rows.shape as [number, number, number];
  return addUp(
    [...generators.values()].map((block) => {
      if (block.kind === 'diagonal')
        return reshape(sum(abs(mul(rows, reshape(block.entries, [features, 1, batch]))), [0]), [
          count,
          batch,
        ]);
      const products = batchedMatmul(transpose(rows, [2, 1, 0]), transpose(cube(block), [2, 0, 1]));
      return transpose(reshape(sum(abs(products), [2]), [batch, count]));
    }),
  );
}
