/**
 * From what a user gave to every setting: each value is checked by the schema, what was left out gets its
 * default, and the conditions between settings are checked. An error is one line that names the setting as
 * the user wrote it.
 */
import { architecture } from '../../network/architectures.js';
import { batchNormNodes } from '../../network/folding.js';
import { reluCount } from '../../objective/blocks.js';
import { methods } from '../../objective/methods.js';
import { relaxationNamed } from '../../relaxation/index.js';
import { UsageError } from '../errors.js';
import { METHODS } from './choices.js';
import { DEFAULTS } from './defaults.js';
import { choicesFor, estimatorDefault } from './estimator-settings.js';
import { imagesOf } from './images.js';
import { RECIPES } from './recipes.js';
import {
  choicesOf,
  expectationOf,
  KEBAB_NAMES,
  kebab,
  kindOf,
  nearest,
  settingNamed,
  suggestionFor,
  textFromValue,
  valueFromText,
} from './setting-text.js';
import {
  conditionOf,
  type GivenSettings,
  informationOf,
  isIdle,
  type SettingName,
  type Settings,
  schemaOf,
} from './settings.js';
import { trainingEpsilon } from './training-epsilon.js';

/** How error lines call a setting: "--epsilon", "mnist.yaml, line 3, column 10: epsilon". */
export type Whereabouts = (name: SettingName) => string;

const inWords = (value: unknown): string => {
  if (typeof value === 'string') return `"${value.length > 60 ? `${value.slice(0, 60)}…` : value}"`;
  if (value === undefined || value === null) return 'nothing';
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value).slice(0, 60);
};

/** The error for a name that is no setting; `prefix` is "--" on the command line. */
export function unknownSetting(text: string, place = '', prefix = ''): UsageError {
  const suggestion = nearest(settingNamed(kebab(text)) === undefined ? text : kebab(text), KEBAB_NAMES);
  const advice =
    suggestion === undefined
      ? '`tautnet train --help-all` lists all'
      : `did you mean ${prefix}${suggestion}?`;
  return new UsageError(`${place}expected the name of a setting, got "${prefix}${text}"; ${advice}`);
}

/**
 * One value checked by its schema. Text is read as on the command line, so that `epsilon: 2/255` works in a
 * file.
 * @throws UsageError in one line
 */
export function checkSetting<Name extends SettingName>(
  name: Name,
  value: unknown,
  where: string,
): Settings[Name] {
  const result = schemaOf(name).safeParse(typeof value === 'string' ? valueOfText(name, value) : value);
  if (result.success) return result.data as Settings[Name];
  const advice = (typeof value === 'string' && adviceOn(name, value, where)) || meaningOf(name);
  throw new UsageError(`${where}: expected ${expectationOf(name)}, got ${inWords(value)}; ${advice}`);
}

/** A fraction as its number, a name in lower case. */
function valueOfText(name: SettingName, text: string): unknown {
  if (kindOf(name) === 'choice') return text.toLowerCase();
  return kindOf(name) === 'number' && text.includes('/') ? valueFromText(name, text) : text;
}

const meaningOf = (name: SettingName): string => {
  const { description, unit } = informationOf(name);
  return `it is: ${description}${unit === undefined ? '' : `, in ${unit}`}`;
};

/** Settings whose names are mistaken for one another. */
const NAMED = ['method', 'relaxation', 'smoothing', 'optimizer', 'architecture', 'dataset'] as const;

/** What was probably meant: "crown is a relaxation, did you mean --relaxation crown?" */
function adviceOn(name: SettingName, text: string, where: string): string | undefined {
  const lower = text.toLowerCase();
  const other = (NAMED as readonly SettingName[]).includes(name)
    ? NAMED.find((candidate) => choicesOf(candidate)?.includes(lower))
    : undefined;
  if (other !== undefined) {
    const written = where.startsWith('--') ? `--${kebab(other)} ${lower}` : `${kebab(other)}: ${lower}`;
    return `${lower} is ${/^[aeiou]/.test(other) ? 'an' : 'a'} ${other}, did you mean ${written}?`;
  }
  const suggestion = suggestionFor(name, lower);
  return suggestion === undefined ? undefined : `did you mean ${suggestion}?`;
}

/**
 * Every setting from those given.
 * @param given names of the library to values, checked here whatever their static type
 * @throws UsageError for an unknown name, a value outside its range, or values that contradict one another
 */
