/** The settings in which claims are looked at, by scale, and what of them is run. */
import { UsageError } from '../../experiment/errors.js';
import type { DeviceChoice } from '../../runtime/device/device.js';
import type { ClaimName, Experiment, Scale } from './claims.js';
import { PAPER } from './paper-experiments.js';
import { SMALL, SMOKE } from './small-experiments.js';

const EXPERIMENTS: Readonly<Record<Scale, readonly Experiment[]>> = {
  smoke: SMOKE,
  small: SMALL,
  paper: PAPER,
};

/** Names of a scale's settings: those that are run unless the user says which, or those that are not. */
export const settingNames = (scale: Scale, which: 'all' | 'usual' | 'optional' = 'all'): string[] =>
  EXPERIMENTS[scale]
    .filter(({ optional }) => which === 'all' || (which === 'optional') === (optional === true))
    .map(({ name }) => name);

/** What of a scale is run. */
export interface Selection {
  /** Names of settings (default: all that are not optional). */
  readonly settings?: readonly string[];
  /** Names of rows (default: all that the claims need, or the usual ones of a setting that says which). */
  readonly rows?: readonly string[];
  /** Where programs run (default: the processor). */
  readonly device?: DeviceChoice;
}

/**
 * What is run to look at some claims: the experiments with the rows that they need and their comparisons.
 * @throws UsageError for settings that look at none of the claims, and for rows that none of them has
 */
export function experimentsFor(
  claims: readonly ClaimName[],
  scale: Scale,
  { settings, rows, device }: Selection = {},
): readonly Experiment[] {
  const looked = EXPERIMENTS[scale]
    .map((experiment) => withClaims(onDevice(experiment, device), claims))
    .filter(({ comparisons }) => comparisons.length > 0);
  const chosen = looked.filter(({ name, optional }) => settings?.includes(name) ?? !optional);
  if (chosen.length === 0)
    throw new UsageError(
      `--setting: expected one that ${claims.join(' or ')} looks at ` +
        `(${looked.map(({ name }) => name).join(', ')}), got ${settings?.join(', ')}; choose another`,
    );
  return rows === undefined ? chosen.map(withUsualRows) : withRows(chosen, rows);
}

/** The processor is not named, as everything that has been published has run there. */
const onDevice = (experiment: Experiment, device: DeviceChoice = 'cpu'): Experiment =>
  device === 'cpu' ? experiment : { ...experiment, settings: { ...experiment.settings, device } };

const withUsualRows = (experiment: Experiment): Experiment => ({
  ...experiment,
  rows: experiment.rows.filter(({ name }) => experiment.usualRows?.includes(name) ?? true),
});

function withClaims(experiment: Experiment, claims: readonly ClaimName[]): Experiment {
  return {
    ...experiment,
    rows: experiment.rows.filter((row) => row.claims.some((claim) => claims.includes(claim))),
    allRows: experiment.rows,
    comparisons: experiment.comparisons.filter(({ claim }) => claims.includes(claim)),
  };
}

/** The experiments that have some of these rows, with those alone. */
function withRows(experiments: readonly Experiment[], names: readonly string[]): readonly Experiment[] {
  const known = [...new Set(experiments.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UsageError(
      `--rows: expected some of ${known.join(', ')}, got "${unknown}"; name rows of the claims and settings`,
    );
  return experiments
    .map((experiment) => ({
      ...experiment,
      rows: experiment.rows.filter(({ name }) => names.includes(name)),
    }))
    .filter(({ rows }) => rows.length > 0);
}
