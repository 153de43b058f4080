/**
 * Plans: how a worker gets values, and gradients, of a computation made of several programs.
 *
 * Most objectives are one graph. A tight relaxation is not: which neurons need back-substitution is known
 * only after cheaper bounds are computed, and doing all at once would need gigabytes. So a computation is a
 * list of stages over named arrays, each of one of the kinds in `stages/`:
 *
 * - `whole`: a graph;
 * - `rows`: bounds of the neurons that earlier bounds leave unstable, as many rows of a graph as there are;
 * - `row-kernel`: the same bounds by native code where it was built, by its `rows` stage elsewhere;
 * - `interval-kernel`: a graph whose values and intervals of layers native code computes where it was built;
 * - `ascent-kernel`: an `iterate` that climbs a loss, its network by native code where it was built;
 * - `margin-search`: an `iterate` that searches for slopes of rows, by native code where it was built;
 * - `loss-kernel`: a whole objective, values only, by native code, beside the stages that give the same;
 * - `iterate`: a graph run a fixed number of times, what it computes fed back to it;
 * - `host`: a function of this process, such as a solver of linear programs.
 *
 * `compile.ts` turns stages into a plan: encoded programs and steps (`step.ts`), plain data that is sent to
 * workers. A kind runs its steps on what an executor offers (`run.ts`), so that this room opens no program.
 *
 * A plan can be compiled for a population: one run computes the same for many sets of parameters. Then every
 * array that depends on them has a leading axis of members, results and gradients too, and a rows stage runs
 * the unstable neurons of all members side by side.
 */

export type { AscentKernelStage } from './stages/ascent-kernel.js';
export type { HostStage } from './stages/host.js';
export type { HostSolver } from './stages/host-solver.js';
export type { Stage } from './stages/index.js';
export type { IntervalKernelStage } from './stages/interval-kernel.js';
export type { IterateStage } from './stages/iterate.js';
export type { LossKernelStage } from './stages/loss-kernel.js';
export type { RowKernelStage } from './stages/row-kernel.js';
export type { RowBounds, RowIndices, RowsData, RowsStage } from './stages/rows/stage.js';
export type { WholeStage } from './stages/whole.js';
export { gradientName, type Plan, type Step } from './step.js';