export function resolveSettings(given: GivenSettings, whereabouts: Whereabouts = kebab): Settings {
  const known: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw unknownSetting(name);
    if (value !== undefined)
      known[name] = checkSetting(name as SettingName, value, whereabouts(name as SettingName));
  }
  for (const name of Object.keys(DEFAULTS) as SettingName[]) {
    const initial = DEFAULTS[name];
    const preset: unknown = 'value' in initial ? initial.value : initial.from(known as Settings);
    if (known[name] === undefined) {
      if (preset !== undefined) known[name] = preset;
    } else {
      refuseIdle(name, known as Settings, preset, whereabouts);
    }
    // Defaults of later settings are read off the network.
    if (name === 'architecture') checkNetwork(known as Settings, whereabouts);
  }
  const settings = known as Settings;
  checkTogether(settings, whereabouts);
  return settings;
}

/**
 * A setting that would silently do nothing is an error: the run would not be the experiment that was meant.
 */
function refuseIdle(name: SettingName, known: Settings, preset: unknown, whereabouts: Whereabouts): void {
  const value = known[name];
  if (!isIdle(name, known) || textFromValue(value) === textFromValue(preset)) return;
  const only: readonly string[] = informationOf(name).only ?? [];
  const kind = conditionOf(name);
  if (kind === undefined)
    throw new UsageError(
      `${whereabouts(name)}: expected a curriculum beside it, got ${inWords(value)}; leave it out, or give ` +
        '--curriculum ibp',
    );
  const choices = only.join(' or ');
  throw new UsageError(
    `${whereabouts(name)}: expected ${kind} ${choices}, got ${inWords(value)} with ${kind} ` +
      `${known[kind]}; leave it out, or choose --${kind} ${choices}`,
  );
}

/** Whether pooling fits the images, and each layer what it reads. */
function checkNetwork(settings: Settings, whereabouts: Whereabouts): void {
  const attempt = <T>(name: SettingName, expected: string, make: () => T): T => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const got = textFromValue(settings[name]);
      throw new UsageError(`${whereabouts(name)}: ${expected}, got "${got}"; ${error.message}`);
    }
  };
  const { name, shape, classes } = attempt('pool', 'expected a pooling that fits the images', () =>
    imagesOf(settings),
  );
  attempt('architecture', `expected layers that fit the ${shape.join('×')} images of ${name}`, () =>
    architecture(settings.architecture, shape, classes),
  );
}

function checkTogether(settings: Settings, whereabouts: Whereabouts): void {
  const refuse = (name: SettingName, expected: string, advice: string): never => {
    throw new UsageError(
      `${whereabouts(name)}: expected ${expected}, got ${textFromValue(settings[name])}; ${advice}`,
    );
  };
  const { epochs, warmupStart, warmupEpochs, learningRateDecayEpochs: decay } = settings;
  if (warmupStart + warmupEpochs >= epochs && warmupStart + warmupEpochs > 0) {
    const name = warmupStart >= epochs ? 'warmupStart' : 'warmupEpochs';
    refuse(
      name,
      `the warm-up, which starts at epoch ${warmupStart}, to end before the run of ${epochs} epochs does`,
      'shorten it, or train longer',
    );
  }
  if (decay.some((epoch, i) => i > 0 && epoch <= (decay[i - 1] as number)))
    refuse('learningRateDecayEpochs', 'growing numbers', 'sort them');
  if (decay.some((epoch) => epoch >= epochs))
    refuse(
      'learningRateDecayEpochs',
      `epochs below ${epochs}, the number of epochs`,
      'decay earlier, or train longer',
    );

  const radius = trainingEpsilon(settings);
  if (radius > 1)
    refuse('trainEpsilon', `a radius of at most 1, where ${settings.epsilon} is ε`, 'take a smaller factor');
  checkMethod(settings, refuse);
  checkCurriculum(settings, refuse);
  if (settings.lossFusion && settings.relaxation !== 'crown-ibp')
    refuse(
      'lossFusion',
      `false with relaxation ${settings.relaxation}, which has no loss fusion`,
      'leave it out, or choose --relaxation crown-ibp',
    );
  checkSmoothing(settings, refuse);
  const { trainingImages } = RECIPES[settings.dataset];
  const available = trainingImages - settings.validation;
  if (available < 1)
    refuse(
      'validation',
      `fewer than the ${trainingImages} training images of ${settings.dataset}`,
      'hold out fewer',
    );
  if (settings.trainLimit !== undefined && settings.trainLimit > available) {
    refuse(
      'trainLimit',
      `at most ${available}, the training images of ${settings.dataset} that are not held out`,
      'lower it, or leave it out to use all',
    );
  }
  const images = settings.trainLimit ?? available;
  if (settings.batchSize > images)
    refuse('batchSize', `at most ${images}, the number of training images`, 'choose a smaller batch');
  if (settings.microBatch > settings.batchSize)
    refuse('microBatch', `at most batch-size = ${settings.batchSize}`, 'choose fewer, or leave it out');
}

