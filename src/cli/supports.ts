/**
 * `tautnet supports`: what `verify` decides, as the VNN-LIB standard has solvers say it: one capability, its
 * values one a line.
 *
 * Theories are parts of the query language: NH without hidden tensors, H with them; SIO with one input and
 * output, MIO with several; SNET of one network, MENET of equal, MINET of isomorphic, MNET of any networks;
 * SNC comparisons within a tensor, MNC between tensors; BND bounds, OUTC orders of outputs, LIN linear terms.
 * Element types are those that proofs are of: real numbers. Source: sections 4.1 and 5.4 of the standard.
 */
import { Command } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { importedOperators, OPSETS } from '../network/onnx/import.js';
import { aligned } from './aligned.js';
import type { MakeCommand } from './command.js';

/** Capabilities by their options: what they are, and what is supported. */
const CAPABILITIES: Readonly<Record<string, readonly [meaning: string, values: readonly string[]]>> = {
  'onnx-opset-versions': ['least and largest version of the ONNX operators', OPSETS.map(String)],
  'onnx-element-types': ['element types that proofs are of', ['real']],
  'onnx-operators': ['ONNX operators', importedOperators],
  'vnnlib-versions': ['least and largest version of VNN-LIB', ['1.0', '2.0']],
  'hidden-node-theories': ['whether values inside networks are constrained', ['NH', 'H']],
  'multiple-input-output-theories': ['how many inputs and outputs a network has', ['SIO', 'MIO']],
  'multiple-network-theories': ['how many networks a query has', ['SNET', 'MENET', 'MINET', 'MNET']],
  'multiple-node-comparison-theories': ['whether comparisons are between tensors', ['SNC', 'MNC']],
  'arithmetic-complexity-theories': ['terms of comparisons', ['BND', 'OUTC', 'LIN']],
  'optimised-disjunctive-reasoning': ['whether or is more than a list of cases', ['false']],
  'serialise-assignments': ['whether counterexamples are left as files', ['true']],
  'unsat-proofs': ["whether proofs are left in the standard's own format", ['false']],
};

const NAMES = Object.keys(CAPABILITIES);
/** Names as Commander gives them. */
const keyOf = (name: string): string =>
  name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

export const makeSupportsCommand: MakeCommand = (io) => {
  const command = new Command('supports').description(
    'what verify decides, as VNN-LIB 2.0 has solvers say it: one capability a line each, or all of them',
  );
  for (const [name, [meaning]] of Object.entries(CAPABILITIES)) command.option(`--${name}`, meaning);
  return command.action((flags: Readonly<Record<string, boolean>>) => {
    const asked = NAMES.filter((name) => flags[keyOf(name)]);
    if (asked.length > 1)
      throw new UsageError(
        `supports: expected one capability, got ${asked.map((name) => `--${name}`).join(' and ')}`,
      );
    const valuesOf = (name: string): readonly string[] => CAPABILITIES[name]?.[1] ?? [];
    const shown = asked.length === 1 ? asked : NAMES;
    const object = Object.fromEntries(shown.map((name) => [name, valuesOf(name)]));
    const lines =
      asked.length === 1
        ? valuesOf(asked[0] as string)
        : aligned(NAMES.map((name) => [name, valuesOf(name).join(' ')]));
    io.stdout.write(flags.json ? `${JSON.stringify(object)}\n` : `${lines.join('\n')}\n`);
  });
};
