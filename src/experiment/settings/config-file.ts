/**
 * Configuration files: YAML, one `name: value` a line in kebab-case. A run's own `config.yaml` is one too,
 * with a `tautnet` entry that says who wrote it; so any run can be repeated with `--config`.
 */
import { readFile } from 'node:fs/promises';
import { type Document, isMap, isScalar, LineCounter, parseDocument, stringify } from 'yaml';
import { toFileError } from '../../formats/file-error.js';
import { UsageError } from '../errors.js';
import { checkSetting, unknownSetting, type Whereabouts } from './resolve-settings.js';
import { kebab, settingNamed } from './setting-text.js';
import { type GivenSettings, isIdle, SETTING_NAMES, type SettingName, type Settings } from './settings.js';

/** Who wrote a run's configuration. */
export interface Origin {
  /** Version of the layout of a run folder. */
  readonly format: number;
  readonly version: string;
}

export interface ConfigFile {
  readonly given: GivenSettings;
  /** Where each given setting stands: "mnist.yaml, line 3, column 10: epsilon". */
  readonly whereabouts: Whereabouts;
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
  const lines = new LineCounter();
  const at = (offset: number | undefined): string => {
    const { line, col } = lines.linePos(offset ?? 0);
    return `${source}, line ${Math.max(line, 1)}, column ${Math.max(col, 1)}: `;
  };
  const document: Document.Parsed = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined)
    throw new UsageError(`${at(problem.pos[0])}expected YAML; ${problem.message.split('\n')[0]}`);
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null))
    return { given: {}, whereabouts: kebab, origin: undefined };
  if (!isMap(contents))
    throw new UsageError(
      `${at(contents.range?.[0])}expected "name: value" lines, got something else; write one setting a line`,
    );

  const given: Record<string, unknown> = {};
  const places = new Map<SettingName, string>();
  let origin: unknown;
  for (const { key, value } of contents.items) {
    const place = at(isScalar(key) ? key.range?.[0] : undefined);
    const written = isScalar(key) ? String(key.value) : '?';
    const plain: unknown =
      (value as { toJS?: (document: Document) => unknown } | null)?.toJS?.(document) ?? null;
    const name = settingNamed(written);
    if (written === ORIGIN) {
      origin = plain;
    } else if (name === undefined) {
      throw unknownSetting(written, place);
    } else {
      places.set(name, `${at((value as { range?: number[] } | null)?.range?.[0])}${written}`);
      given[name] = checkSetting(name, plain, places.get(name) as string);
    }
  }
  return { given: given as GivenSettings, whereabouts: (name) => places.get(name) ?? kebab(name), origin };
}

/**
 * The text of a configuration file that holds these settings, in the schema's order; those without effect are
 * left out.
 */
export function configText(settings: GivenSettings, origin?: Origin): string {
  const effective = SETTING_NAMES.filter((name) => settings[name] !== undefined && !isIdle(name, settings));
  const entries = effective.map((name) => [kebab(name), settings[name as keyof Settings]]);
  const head = origin === undefined ? '' : stringify({ [ORIGIN]: origin });
  return (
    head + stringify(Object.fromEntries(entries), { collectionStyle: 'any', flowCollectionPadding: false })
  );
}