type Refuse = (name: SettingName, expected: string, advice: string) => never;

function checkMethod(settings: Settings, refuse: Refuse): void {
  const { method, relaxation } = settings;
  if (method === 'natural') {
    for (const name of ['kappa', 'kappaStart'] as const) {
      if (settings[name] > 0)
        refuse(
          name,
          '0 with relaxation none, which has no robust loss',
          'leave it out, or choose a --relaxation',
        );
    }
  }
  const { relaxations, uses } = methods[method];
  const taking = (which: typeof relaxations) =>
    METHODS.filter((each) => methods[each].relaxations === which).join(' or ');
  if (relaxations === 'none' && relaxation !== 'none')
    refuse(
      'relaxation',
      `none with method ${method}, which bounds nothing`,
      'leave it out, or choose another --method',
    );
  if (relaxations !== 'none' && relaxation === 'none')
    refuse(
      'relaxation',
      `a bound with method ${method}`,
      `leave it out, or choose --method ${taking('none')}`,
    );
  if (relaxations === 'ibp' && relaxation !== 'ibp') {
    refuse(
      'relaxation',
      `ibp with method ${method}`,
      `leave it out, or choose --method ${taking('any')}, which take any relaxation`,
    );
  }
  if (uses.includes('tapsBlock')) {
    const { shape, classes } = imagesOf(settings);
    const relus = reluCount(architecture(settings.architecture, shape, classes));
    if (settings.tapsBlock >= relus)
      refuse(
        'tapsBlock',
        `at most ${relus - 1}, as ${settings.architecture} has ${relus} ReLU layers and the first bounds ` +
          'one of them',
        'choose a smaller block',
      );
  }
  if (uses.includes('tapsProduct') && settings.tapsProduct === 'batch') {
    const { microBatch, batchSize } = settings;
    if (microBatch < batchSize)
      refuse(
        'tapsProduct',
        `images where the batch of ${batchSize} is cut into micro-batches of ${microBatch}`,
        `give --micro-batch ${batchSize}`,
      );
  }
  if (uses.includes('reluShrinking') && settings.reluShrinking < 1 && relaxation !== 'ibp')
    refuse('reluShrinking', `1 with relaxation ${relaxation}`, 'leave it out, or choose --relaxation ibp');
  if (settings.swaStart !== undefined && settings.swaStart > settings.epochs)
    refuse('swaStart', `an epoch of the run, at most ${settings.epochs}`, 'start earlier, or leave it out');
  if (settings.swaEvery !== undefined && settings.swaStart === undefined)
    refuse('swaEvery', 'swa-start beside it, from which on networks are averaged', 'give --swa-start');
  if (settings.select === 'best' && settings.validation === 0)
    refuse('select', 'last without validation images', 'hold some out with --validation');
}

function checkCurriculum(settings: Settings, refuse: Refuse): void {
  const { curriculum, relaxation, method, curriculumStart, curriculumEpochs, epochs } = settings;
  if (curriculum === 'none') return;
  if (methods[method].relaxations !== 'any')
    refuse('curriculum', `none with method ${method}, which takes one bound`, 'leave it out');
  if (curriculum === relaxation)
    refuse('curriculum', 'another bound than the relaxation', 'choose a looser one, such as ibp');
  if (settings.smoothing !== 'pgpe' && !relaxationNamed(curriculum).differentiable)
    refuse('curriculum', 'a bound with a derivative', 'choose another, such as ibp');
  if (settings.lossFusion)
    refuse('lossFusion', 'false with a curriculum, which mixes margins', 'leave one of them out');
  if (curriculumStart + curriculumEpochs > epochs)
    refuse('curriculumEpochs', `the curriculum to end within the ${epochs} epochs`, 'shorten it');
}

