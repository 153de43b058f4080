/**
 * Values of flags that belong to a command alone, or that mean what a training setting means, from their
 * text.
 */
import { UsageError } from '../experiment/errors.js';
import { checkSetting } from '../experiment/settings/resolve-settings.js';
import { valueFromText } from '../experiment/settings/setting-text.js';
import type { SettingName, Settings } from '../experiment/settings/settings.js';
import { relaxationNamed } from '../relaxation/index.js';

/** A flag that means what a training setting means, checked as one. @throws UsageError */
export const setting = <Name extends SettingName>(
  name: Name,
  text: string | undefined,
  where: string,
): Settings[Name] | undefined =>
  text === undefined ? undefined : checkSetting(name, valueFromText(name, text), where);

/** @throws UsageError unless the text, if any, is a whole number of at least 1 */
export function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= 1) return value;
  throw new UsageError(`--${name}: expected a whole number of at least 1, got "${text}"`);
}

const DECIMAL = /^\+?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

/** @throws UsageError unless the text, if any, is a decimal number above 0 */
export function positiveNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (DECIMAL.test(text) && Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`--${name}: expected a number above 0, got "${text}"`);
}

/** Relaxations of a list with commas, each once. @throws UsageError naming the one that is none */
export function relaxationList(flag: string, text: string): string[] {
  const names = [...new Set(text.split(','))];
  for (const name of names)
    try {
      relaxationNamed(name);
    } catch (error) {
      throw new UsageError(`--${flag}: ${(error as Error).message}`, { cause: error });
    }
  return names;
}
