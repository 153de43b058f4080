/**
 * `host`: arrays given to a function of this process instead of ONNX Runtime; named arrays come back. It has
 * no derivative, and a plan that would need one is refused.
 *
 * For what ONNX Runtime cannot do, such as solving linear programs. The function is found by the URL of its
 * module, so that worker threads find it too and this room needs to know none of them.
 */
import { inputName } from '../../../graph/operators/leaves.js';
import { type DType, hostArray, type Shape, sizeOf, type Tensor } from '../../../graph/tensor.js';
import type { Run } from '../run.js';
import { nextName, type Step, sentName } from '../step.js';
import { solverOf } from './host-solver.js';
import type { Compiler, StageKind } from './kind.js';

/** A computation on the host between programs, such as a solver's. */
export interface HostStage {
  readonly kind: 'host';
  /** URL of the module whose export `solve`, a `HostSolver`, is called. */
  readonly module: string;
  /** Inputs of the solver, by its names for them. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Plain data that it gets as well. */
  readonly options: unknown;
  /** The arrays that it gives back, by name; later stages read them as inputs of these names. */
  readonly outputs: Readonly<Record<string, { readonly shape: Shape; readonly dtype: DType }>>;
}

export interface HostStep extends Omit<HostStage, 'inputs'>, Step {
  readonly kind: 'host';
  /** Computes the solver's inputs. */
  readonly program: number;
}

/** The error for a plan that would differentiate through the stage. */
const noDerivative = ({ outputs }: HostStage, variable: string): Error =>
  new Error(
    `plan: expected values only, got a derivative by ${variable}: ${Object.keys(outputs).join(', ')} ` +
      'come from a solver outside the graph; use an estimator that needs values only',
  );

/** The error for a plan of the stage that is to be for a population. */
const noPopulation = ({ outputs }: HostStage): Error =>
  new Error(
    'plan: expected one set of parameters at a time, got a population: ' +
      `${Object.keys(outputs).join(', ')} come from a solver outside the graph`,
  );

function compile(stage: HostStage, compiler: Compiler): void {
  if (compiler.members !== undefined) throw noPopulation(stage);
  const { inputs, ...rest } = stage;
  const [variable] = compiler.variablesOf(Object.values(inputs));
  if (variable !== undefined) throw noDerivative(stage, inputName(variable));
  const sent = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [nextName(name), x]));
  const step: HostStep = { ...rest, program: compiler.program(sent) };
  compiler.forward(step);
}

/** Calls the solver with what the step's program computes. */
async function runSolver(run: Run, { module, options, outputs, program }: HostStep): Promise<void> {
  const solve = await solverOf(module);
  const inputs = Object.entries(await run.call(program)).map(([name, value]) => [sentName(name), value]);
  const solved = await solve(Object.fromEntries(inputs), options);
  for (const [name, { shape, dtype }] of Object.entries(outputs)) {
    const values = solved[name];
    if (values?.length !== sizeOf(shape))
      throw new Error(
        `plan: expected ${sizeOf(shape)} values of ${name} from the solver, got ${values?.length ?? 'none'}`,
      );
    const array = hostArray(dtype, values.length);
    array.set(values);
    run.arrays.set(name, array);
  }
}

export const host: StageKind<HostStage, HostStep> = { hasPopulations: false, compile, run: runSolver };
