/**
 * `tautnet supports`: what `verify` decides, in the words of the VNN-LIB standard: versions, element types,
 * how many networks and tensors, and of ONNX the opsets and operators.
 */
import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { ELEMENT_TYPES } from '../formats/vnnlib.js';
import { importedOperators, OPSETS } from '../network/onnx/import.js';
import { aligned } from './aligned.js';
import type { MakeCommand } from './command.js';

/** Names and what is supported of each. */
const SUPPORTED = {
  'vnnlib-version': ['1.0', '2.0'],
  'element-types': ELEMENT_TYPES,
  networks: ['1'],
  inputs: ['1'],
  outputs: ['1'],
  hidden: ['0'],
  comparisons: ['<=', '<', '>=', '>', '==', '!='],
  connectives: ['and', 'or'],
  arithmetic: ['+', '-', '*', '/', 'linear'],
  opsets: [OPSETS.join('-')],
  operators: importedOperators,
} as const;

export const makeSupportsCommand: MakeCommand = (io) =>
  new Command('supports')
    .description('what verify decides: versions of VNN-LIB, element types, ONNX operators')
    .argument('[feature]', `one of ${Object.keys(SUPPORTED).join(', ')}`)
    .action((feature: string | undefined, { json }: { json?: boolean }) => {
      const known: Readonly<Record<string, readonly string[]>> = SUPPORTED;
      if (feature !== undefined && !Object.hasOwn(known, feature))
        throw new UsageError(
          `supports: expected one of ${Object.keys(SUPPORTED).join(', ')}, got ${feature}; leave it out ` +
            'for all',
        );
      const shown = feature === undefined ? known : { [feature]: known[feature] as readonly string[] };
      const lines = aligned(Object.entries(shown).map(([name, values]) => [name, values.join(' ')]));
      io.stdout.write(json ? `${JSON.stringify(shown)}\n` : `${lines.join('\n')}\n`);
    });
