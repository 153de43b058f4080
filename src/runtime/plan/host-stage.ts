/**
 * A stage of a plan that is no graph: named arrays go to a function of the process that runs the plan, named
 * arrays come back.
 *
 * For what ONNX Runtime cannot do, such as solving linear programs. The function is found by the URL of its
 * module, so that worker threads find it too and this room needs to know none of them.
 */
import { type DType, type HostData, hostArray, type Shape, sizeOf, type Tensor } from '../../graph/tensor.js';

export interface HostStage {
  readonly kind: 'host';
  /** URL of the module whose export `solve`, a `HostSolver`, is called. */
  readonly module: string;
  /** What the solver gets, by its names for them. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Plain data that it gets as well. */
  readonly options: unknown;
  /** The arrays that it gives back, by name; later stages read them as inputs of these names. */
  readonly outputs: Readonly<Record<string, { readonly shape: Shape; readonly dtype: DType }>>;
}

/**
 * From arrays and options to arrays, a pure function. Inputs are read before it returns; an Error of one line
 * says why it cannot answer.
 */
export type HostSolver<Options = unknown> = (
  inputs: Readonly<Record<string, HostData>>,
  options: Options,
) => Promise<Readonly<Record<string, ArrayLike<number>>>>;

export interface HostStep extends Omit<HostStage, 'inputs'> {
  /** Computes the solver's inputs. */
  readonly program: number;
}

/** A program's outputs may not have names of its inputs: what goes to a solver travels under this prefix. */
const PREFIX = '→';

/** The executable form of a stage; `addProgram` encodes a graph and says its number. */
export function hostStep(
  { inputs, ...rest }: HostStage,
  addProgram: (outputs: Record<string, Tensor>) => number,
): HostStep {
  return {
    ...rest,
    program: addProgram(Object.fromEntries(Object.entries(inputs).map(([name, x]) => [PREFIX + name, x]))),
  };
}

/** The error for a plan that would differentiate through the stage. */
export const noDerivative = ({ outputs }: HostStage, variable: string): Error =>
  new Error(
    `plan: expected values only, got a derivative by ${variable}: ${Object.keys(outputs).join(', ')} ` +
      'come from a solver outside the graph; use an estimator that needs values only',
  );

/** The error for a plan of the stage that is to be for a population. */
export const noPopulation = ({ outputs }: HostStage): Error =>
  new Error(
    'plan: expected one set of parameters at a time, got a population: ' +
      `${Object.keys(outputs).join(', ')} come from a solver outside the graph`,
  );

/** Calls the solver with what the step's program made; its arrays by name. */
export async function runHost(
  { module, options, outputs }: HostStep,
  made: Readonly<Record<string, HostData>>,
): Promise<[string, HostData][]> {
  const { solve } = (await import(module)) as { solve: HostSolver };
  const solved = await solve(
    Object.fromEntries(Object.entries(made).map(([name, value]) => [name.slice(PREFIX.length), value])),
    options,
  );
  return Object.entries(outputs).map(([name, { shape, dtype }]) => {
    const value = solved[name];
    if (value?.length !== sizeOf(shape))
      throw new Error(
        `plan: expected ${sizeOf(shape)} values of ${name} from the solver, got ${value?.length ?? 'none'}`,
      );
    const array = hostArray(dtype, value.length);
    array.set(value);
    return [name, array];
  });
}
