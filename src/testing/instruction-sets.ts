/** The native kernels' instruction sets, for tests of each of them. */
import { useInstructionSet } from '../runtime/kernels/row-kernel.js';

/** From the one that every processor has to the fastest. */
export const INSTRUCTION_SETS = ['baseline', 'AVX2', 'AVX-512'];

/** The kernels as they are without a test's choice: on the fastest set of this processor. */
export function useFastestSet(): void {
  const has = (name: string) => useInstructionSet(name) === name;
  useInstructionSet(INSTRUCTION_SETS.findLast(has) as string);
}
