/**
 * Training methods by name. To add one: one file that exports a function returning a RobustLoss, and its
 * entry here; flags, help, checks of settings and titles follow from the entry.
 */
import type { Relaxation } from '../relaxation/relaxation.js';
import { ccIbp } from './cc-ibp.js';
import { certified } from './certified.js';
import { expIbp } from './exp-ibp.js';
import { mtlIbp } from './mtl-ibp.js';
import { pgdTraining } from './pgd-training.js';
import type { RobustLoss } from './robust-loss.js';
import { sabr } from './sabr.js';
import { staps } from './staps.js';
import { type TapsOptions, taps } from './taps.js';

/** Options of training methods; each method uses some of them. */
export interface MethodOptions {
  /** Whether the relaxation bounds the loss at once. */
  readonly lossFusion: boolean;
  /** λ, radius of the small box in units of ε. */
  readonly lambda: number;
  /** α, weight of the bound against the attack. */
  readonly alpha: number;
  /** ReLU layers of the classifier block of TAPS. */
  readonly tapsBlock: number;
  readonly tapsEstimator: NonNullable<TapsOptions['estimator']>;
  readonly tapsWeight: number;
  readonly tapsProduct: NonNullable<TapsOptions['product']>;
  /** Epoch at which TAPS follows its warm-up: a schedule reads it. */
  readonly tapsStart: number;
  /** λ_r, part of their upper end that unstable ReLUs keep. */
  readonly reluShrinking: number;
  /** Gradient steps of the attack, the first in units of its radius. */
  readonly attackSteps: number;
  readonly attackStepSize: number;
  readonly attackRestarts: number;
  /** Radius of the ball that an attack on the pixels searches, in units of ε. */
  readonly attackRadius: number;
}

export interface TrainingMethod {
  /** Name of the method in text. */
  readonly title: string;
  /** Relaxations that the method goes with: none, any, or interval bounds alone, which it is made of. */
  readonly relaxations: 'none' | 'any' | 'ibp';
  /** Options that have an effect. */
  readonly uses: readonly (keyof MethodOptions)[];
  /**
   * Measure by which the best epoch is chosen: an accuracy, or the loss for methods that train for a stronger
   * verifier than a cheap bound, whose accuracy would choose the most regularised network.
   */
  readonly score: 'natural' | 'adversarial' | 'certified' | 'loss';
  /** The robust loss; undefined for natural training. */
  readonly create: (options: MethodOptions, relaxation: Relaxation | undefined) => RobustLoss | undefined;
  /** What is minimised before it, up to `tapsStart`; `create` from the first step on unless given. */
  readonly warmup?: TrainingMethod['create'];
}

const ASCENT = ['attackSteps', 'attackStepSize', 'attackRestarts'] as const;
const ATTACK = [...ASCENT, 'attackRadius'] as const;
const TAPS = ['tapsBlock', 'tapsEstimator', 'tapsWeight', 'tapsProduct', 'tapsStart', ...ASCENT] as const;

const ascentOf = ({ attackSteps, attackStepSize, attackRestarts }: MethodOptions) => ({
  steps: attackSteps,
  stepSize: attackStepSize,
  restarts: attackRestarts,
});
const attackOf = (options: MethodOptions) => ({ ...ascentOf(options), radius: options.attackRadius });
const tapsOf = (options: MethodOptions) => ({
  block: options.tapsBlock,
  estimator: options.tapsEstimator,
  weight: options.tapsWeight,
  product: options.tapsProduct,
  attack: ascentOf(options),
});

const sabrOf = (options: MethodOptions) => ({
  lambda: options.lambda,
  shrinking: options.reluShrinking,
  attack: attackOf(options),
});

/** A method that mixes an attack and a bound by α. */
const expressive = (title: string, loss: typeof mtlIbp): TrainingMethod => ({
  title,
  relaxations: 'ibp',
  uses: ['alpha', ...ATTACK],
  score: 'loss',
  create: (options, relaxation) => loss({ alpha: options.alpha, relaxation, attack: attackOf(options) }),
});

const METHODS = {
  natural: {
    title: 'natural training',
    relaxations: 'none',
    uses: [],
    score: 'natural',
    create: () => undefined,
  },
  pgd: {
    title: 'adversarial training',
    relaxations: 'none',
    uses: ATTACK,
    score: 'adversarial',
    create: (options) => pgdTraining(attackOf(options)),
  },
  certified: {
    title: 'certified training',
    relaxations: 'any',
    uses: ['lossFusion'],
    score: 'certified',
    create: ({ lossFusion }, relaxation) => relaxation && certified(relaxation, { fusion: lossFusion }),
  },
  sabr: {
    title: 'SABR',
    relaxations: 'any',
    uses: ['lambda', 'reluShrinking', ...ATTACK],
    score: 'loss',
    create: (options, relaxation) => sabr({ ...sabrOf(options), relaxation }),
  },
  taps: {
    title: 'TAPS',
    relaxations: 'ibp',
    uses: TAPS,
    score: 'loss',
    create: (options) => taps(tapsOf(options)),
    warmup: (_, relaxation) => relaxation && certified(relaxation),
  },
  staps: {
    title: 'STAPS',
    relaxations: 'ibp',
    uses: ['lambda', 'reluShrinking', ...TAPS, 'attackRadius'],
    score: 'loss',
    create: (options) => {
      const { lambda, shrinking, attack } = sabrOf(options);
      return staps({ ...tapsOf(options), lambda, shrinking, inputAttack: attack });
    },
    warmup: (options, relaxation) => sabr({ ...sabrOf(options), relaxation }),
  },
  'mtl-ibp': expressive('MTL-IBP', mtlIbp),
  'cc-ibp': expressive('CC-IBP', ccIbp),
  'exp-ibp': expressive('Exp-IBP', expIbp),
} as const satisfies Record<string, TrainingMethod>;

export type MethodName = keyof typeof METHODS;
export const methods: Readonly<Record<MethodName, TrainingMethod>> = METHODS;
