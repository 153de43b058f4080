/**
 * Command-line options of the training settings, generated from their schema: no name, range or default is
 * written twice.
 */
import { type Command, Option } from 'commander';
import { UsageError } from '../experiment/errors.js';
import { readConfigFile } from '../experiment/settings/config-file.js';
import { DEFAULTS } from '../experiment/settings/defaults.js';
import { changedPreset, readPreset } from '../experiment/settings/presets.js';
import { checkSetting, resolveSettings, type Whereabouts } from '../experiment/settings/resolve-settings.js';
import {
  choicesOf,
  kebab,
  kindOf,
  type SettingKind,
  textFromValue,
  valueFromText,
} from '../experiment/settings/setting-text.js';
import {
  type GivenSettings,
  informationOf,
  SETTING_NAMES,
  type SettingName,
  type Settings,
} from '../experiment/settings/settings.js';
import { FileError } from '../formats/file-error.js';

const ARGUMENTS: Readonly<Record<SettingKind, string>> = {
  boolean: '',
  choice: ' <name>',
  integer: ' <count>',
  number: ' <number>',
  list: ' <list>',
  text: ' <path>',
};

/** Units that stand for the value in help: `--memory <megabytes>`. */
const UNITS: readonly string[] = ['megabytes', 'seconds'];

function argumentOf(name: SettingName): string {
  const { unit } = informationOf(name);
  return unit !== undefined && UNITS.includes(unit) ? ` <${unit}>` : ARGUMENTS[kindOf(name)];
}

/** "radius ε …, in … (one of …; default: 0.1 for mnist)". */
function descriptionOf(name: SettingName): string {
  const { description, unit, only } = informationOf(name);
  const initial = DEFAULTS[name];
  const notes = [
    choicesOf(name)?.join('|'),
    only === undefined ? undefined : `${only.join(', ')} only`,
    `default: ${'value' in initial ? textFromValue(initial.value) : initial.text}`,
  ];
  return (
    `${description}${unit === undefined ? '' : `, in ${unit}`} ` +
    `(${notes.filter((note) => note !== undefined).join('; ')})`
  );
}

/** Settings that short help shows. */
const BASIC: ReadonlySet<string> = new Set<SettingName>([
  'dataset',
  'architecture',
  'method',
  'relaxation',
  'epsilon',
  'smoothing',
  'epochs',
  'learningRate',
  'seed',
  'out',
]);

/** Headings of help, each from the first of its settings in the schema's order on. */
const GROUPS: Readonly<Partial<Record<SettingName, string>>> = {
  dataset: 'Data and network:',
  method: 'Objective:',
  smoothing: 'Smoothing:',
  optimizer: 'Optimisation:',
  device: 'Machine and run:',
};

/** Options that only `--help-all` shows. */
export const ADVANCED = new WeakSet<Option>();

/** The option, which only `--help-all` shows. */
export function advanced(option: Option): Option {
  ADVANCED.add(option.hideHelp());
  return option;
}

/** One option per setting, and its negation for those that are on or off. */
export function settingOptions(): Option[] {
  let group = '';
  return SETTING_NAMES.flatMap((name) => {
    group = GROUPS[name] ?? group;
    const kind = kindOf(name);
    const taken = informationOf(name).words ? ' <words...>' : argumentOf(name);
    const option = new Option(`--${kebab(name)}${taken}`, descriptionOf(name));
    const options =
      kind === 'boolean' ? [option, new Option(`--no-${kebab(name)}`, 'turn it off')] : [option];
    for (const each of options) {
      each.helpGroup(group);
      if (!BASIC.has(name)) advanced(each);
    }
    return options;
  });
}

/** Adds every setting, `--preset` and `--config` to a command. */
export function addSettingOptions(command: Command): Command {
  command.option(
    '--preset <name>',
    'published settings to start from, such as mnist-0.1/cnn3/ibp; see `tautnet presets`',
  );
  command.option('--config <file>', 'YAML file with settings; flags override it, it overrides a preset');
  for (const option of settingOptions()) command.addOption(option);
  return command;
}

/** What was given to a command, flags over `--config` over `--preset`, each value checked. */
export interface Given {
  readonly given: GivenSettings;
  readonly whereabouts: Whereabouts;
}

/**
 * Settings given on a command's line, in its `--config` file and by its `--preset`.
 * @throws UsageError naming the flag, or the file with line and column
 */
export async function givenSettings(command: Command): Promise<Given> {
  const options: Record<string, unknown> = command.opts();
  const file = typeof options.config === 'string' ? await configOf(options.config) : undefined;
  const flags: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const given = options[name];
    const value = Array.isArray(given) ? given.join(' ') : given;
    if (value === undefined) continue;
    flags[name] = checkSetting(
      name,
      typeof value === 'string' ? valueFromText(name, value) : value,
      `--${kebab(name)}`,
    );
  }
  const own: GivenSettings = { ...file?.given, ...(flags as GivenSettings) };
  const preset =
    typeof options.preset === 'string' ? await readPreset(options.preset.toLowerCase()) : undefined;
  const whereabouts: Whereabouts = (name) => {
    if (name in flags) return `--${kebab(name)}`;
    if (file?.given[name] !== undefined) return file.whereabouts(name);
    return preset?.[name] === undefined ? `--${kebab(name)}` : `--preset ${options.preset}: ${kebab(name)}`;
  };
  return { given: preset === undefined ? own : changedPreset(preset, own), whereabouts };
}

/** Every setting of a command: flags, then `--config`, then `--preset`, then defaults. @throws UsageError */
export async function settingsOf(command: Command): Promise<Settings> {
  const { given, whereabouts } = await givenSettings(command);
  return resolveSettings(given, whereabouts);
}

async function configOf(path: string) {
  try {
    return await readConfigFile(path);
  } catch (error) {
    if (error instanceof FileError) throw new UsageError(`--config: ${error.message}`, { cause: error });
    throw error;
  }
}
