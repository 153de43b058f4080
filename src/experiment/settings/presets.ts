/**
 * Presets: published settings by name, `<setting>/<architecture>/<method>` and with `-rgs` smoothed, such as
 * `cifar10-2-255/cnn5/sabr-rgs`.
 *
 * A preset is put together of configuration files in the folder `presets` of the package: one for the data
 * set and its radius (`settings/`), one for the training method (`methods/`), what was published for the two
 * together (`published/<setting>/`), one for the gradient estimator (`smoothing/`). Later ones override
 * earlier ones; what all leave out has its default. The comment after a number says where it is from, or
 * "ours".
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toFileError } from '../../formats/file-error.js';
import { UsageError } from '../errors.js';
import { ARCHITECTURES, type Architecture } from './choices.js';
import { readConfigFile } from './config-file.js';
import { nearest } from './setting-text.js';
import type { GivenSettings, SettingName } from './settings.js';

/** The package's folder; the same from sources and from the build. */
const FOLDER = fileURLToPath(new URL('../../../presets/', import.meta.url));
const PLAIN = 'none';

/** What a preset is made of: names of files and of an architecture. */
export interface PresetParts {
  readonly setting: string;
  readonly architecture: Architecture;
  readonly method: string;
  readonly smoothing: string;
}

const nameOf = ({ setting, architecture, method, smoothing }: PresetParts): string =>
  `${setting}/${architecture}/${method}${smoothing === PLAIN ? '' : `-${smoothing}`}`;

async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(join(FOLDER, folder)).catch((error: unknown) => {
    throw toFileError(join(FOLDER, folder), 'read', error);
  });
  return names.filter((name) => name.endsWith('.yaml')).map((name) => basename(name, '.yaml'));
}

/** Every preset by name: all settings, architectures, methods and smoothings with one another. */
export async function presets(): Promise<ReadonlyMap<string, PresetParts>> {
  const [settings, methods, smoothings] = await Promise.all(
    ['settings', 'methods', 'smoothing'].map(filesIn),
  );
  const parts = (settings ?? [])
    .sort()
    .flatMap((setting) =>
      ARCHITECTURES.flatMap((architecture) =>
        (methods ?? [])
          .sort()
          .flatMap((method) =>
            (smoothings ?? [])
              .sort()
              .map((smoothing): PresetParts => ({ setting, architecture, method, smoothing })),
          ),
      ),
    );
  return new Map(parts.map((part) => [nameOf(part), part]));
}

/** A preset with the source of each number, by the setting's name. */
export interface SourcedPreset {
  readonly given: GivenSettings;
  readonly sources: Readonly<Partial<Record<SettingName, string>>>;
}

/**
 * The settings of a preset.
 * @throws UsageError with the nearest name where there is none of this
 */
export const readPreset = async (name: string): Promise<GivenSettings> => (await sourcedPreset(name)).given;

/** As `readPreset`, with sources. @throws as `readPreset` */
export async function sourcedPreset(name: string): Promise<SourcedPreset> {
  const all = await presets();
  const parts = all.get(name);
  if (parts === undefined) {
    const suggestion = nearest(name, [...all.keys()]);
    throw new UsageError(
      `--preset: expected the name of a preset, got "${name}"; ` +
        `${suggestion === undefined ? '`tautnet presets` lists all' : `did you mean ${suggestion}?`}`,
    );
  }
  const { setting, architecture, method, smoothing } = parts;
  const paths = [`settings/${setting}`, `methods/${method}`, `published/${setting}/${method}`]
    .concat(`smoothing/${smoothing}`)
    .map((file) => join(FOLDER, `${file}.yaml`));
  const files = await Promise.all(paths.filter((path) => existsSync(path)).map(readConfigFile));
  return {
    given: Object.assign({}, ...files.map(({ given }) => given), { architecture }) as GivenSettings,
    sources: Object.assign({}, ...files.map(({ comments }) => comments)) as SourcedPreset['sources'],
  };
}

/**
 * A preset with what a user changes of it. With another number of epochs the places of warm-up and decay in
 * the run stay what they are relative to the whole, as for any run; so they are left to their defaults then.
 */
export function changedPreset(preset: GivenSettings, changes: GivenSettings): GivenSettings {
  const { epochs } = changes;
  if (epochs === undefined || epochs === preset.epochs) return { ...preset, ...changes };
  const { warmupStart: _start, warmupEpochs: _length, learningRateDecayEpochs: _decay, ...rest } = preset;
  const { swaStart, epochs: published } = preset;
  const averaged =
    swaStart === undefined || published === undefined
      ? {}
      : { swaStart: Math.max(1, Math.round((swaStart * epochs) / published)) };
  return { ...rest, ...averaged, ...changes };
}
