/**
 * Files as tables of measurements give them: inputs of thousands of deviations, normalised by the network's
 * first nodes, then dense layers. What float32 makes of the normalisation is off by more than what decides.
 */
import { type Block, type BuiltFile, buildFile, type FileRecipe } from './random-files.js';

export interface TabularFile extends BuiltFile {
  readonly name: string;
}

const block = (kind: Block['kind'], width: number): Block => ({ kind, width, exponent: 0, turned: false });
const NORMALIZATIONS = ['sub-div', 'mul-add', 'norm'] as const;
/** Powers of ten of offset/deviation. */
const OFFSETS = [3, 4] as const;

/** Files for each normalisation and offset: `seeds` of each, 2 to 4 inputs, two hidden layers. */
export const tabularFiles = (seeds: number): TabularFile[] =>
  NORMALIZATIONS.flatMap((normalization) =>
    OFFSETS.flatMap((offset) =>
      Array.from({ length: seeds }, (_, seed): TabularFile => {
        const recipe: FileRecipe = {
          seed: 1000 * offset + seed,
          double: false,
          input: [2 + (seed % 3)],
          convolutions: [],
          normalization,
          offset,
          radius: -(seed % 3),
          blocks: [block('gemm', 8), block('relu', 8), block('gemm', 8), block('relu', 8)],
          outputs: 1,
        };
        return { ...buildFile(recipe), name: `${normalization} 1e${offset} ${seed}` };
      }),
    ),
  );
