/** What a sweep is: settings that all trials share, what is searched, and how trials are judged. */
import { UsageError } from '../experiment/errors.js';
import { DEFAULTS } from '../experiment/settings/defaults.js';
import { changedPreset } from '../experiment/settings/presets.js';
import { resolveSettings } from '../experiment/settings/resolve-settings.js';
import { kebab, textFromValue } from '../experiment/settings/setting-text.js';
import { type GivenSettings, SETTING_NAMES, type Settings } from '../experiment/settings/settings.js';
import type { Judge } from './judge.js';
import type { Assignment } from './search/parameter.js';
import { createSearch, type SearchOptions, type Trial } from './search/search.js';

/** A sweep. Plain data: what its folder holds. */
export interface SweepDefinition {
  /** Settings of a preset to start from. */
  readonly preset?: GivenSettings;
  readonly settings: GivenSettings;
  readonly search: Omit<SearchOptions, 'known'>;
  readonly judge: Judge;
  /** Names of the points of a list, by trial. */
  readonly labels?: readonly string[];
}

/** Training images held out where a sweep is judged on them and does not say how many. */
export const HELD_OUT = 1000;

/** What a user would give for a trial: shared settings and the trial's own. */
export function givenSettings(
  { preset = {}, settings, judge }: SweepDefinition,
  point: Assignment,
): GivenSettings {
  const held = judge.on === 'validation' ? { validation: HELD_OUT } : {};
  return changedPreset(preset, { ...held, ...settings, ...(point as GivenSettings) });
}

/** The search of a sweep, from its beginning. @throws UsageError for one that cannot be */
export function searchOf({ search, settings, preset }: SweepDefinition): ReturnType<typeof createSearch> {
  const known = Object.fromEntries(
    Object.entries({ ...preset, ...settings }).filter(([, value]) => value !== undefined),
  ) as Assignment;
  try {
    return createSearch({ ...search, known });
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`sweep: ${error.message}`, { cause: error });
    throw error;
  }
}

/** A trial that the sweep will run, as far as that is known before: promotions are not. */
export interface PlannedTrial {
  readonly number: number;
  readonly settings: Settings;
}

/**
 * Every trial's settings, checked before any work starts.
 * @throws UsageError naming the first trial whose settings cannot be
 */
export function plannedTrials(definition: SweepDefinition): PlannedTrial[] {
  const search = searchOf(definition);
  const planned: PlannedTrial[] = [];
  for (let trial = search.ask(); trial !== undefined; trial = search.ask())
    planned.push({ number: trial.number, settings: settingsOf(definition, trial) });
  return planned;
}

function settingsOf(definition: SweepDefinition, { number, point }: Trial): Settings {
  try {
    const settings = resolveSettings({ ...givenSettings(definition, point), out: 'trial' });
    if (definition.judge.on === 'validation' && settings.validation === 0)
      throw new UsageError('validation: expected images held out to judge by, got 0; hold some out');
    return settings;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`trial ${number} (${pointText(point)}): ${error.message}`, { cause: error });
  }
}

/** "learning-rate 0.01, relaxation crown". */
export const pointText = (point: Assignment): string =>
  Object.entries(point)
    .map(([name, value]) => `${kebab(name)} ${textFromValue(value)}`)
    .join(', ');

/** For a POSIX shell. */
const quoted = (text: string): string => (/^[\w./@%+=:,-]+$/.test(text) ? text : `'${text}'`);

/** The command that trains with these settings; defaults are left out. */
export function commandOf(given: GivenSettings): string {
  const known = resolveSettings({ ...given, out: 'trial' });
  const differs = SETTING_NAMES.filter((name) => {
    if (given[name] === undefined) return false;
    const initial = DEFAULTS[name];
    const usual: unknown = 'value' in initial ? initial.value : initial.from(known);
    return textFromValue(usual) !== textFromValue(given[name]);
  });
  const flags = differs.map((name) => {
    const value = given[name];
    if (typeof value === 'boolean') return value ? `--${kebab(name)}` : `--no-${kebab(name)}`;
    return `--${kebab(name)} ${quoted(textFromValue(value))}`;
  });
  return ['tautnet train', ...flags].join(' ');
}

/** What tells kinds of training apart, in words: "mnist cnn3 certified crown rgs". */
export const commandWords = ({ dataset, architecture, method, relaxation, smoothing }: Settings): string =>
  [dataset, architecture, method, relaxation, smoothing].join(' ');
