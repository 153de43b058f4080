/**
 * Configuration files: YAML, one `name: value` a line in kebab-case. A run's own `config.yaml` is one too,
 * with a `tautnet` entry that says who wrote it; so any run can be repeated with `--config`.
 */
import { readFile } from 'node:fs/promises';
import { Document, isMap, isNode, isScalar, stringify } from 'yaml';
import { toFileError } from '../../formats/file-error.js';
import { UsageError } from '../errors.js';
import { checkSetting, unknownSetting, type Whereabouts } from './resolve-settings.js';
import { kebab, settingNamed } from './setting-text.js';
import { type GivenSettings, type SettingName, type Settings, settingsInUse } from './settings.js';
import { yamlText } from './yaml-text.js';

/** Who wrote a run's configuration. */
export interface Origin {
  /** Version of the layout of a run folder. */
  readonly format: number;
  readonly version: string;
  /** What computed rows of tight relaxations (`rowsComputedBy`); runs of older versions do not say. */
  readonly rows?: string;
}

/** Comments on settings, by their names. */
export type Comments = Readonly<Partial<Record<SettingName, string>>>;

export interface ConfigFile {
  readonly given: GivenSettings;
  /** Where each given setting stands: "mnist.yaml, line 3, column 10: epsilon". */
  readonly whereabouts: Whereabouts;
  /** What the file says after the value of each setting that it comments on. */
  readonly comments: Comments;
  /** The `tautnet` entry as it is, in the configuration of a run. */
  readonly origin: unknown;
}

const ORIGIN = 'tautnet';

/** Reads a configuration file. @throws UsageError with line and column; FileError if it cannot be read */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw toFileError(path, 'read', error);
  }
  return parseConfig(text, path);
}

/**
 * Parses the text of a configuration file; every value is checked here, so that its error has a line and a
 * column.
 * @param source what errors call the file
 * @throws UsageError
 */
export function parseConfig(text: string, source: string): ConfigFile {
  const { document, at, plain: plainOf } = yamlText(text, source);
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null))
    return { given: {}, whereabouts: kebab, comments: {}, origin: undefined };
  if (!isMap(contents))
    throw new UsageError(
      `${at(contents.range?.[0])}expected "name: value" lines, got something else; write one setting a line`,
    );

  const given: Record<string, unknown> = {};
  const comments: Partial<Record<SettingName, string>> = {};
  const places = new Map<SettingName, string>();
  let origin: unknown;
  for (const { key, value } of contents.items) {
    const place = at(isScalar(key) ? key.range?.[0] : undefined);
    const written = isScalar(key) ? String(key.value) : '?';
    const plain = plainOf(value, place);
    const name = settingNamed(written);
    if (written === ORIGIN) {
      origin = plain;
    } else if (name === undefined) {
      throw unknownSetting(written, place);
    } else {
      places.set(name, `${at((value as { range?: number[] } | null)?.range?.[0])}${written}`);
      given[name] = checkSetting(name, plain, places.get(name) as string);
      const comment = (value as { comment?: string | null } | null)?.comment?.trim();
      if (comment) comments[name] = comment;
    }
  }
  const whereabouts: Whereabouts = (name) => places.get(name) ?? kebab(name);
  return { given: given as GivenSettings, whereabouts, comments, origin };
}

/**
 * The text of a configuration file that holds these settings, in the schema's order, with what `comments`
 * says after a value; those without effect are left out.
 */
export function configText(settings: GivenSettings, origin?: Origin, comments: Comments = {}): string {
  const effective = settingsInUse(settings);
  const entries = effective.map((name) => [kebab(name), settings[name as keyof Settings]]);
  const head = origin === undefined ? '' : stringify({ [ORIGIN]: origin });
  const document = new Document(Object.fromEntries(entries));
  for (const name of effective) {
    const value = document.get(kebab(name), true);
    if (comments[name] !== undefined && isNode(value)) value.comment = ` ${comments[name]}`;
  }
  return head + document.toString({ collectionStyle: 'any', flowCollectionPadding: false });
}
