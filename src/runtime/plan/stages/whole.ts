/** `whole`: a graph. Its inputs are found by name among the caller's feeds and arrays of earlier stages. */
import { gradient, vectorJacobian } from '../../../graph/gradient.js';
import { input, inputName } from '../../../graph/operators/leaves.js';
import { isFloat, type Tensor } from '../../../graph/tensor.js';
import type { DeviceArray } from '../../device/array.js';
import type { Floats } from '../run.js';
import { type WholeStep, wholeStep } from '../single-program.js';
import { gradientName } from '../step.js';
import type { Compiler, StageKind } from './kind.js';

/** One graph, run as a whole. */
export interface WholeStage {
  readonly kind: 'whole';
  readonly outputs: Readonly<Record<string, Tensor>>;
  /** What it computes is constant to the derivative of later stages (default false). */
  readonly constant?: boolean;
}

const gradientOf = (x: Tensor): string => gradientName(inputName(x));

const named = (variables: readonly Tensor[], gradients: readonly Tensor[]): Record<string, Tensor> =>
  Object.fromEntries(variables.map((x, i) => [gradientOf(x), gradients[i] as Tensor]));

/** Values and gradients of the last stage are one program. */
function compileLast({ outputs }: WholeStage, compiler: Compiler): void {
  const variables = compiler.variablesOf(Object.values(outputs));
  if (compiler.differentiates && outputs.loss === undefined)
    throw new Error('plan: expected an output named loss to differentiate');
  const gradients = compiler.differentiates
    ? named(variables, gradient(outputs.loss as Tensor, variables))
    : {};
  const program = compiler.program({ ...outputs, ...gradients }, 'all');
  compiler.forward(wholeStep(program, variables.map(gradientOf)));
}

function compileInner({ outputs, constant = false }: WholeStage, compiler: Compiler): void {
  const variables = compiler.variablesOf(Object.values(outputs));
  const program = compiler.program(outputs);
  const { outputs: encoded } = compiler.encoded(program);
  compiler.axis.mark(encoded.filter(({ lifted }) => lifted).map(({ name }) => name));
  compiler.forward(wholeStep(program));
  if (variables.length === 0 || constant) return;
  const active = Object.entries(outputs).filter(
    ([, y]) => isFloat(y.dtype) && compiler.variablesOf([y]).length > 0,
  );
  compiler.activate(active.map(([name]) => name));
  const cotangents = active.map(([name, y]) => input(gradientName(name), y.shape, y.dtype));
  const values = active.map(([, y]) => y);
  const backward = compiler.program(named(variables, vectorJacobian(values, cotangents, variables)));
  compiler.backward(wholeStep(backward, variables.map(gradientOf)));
}

export const whole: StageKind<WholeStage, WholeStep> = {
  hasPopulations: true,
  compile: (stage, compiler, isLast) =>
    isLast ? compileLast(stage, compiler) : compileInner(stage, compiler),
  async run(run, { program, gradients }) {
    const added = new Set(gradients);
    const into = await run.places(program, (output) => {
      if (added.has(output)) return run.sumsOnDevice ? `${output} of ${program}` : undefined;
      return run.stays(output) ? output : undefined;
    });
    const computed = await run.call(program, {}, into);
    for (const [output, value] of Object.entries({ ...computed, ...into }))
      if (added.has(output)) await run.addGradient(output, value as Floats | DeviceArray);
      else run.arrays.set(output, value);
  },
  place({ program, gradients }, residence) {
    residence.computes(program);
    residence.toHost(gradients);
  },
  adds: ({ gradients }) => (gradients.length > 0 ? 'steps' : undefined),
};