function checkSmoothing(settings: Settings, refuse: Refuse): void {
  const { smoothing, relaxation, sigma, sigmaMin, sigmaMax, sigmaDecay, sigmaDecayFactor } = settings;
  if (smoothing !== 'pgpe' && relaxation !== 'none' && !relaxationNamed(relaxation).differentiable) {
    const advice =
      'a solver finds it and knows no derivative: choose --smoothing pgpe, which needs values only, or ' +
      '--relaxation alpha-crown';
    refuse('relaxation', `a bound with a derivative, which smoothing ${smoothing} takes`, advice);
  }
  if (smoothing === 'none') return;
  const modes = choicesFor('sigmaMode', smoothing) ?? [];
  if (!modes.includes(settings.sigmaMode))
    refuse('sigmaMode', `${modes.join(' or ')} with smoothing ${smoothing}`, 'choose one of them');
  if (sigmaDecay === 'constant' && sigmaDecayFactor !== 1)
    refuse('sigmaDecayFactor', '1 with sigma-decay constant', 'leave it out, or choose a --sigma-decay');
  if (sigmaDecay === 'exponential' && sigmaDecayFactor === 0) {
    refuse(
      'sigmaDecayFactor',
      'more than 0 with sigma-decay exponential, which never reaches 0',
      'raise it, or choose --sigma-decay linear',
    );
  }
  if (smoothing === 'rgs') checkRgs(settings, refuse);
  if (smoothing !== 'pgpe') return;
  checkControl(settings, refuse);
  if (sigmaDecayFactor === 0)
    refuse('sigmaDecayFactor', 'more than 0 with smoothing pgpe, which has no gradient at σ = 0', 'raise it');
  if (sigma > sigmaMax) refuse('sigma', `at most sigma-max = ${sigmaMax}`, 'lower sigma, or raise sigma-max');
  if (sigma < sigmaMin)
    refuse('sigma', `at least sigma-min = ${sigmaMin}`, 'raise sigma, or lower sigma-min');
  if (settings.samples < 2 && settings.sigmaLearningRate > 0)
    refuse('samples', 'at least 2 pairs to learn σ', 'take more, or set --sigma-learning-rate 0');
}

function checkRgs({ samples, antithetic, unbiased, perturbed }: Settings, refuse: Refuse): void {
  if (antithetic && samples % 2 !== 0)
    refuse('samples', 'an even number with antithetic, which takes them in pairs', 'take one more');
  if (unbiased && samples < (antithetic ? 4 : 2))
    refuse('samples', `at least ${antithetic ? 4 : 2} with unbiased`, 'take more, or leave unbiased out');
  if (unbiased && perturbed === 'weights')
    refuse('perturbed', 'all with unbiased, which needs losses for each gradient', 'leave one of them out');
}

function checkControl({ shaping, controlVariate, controlSamples }: Settings, refuse: Refuse): void {
  if (controlVariate !== 'none' && shaping !== 'none')
    refuse('shaping', 'none with a control variate, which explains losses, not ranks', 'leave it out');
  if (
    controlVariate !== 'rgs' &&
    controlSamples !== estimatorDefault('controlSamples', { smoothing: 'pgpe' })
  )
    refuse('controlSamples', 'control-variate rgs, which takes several gradients', 'leave it out');
}

/** Batch normalisation takes its statistics from micro-batches, so their size changes what is computed. */
const hasMicroStatistics = (settings: Settings): boolean => {
  if (settings.batchStatistics === 'batch') return false;
  const { shape, classes } = imagesOf(settings);
  return batchNormNodes(architecture(settings.architecture, shape, classes)).length > 0;
};

/**
 * Settings of a run that is resumed, with what the user changed. Only settings that change where and how fast
 * a run computes may differ; any other would make it another experiment.
 * @throws UsageError naming the first setting that may not change
 */
export function changeSettings(
  settings: Settings,
  changes: GivenSettings,
  whereabouts: Whereabouts = kebab,
): Settings {
  for (const name of Object.keys(changes) as SettingName[]) {
    if (changes[name] === undefined) continue;
    const value = checkSetting(name, changes[name], whereabouts(name));
    const changeable =
      informationOf(name).changeable && !(name === 'microBatch' && hasMicroStatistics(settings));
    if (changeable || textFromValue(value) === textFromValue(settings[name])) continue;
    throw new UsageError(
      `${whereabouts(name)}: expected ${textFromValue(settings[name] ?? 'nothing')} as when the run was ` +
        `created, got ${textFromValue(value)}; leave it out to resume, or start a new run`,
    );
  }
  const merged = { ...settings, ...changes };
  checkTogether(merged, whereabouts);
  return merged;
}
