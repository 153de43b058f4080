/**
 * Settings as people write and read them: kebab-case names, values in text, and what a value is expected to
 * be. All of it follows from the schema.
 */
import { closest, distance } from 'fastest-levenshtein';
import { z } from 'zod';
import { SETTING_NAMES, type SettingName, schemaOf } from './settings.js';

/** `warmupEpochs` → `warmup-epochs`. */
export const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const BY_KEBAB: ReadonlyMap<string, SettingName> = new Map(SETTING_NAMES.map((name) => [kebab(name), name]));
export const KEBAB_NAMES: readonly string[] = [...BY_KEBAB.keys()];

/** The setting called `text` in kebab-case. */
export const settingNamed = (text: string): SettingName | undefined => BY_KEBAB.get(text);

/** The candidate nearest to `text`, if it is near enough to be what was meant. */
export function nearest(text: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0 || text.length === 0) return undefined;
  const best = closest(text.toLowerCase(), candidates as string[]);
  return distance(text.toLowerCase(), best) <= Math.max(2, Math.floor(best.length / 3)) ? best : undefined;
}

/** The part of JSON Schema that settings use. */
interface Limits {
  readonly type?: string;
  readonly enum?: readonly string[];
  /** Names of which a text may join several, and what joins them. */
  readonly choices?: readonly string[];
  readonly joinedBy?: string;
  /** What a text looks like that is none of the choices. */
  readonly form?: string;
  /** Name of the setting that a text like "1.5x" is a factor of. */
  readonly factorOf?: string;
  readonly items?: Limits;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** Limits of a schema; an intersection has those of all its parts. */
function limits(name: SettingName): Limits {
  const { allOf = [], ...own } = z.toJSONSchema(schemaOf(name));
  return Object.assign({}, own, ...allOf) as Limits;
}
const LIMITS = new Map(SETTING_NAMES.map((name) => [name, limits(name)]));
const limitsOf = (name: SettingName): Limits => LIMITS.get(name) as Limits;

/** Values of an enumeration, or names that may be joined; undefined for any other setting. */
export const choicesOf = (name: SettingName): readonly string[] | undefined =>
  limitsOf(name).enum ?? limitsOf(name).choices;

/**
 * The valid text that `text` was probably meant to be, each of its joined names corrected by itself;
 * undefined if nothing is near.
 */
export function suggestionFor(name: SettingName, text: string): string | undefined {
  const choices = choicesOf(name);
  if (choices === undefined) return undefined;
  const { joinedBy } = limitsOf(name);
  const parts = joinedBy === undefined ? [text] : text.split(joinedBy);
  const meant = parts.map((part) => (choices.includes(part) ? part : nearest(part, choices)));
  if (meant.includes(undefined)) return undefined;
  const corrected = [...new Set(meant)].join(joinedBy);
  return schemaOf(name).safeParse(corrected).success ? corrected : undefined;
}

export type SettingKind = 'boolean' | 'choice' | 'integer' | 'number' | 'list' | 'text';

export function kindOf(name: SettingName): SettingKind {
  const { type } = limitsOf(name);
  if (choicesOf(name) !== undefined) return 'choice';
  if (limitsOf(name).factorOf !== undefined) return 'number';
  if (type === 'array') return 'list';
  return type === 'boolean' || type === 'integer' || type === 'number' ? type : 'text';
}

/** Largest whole numbers of settings and of schemas that name no limit. */
const UNLIMITED = [2 ** 31 - 1, Number.MAX_SAFE_INTEGER];

function interval(limits: Limits, integer: boolean): string {
  const low = limits.exclusiveMinimum ?? limits.minimum;
  const high = limits.exclusiveMaximum ?? limits.maximum;
  if (low === undefined) return '';
  if (integer)
    return high === undefined || UNLIMITED.includes(high) ? ` of at least ${low}` : ` from ${low} to ${high}`;
  if (high === undefined)
    return limits.exclusiveMinimum === undefined ? ` of at least ${low}` : ` above ${low}`;
  return (
    ` in ${limits.exclusiveMinimum === undefined ? '[' : '('}${low}, ` +
    `${high}${limits.exclusiveMaximum === undefined ? ']' : ')'}`
  );
}

/** "a number in (0, 1]", "one of adam, sgd, clipup": what the setting's values are. */
export function expectationOf(name: SettingName): string {
  const limits = limitsOf(name);
  switch (kindOf(name)) {
    case 'boolean':
      return 'true or false';
    case 'choice': {
      const joined = limits.joinedBy === undefined ? '' : `, or several joined by ${limits.joinedBy}`;
      const form = limits.form === undefined ? '' : `, or ${limits.form}`;
      return `one of ${(choicesOf(name) ?? []).join(', ')}${joined}${form}`;
    }
    case 'list':
      return 'a list of whole numbers like 50,60, or none';
    case 'integer':
      return `a whole number${interval(limits, true)}`;
    case 'number':
      return limits.factorOf === undefined
        ? `a number${interval(limits, false)}`
        : `a number in (0, 1], or a factor of ${limits.factorOf} above 0 like 1.5x`;
    default:
      return limits.form ?? 'a text that is not empty';
  }
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A decimal number or a fraction like 2/255; undefined for anything else. */
function numberFrom(text: string): number | undefined {
  const parts = text.split('/').map((part) => part.trim());
  if (parts.length > 2 || !parts.every((part) => DECIMAL.test(part))) return undefined;
  const [numerator, denominator = 1] = parts.map(Number) as [number, number?];
  return numerator / denominator;
}

/**
 * The value that `text` stands for: a number, a fraction where numbers need not be whole, true/false, a list
 * with commas. Text that stands for nothing of the setting's kind is returned as it is, for the schema to
 * refuse.
 */
export function valueFromText(name: SettingName, text: string): unknown {
  switch (kindOf(name)) {
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'integer':
      return text.includes('/') ? text : (numberFrom(text) ?? text);
    case 'number':
      return numberFrom(text) ?? text;
    case 'list': {
      if (text === 'none') return [];
      const numbers = text
        .split(',')
        .map((part) => (part.includes('/') ? undefined : numberFrom(part.trim())));
      return numbers.every((number) => number !== undefined) ? numbers : text;
    }
    default:
      return text;
  }
}

/** The text that stands for a value on the command line; inverse of `valueFromText` for valid values. */
export function textFromValue(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(',');
  return String(value);
}
