/** The compiled programs of a certification: one for each stage and batch size, made when first asked for. */
import { type AttackProgram, attackProgram } from '../../attack/attack-program.js';
import { add, type FloatType, input, mul, transpose } from '../../graph/index.js';
import { featuresOf } from '../../network/layers/layer.js';
import { forward as forwardValues, logits, type Network, parameterInputs } from '../../network/network.js';
import { inputBox } from '../../objective/input-box.js';
import { relaxations } from '../../relaxation/index.js';
import { createPlan } from '../../runtime/plan/compile.js';
import { gradientName, type Plan } from '../../runtime/plan/plan.js';
import { withMarginSearch } from '../../runtime/plan/stages/margin-search.js';
import { soundCrown, soundIntervalBounds } from '../branch-and-bound/sound-crown.js';
import { type BoundStage, SOUND_ROWS, type SoundStage } from '../proof/batch-size.js';
import { runningError } from '../proof/running-error.js';

/** Name under which the attack's program gives the gradient in x, [batch, features]. */
export const ATTACK_GRADIENT = gradientName('x');

export interface Programs {
  /** (`images` [batch, features]) → `logits` [classes, batch]. */
  forward(batch: number, dtype?: FloatType): Plan;
  /**
   * (`images`, `epsilon`, `rows` [classes, classes − 1, batch]) → `margins` [classes − 1, batch], in float64:
   * bounds over the ball with their rounding errors taken off.
   */
  sound(stage: SoundStage, batch: number): Plan;
  /** (`images`, `epsilon`) → `error` [classes, batch], running errors of the outputs over the ball. */
  error(batch: number): Plan;
  /** (`images`, `labels` [batch], `epsilon`) → `margins` [classes − 1, batch], lower bounds over the ball. */
  bound(stage: BoundStage, batch: number): Plan;
  /**
   * (`x`, `labels`) → `margins` [batch] and `ATTACK_GRADIENT`, both as outputs: a pool's gradients are those
   * of parameters.
   */
  attack(batch: number): AttackProgram;
}

export function createPrograms(net: Network, clipBox: boolean): Programs {
  const imagesOf = (batch: number, dtype: FloatType = 'float32') =>
    transpose(input('images', [batch, featuresOf(net.input)], dtype));
  const forward = (batch: number, dtype: FloatType = 'float32'): Plan => {
    const outputs = { logits: logits(net, parameterInputs(net, dtype), imagesOf(batch, dtype)) };
    return createPlan([{ kind: 'whole', outputs }]);
  };
  const sound = (stage: SoundStage, batch: number): Plan => {
    const rows = input('rows', [net.classes, net.classes - 1, batch], 'float64');
    const problem = {
      network: net,
      parameters: parameterInputs(net, 'float64'),
      box: inputBox(imagesOf(batch, 'float64'), input('epsilon', [], 'float64'), clipBox),
      specification: { kind: 'rows', coefficients: rows },
      rowFloats: SOUND_ROWS,
    } as const;
    const { ibp, crownIbp } = soundIntervalBounds(problem, rows);
    const margins = { ibp, 'crown-ibp': crownIbp, crown: soundCrown(problem, rows).margins }[stage];
    return createPlan([{ kind: 'whole', outputs: { margins } }]);
  };
  const bound = (stage: BoundStage, batch: number): Plan => {
    const { stages, margins } = relaxations[stage].bound({
      network: net,
      parameters: parameterInputs(net),
      box: inputBox(imagesOf(batch), input('epsilon', []), clipBox),
      specification: { kind: 'labels', labels: input('labels', [batch], 'int32') },
    });
    const searched = stages.map((stage) => (stage.kind === 'iterate' ? withMarginSearch(stage) : stage));
    return createPlan([...searched, { kind: 'whole', outputs: { margins } }]);
  };
  const error = (batch: number): Plan => {
    const box = inputBox(imagesOf(batch), input('epsilon', []), clipBox);
    const parameters = parameterInputs(net);
    const values = forwardValues(net, parameters, mul(add(box.lower, box.upper), 0.5));
    const outputs = { error: runningError(net, parameters, box, values) };
    return createPlan([{ kind: 'whole', outputs }]);
  };
  const attack = (batch: number): AttackProgram => {
    const program = attackProgram(net, batch);
    return { ...program, plan: { ...program.plan, results: ['margins', ATTACK_GRADIENT], wrt: [] } };
  };
  return {
    forward: remembered(forward),
    sound: remembered(sound),
    error: remembered(error),
    bound: remembered(bound),
    attack: remembered(attack),
  };
}

function remembered<A extends readonly (string | number | undefined)[], T>(
  make: (...key: A) => T,
): (...key: A) => T {
  const made = new Map<string, T>();
  return (...key) => {
    const name = key.join(' ');
    const known = made.get(name) ?? make(...key);
    made.set(name, known);
    return known;
  };
}
