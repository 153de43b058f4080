/** `tautnet presets`: the names of published settings, or what one of them amounts to. */
import { Command } from 'commander';
import { configText } from '../experiment/settings/config-file.js';
import { type PresetParts, presets, sourcedPreset } from '../experiment/settings/presets.js';
import type { MakeCommand } from './command.js';

export const makePresetsCommand: MakeCommand = (io) =>
  new Command('presets')
    .description('published settings by name, for `tautnet train --preset NAME`')
    .argument('[name]', 'print the settings of this preset, or the names that begin so')
    .action(async (given: string | undefined, { json }: { json?: boolean }) => {
      const name = given?.toLowerCase();
      const all = await presets();
      const begun = [...all].filter(([known]) => name === undefined || known.startsWith(name));
      if (name !== undefined && (all.has(name) || begun.length === 0)) {
        const { given, sources } = await sourcedPreset(name);
        io.stdout.write(json ? `${JSON.stringify(given)}\n` : configText(given, undefined, sources));
      } else if (json) {
        const named = begun.map(([known, parts]) => ({ name: known, ...parts }));
        io.stdout.write(`${JSON.stringify({ presets: named })}\n`);
      } else if (name !== undefined) {
        io.stdout.write(begun.map(([known]) => `${known}\n`).join(''));
      } else {
        io.stdout.write(`${table(begun.map(([, parts]) => parts)).join('\n')}\n`);
      }
    });

/** Names are put together of a part of each column. */
function table(parts: readonly PresetParts[]): string[] {
  const keys = ['setting', 'architecture', 'method', 'smoothing'] as const;
  const columns = keys.map((key) => [...new Set(parts.map((part) => part[key]))]);
  const rows = Array.from({ length: Math.max(...columns.map(({ length }) => length)) }, (_, i) =>
    columns.map((column) => (column[i] ?? '').padEnd(Math.max(...column.map((cell) => cell.length), 12))),
  );
  return [
    `${parts.length} presets, SETTING/ARCHITECTURE/METHOD and -SMOOTHING unless it is none:`,
    '',
    keys
      .map((key, k) => key.padEnd(Math.max(...(columns[k] ?? []).map(({ length }) => length), 12)))
      .join('  '),
    ...rows.map((row) => row.join('  ')),
  ].map((line) => line.trimEnd());
}
