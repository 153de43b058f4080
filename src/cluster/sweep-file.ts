/**
 * `sweep.yaml`: settings that all trials share, parameters, and how they are searched. Each value is checked
 * as a setting of `tautnet train` is; errors name file, line and column.
 */
import { readFile } from 'node:fs/promises';
import { isNode } from 'yaml';
import { z } from 'zod';
import { UsageError } from '../experiment/errors.js';
import { readPreset } from '../experiment/settings/presets.js';
import { checkSetting, unknownSetting } from '../experiment/settings/resolve-settings.js';
import { kindOf, settingNamed } from '../experiment/settings/setting-text.js';
import type { GivenSettings, SettingName } from '../experiment/settings/settings.js';
import { yamlText } from '../experiment/settings/yaml-text.js';
import { toFileError } from '../formats/file-error.js';
import type { Direction } from '../insight/runs/pareto.js';
import type { SweepDefinition } from './definition.js';
import type { Parameter, ParameterValue } from './search/parameter.js';

/** What trials can be judged by, and which way is better. */
export const OBJECTIVES = {
  natural: 'maximize',
  certified: 'maximize',
  adversarial: 'maximize',
  minutes: 'minimize',
} as const satisfies Record<string, Direction>;

const DEFAULT_FACTOR = 3;

const number = z.union([z.number(), z.string()]);
const value = z.union([z.number(), z.string(), z.boolean(), z.array(z.number())]);
const condition = z.record(z.string(), z.union([value, z.array(value)]));
const count = z.int().min(1);
const parameter = z.union([
  z.array(value).min(1),
  z.strictObject({ values: z.array(value).min(1), when: condition.optional() }),
  z.strictObject({
    from: number,
    to: number,
    scale: z.enum(['linear', 'log']).optional(),
    steps: count.optional(),
    when: condition.optional(),
  }),
]);

const schema = z.strictObject({
  search: z.enum(['grid', 'random', 'halving']),
  trials: count.optional(),
  seed: z.int().min(0).optional(),
  objectives: z
    .array(z.enum(Object.keys(OBJECTIVES) as (keyof typeof OBJECTIVES)[]))
    .min(1)
    .optional(),
  preset: z.string().optional(),
  settings: z.record(z.string(), z.unknown()).optional(),
  parameters: z.record(z.string(), parameter),
  halving: z.strictObject({ first: count, factor: z.number().min(2).optional() }).optional(),
  judge: z
    .strictObject({
      images: count.optional(),
      complete: z.number().positive().optional(),
      losses: z.array(z.string()).optional(),
    })
    .optional(),
});

type Written = z.infer<typeof schema>;
/** "sweep.yaml, line 3, column 5: parameters.sigma" for a path. */
type Place = (path: readonly PropertyKey[]) => string;

/** Reads a sweep. @throws UsageError with line and column; FileError */
export async function readSweepFile(path: string): Promise<SweepDefinition> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(toFileError(path, 'read', error).message, { cause: error });
  }
  return parseSweep(text, path);
}

/** @param source what errors call the text. @throws UsageError */
export async function parseSweep(text: string, source: string): Promise<SweepDefinition> {
  const { written, place } = parsed(text, source);
  const settings: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(written.settings ?? {})) {
    const at = ['settings', name];
    const setting = nameOf(name, place(at));
    settings[setting] = checkSetting(setting, given, place(at));
  }
  const parameters: Record<string, Parameter> = {};
  for (const [name, given] of Object.entries(written.parameters)) {
    const at = ['parameters', name];
    const setting = nameOf(name, place(at));
    if (setting === 'out')
      throw new UsageError(`${place(at)}: expected a setting other than out, each trial has its own folder`);
    parameters[setting] = parameterOf(setting, given, at, place);
  }
  const { search, trials, seed, halving } = written;
  if (search === 'halving' && halving === undefined)
    throw new UsageError(`${place([])}expected halving: {first: …} beside search: halving, got none; add it`);
  const epochs = settings.epochs as number | undefined;
  if (search === 'halving' && epochs === undefined)
    throw new UsageError(`${place(['halving'])}: expected epochs among settings, its last budget, got none`);
  const objectives = written.objectives ?? ['natural', 'certified'];
  return {
    ...(written.preset !== undefined && { preset: await readPreset(written.preset) }),
    settings: settings as GivenSettings,
    search: {
      search,
      parameters,
      ...(trials !== undefined && { trials }),
      seed: seed ?? 0,
      objectives: Object.fromEntries(objectives.map((name) => [name, OBJECTIVES[name]])),
      ...(search === 'halving' &&
        halving && {
          halving: { first: halving.first, factor: halving.factor ?? DEFAULT_FACTOR, last: epochs as number },
        }),
    },
    judge: { on: 'validation', ...written.judge },
  };
}

function parsed(text: string, source: string): { written: Written; place: Place } {
  const { document, at, plain } = yamlText(text, source);
  const place: Place = (path) => {
    const node = path.length > 0 ? document.getIn(path.map(String), true) : document.contents;
    return `${at(isNode(node) ? node.range?.[0] : undefined)}${path.map(String).join('.')}`;
  };
  const result = schema.safeParse(plain(document.contents, at(undefined)) ?? {});
  if (result.success) return { written: result.data, place };
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  const said =
    issue.code === 'unrecognized_keys'
      ? `expected one of ${Object.keys(schema.shape).join(', ')}, got ${issue.keys[0]}`
      : issue.message.replace(/^Invalid (input|option): /, '').replace(/, received /, ', got ');
  const where = place(issue.path);
  throw new UsageError(`${where}${issue.path.length > 0 ? ': ' : ''}${said}; see docs/guide/sweep.md`);
}

function nameOf(text: string, where: string): SettingName {
  const name = settingNamed(text);
  if (name === undefined) throw unknownSetting(text, `${where}: `);
  return name;
}

function parameterOf(
  name: SettingName,
  given: Written['parameters'][string],
  at: readonly string[],
  place: Place,
): Parameter {
  const checked = (each: unknown, ...more: readonly string[]): ParameterValue =>
    checkSetting(name, each, place([...at, ...more])) as ParameterValue;
  if (Array.isArray(given)) return { values: given.map((each) => checked(each)) };
  const when =
    given.when &&
    Object.fromEntries(
      Object.entries(given.when).map(([other, allowed]) => {
        const where = place([...at, 'when', other]);
        const setting = nameOf(other, where);
        const values = Array.isArray(allowed) && kindOf(setting) !== 'list' ? allowed : [allowed];
        return [setting, values.map((each) => checkSetting(setting, each, where) as ParameterValue)];
      }),
    );
  const conditional = when === undefined ? {} : { when };
  if ('values' in given)
    return { values: given.values.map((each) => checked(each, 'values')), ...conditional };
  const kind = kindOf(name);
  if (kind !== 'integer' && kind !== 'number')
    throw new UsageError(`${place([...at])}: expected a list of values, got a range, but it is no number`);
  return {
    from: checked(given.from, 'from') as number,
    to: checked(given.to, 'to') as number,
    ...(given.scale && { scale: given.scale }),
    ...(kind === 'integer' && { integer: true }),
    ...(given.steps !== undefined && { steps: given.steps }),
    ...conditional,
  };
}
