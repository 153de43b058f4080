/** `tautnet info`: what a file or folder is, what of it can be bounded, and what to type next. */
import { Command } from 'commander';
import { type Description, sized } from '../insight/info/description.js';
import { describe } from '../insight/info/info.js';
import { aligned } from './aligned.js';
import type { MakeCommand } from './command.js';

export const makeInfoCommand: MakeCommand = (io) =>
  new Command('info')
    .description('what a run, ONNX, VNN-LIB, safetensors or certificate file is, and what to do with it')
    .argument('<path>', 'file or folder')
    .action(async (path: string, { json }: { json?: boolean }) => {
      const description = await describe(path);
      io.stdout.write(json ? `${JSON.stringify(description)}\n` : infoText(description));
    });

/** Control characters of a file cannot move the terminal's cursor. */
const shown = (text: string): string => text.replace(/\p{Cc}/gu, ' ');

export function infoText({ path, kind, bytes, facts, bounds, next }: Description): string {
  const rows = [...facts, ...(bounds === undefined ? [] : [['can be bounded', bounds]])];
  const width = Math.max(0, ...rows.map(([name = '']) => name.length));
  return [
    `${shown(path)}: ${kind}, ${sized(bytes)}`,
    ...rows.map(([name = '', value = '']) => `  ${shown(name).padEnd(width)}  ${shown(value)}`),
    ...aligned(next.map((command) => [`next: ${shown(command)}`])),
    '',
  ].join('\n');
}
