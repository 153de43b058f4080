/**
 * `rows`: bounds of the neurons that earlier bounds leave unstable, a graph over a fixed number of (neuron,
 * image) rows run as often as there are rows; what it does not compute keeps the earlier bounds.
 */
import { vectorJacobian } from '../../../../graph/gradient.js';
import { accumulate } from '../../../../graph/operators/indexing.js';
import { input, inputName } from '../../../../graph/operators/leaves.js';
import { sizeOf, type Tensor } from '../../../../graph/tensor.js';
import { gradientName, sumName } from '../../step.js';
import type { Compiler, StageKind } from '../kind.js';
import { runRowsOnDevice } from './on-device.js';
import { runRowsOnHost } from './on-host.js';
import {
  choosesOnDevice,
  ROW_INDICES,
  type RowBounds,
  type RowsData,
  type RowsProgram,
  type RowsStage,
  type RowsStep,
} from './stage.js';

/** The graph of a stage over `rows` rows. */
interface BuiltRows extends RowBounds {
  readonly rows: number;
}

function buildRows({ build }: RowsStage, rows: number): BuiltRows {
  const [channel, place, position] = ROW_INDICES.map((name) => input(name, [rows], 'int32')) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  return { rows, ...build({ channel, place, position }) };
}

/**
 * The program of the derivative: it adds to the gradients of what the rows read. Coefficients are computed
 * once more, as the runtime would copy arrays that one program left for the other.
 */
function addBackward({ rows, lower, upper }: BuiltRows, compiler: Compiler): RowsProgram {
  const variables = compiler.variablesOf([lower, upper]);
  const cotangents = [
    input(gradientName('lower'), [rows], lower.dtype),
    input(gradientName('upper'), [rows], upper.dtype),
  ];
  const gradients = vectorJacobian([lower, upper], cotangents, variables);
  const sums = variables.map((x, i) =>
    accumulate(input(sumName(inputName(x)), x.shape, x.dtype), gradients[i] as Tensor),
  );
  const outputs = variables.map((x, i) => [gradientName(inputName(x)), sums[i] as Tensor]);
  return { rows, program: compiler.program(Object.fromEntries(outputs)) };
}

function compile(stage: RowsStage, compiler: Compiler): void {
  const { build: _build, capacities, kind: _kind, ...data } = stage;
  const built = capacities.map((rows) => buildRows(stage, rows));
  const variables = compiler.variablesOf(built.flatMap(({ lower, upper }) => [lower, upper]));
  const isActive = variables.length > 0;
  const passThrough = compiler.isActive(stage.cheap.lower) || compiler.isActive(stage.cheap.upper);
  const rows: RowsData = { ...data, passThrough, members: compiler.members };
  compiler.axis.mark([stage.refined.lower, stage.refined.upper]);
  const programs = built.map(
    ({ rows, lower, upper }): RowsProgram => ({ rows, program: compiler.program({ lower, upper }, 'all') }),
  );
  const forward: RowsStep = { kind: 'rows', reverse: false, programs, rows };
  compiler.forward(forward);
  if (!isActive && !passThrough) return;
  compiler.activate([stage.refined.lower, stage.refined.upper]);
  // Rows that depend on nothing differentiated have no programs to run backwards: only their neurons'
  // cotangents end here.
  const reversed = isActive ? built.map((each) => addBackward(each, compiler)) : [];
  const backward: RowsStep = { kind: 'rows', reverse: true, programs: reversed, rows };
  compiler.backward(backward);
}

/**
 * Arrays of the size of its bounds that a stage takes on a device: which rows there are, bounds by turns,
 * indices, and what choosing them takes.
 */
const ARRAYS = 16;

export const rows: StageKind<RowsStage, RowsStep> = {
  hasPopulations: true,
  compile,
  run: runRowsOnHost,
  runOnDevice: runRowsOnDevice,
  fitsDevice: (step) => choosesOnDevice(step.rows),
  place: (step, residence) => residence.toDevice(step),
  deviceNumbers: ({ reverse, rows: { members = 1, shape } }) =>
    reverse ? 0 : ARRAYS * members * sizeOf(shape),
  adds: ({ reverse }) => (reverse ? 'programs' : undefined),
};
