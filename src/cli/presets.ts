/** `tautnet presets`: the names of published settings, or what one of them amounts to. */
import { Command } from 'commander';
import { configText } from '../experiment/settings/config-file.js';
import { presets, readPreset } from '../experiment/settings/presets.js';
import type { MakeCommand } from './command.js';

export const makePresetsCommand: MakeCommand = (io) =>
  new Command('presets')
    .description('published settings by name, for `tautnet train --preset NAME`')
    .argument('[name]', 'print the settings of this preset, or the names that begin so')
    .action(async (name: string | undefined) => {
      const names = [...(await presets()).keys()];
      const begun = names.filter((known) => name === undefined || known.startsWith(name));
      if (name !== undefined && (names.includes(name) || begun.length === 0))
        io.stdout.write(configText(await readPreset(name)));
      else io.stdout.write(begun.map((known) => `${known}\n`).join(''));
    });
