/**
 * The exact answer to a property, for tests: how near the network comes to a polytope, min over its box of
 * max_i c_i·y + d_i·x − b_i.
 *
 * The maximum is a network too, max(u, v) = u + relu(v − u): the rows are put behind the network as layers,
 * and the relaxation `exact` gives the minimum of the one output, in float64.
 */
import { constant, mul } from '../graph/index.js';
import { featuresOf, joinLayer, type Layer, reluLayer } from '../network/layers/layer.js';
import { linearLayer } from '../network/layers/linear.js';
import { INPUT, type Network, type NetworkNode, network, parameterName } from '../network/network.js';
import { exact } from '../relaxation/solver/exact.js';
import type { Polytope } from '../verification/property/property.js';
import { boundProblem, type Feeds, runStages } from './bound-programs.js';

export interface Instance {
  readonly parameters: Readonly<Record<string, Float32Array | Float64Array>>;
  readonly polytope: Polytope;
}

/**
 * The network with the maximum of so many rows over its outputs and inputs behind it, and the nodes of the
 * rows.
 */
function maximumOfRows(
  net: Network,
  rows: number,
): { whole: Network; overOutputs: number[]; overInputs: number[]; differences: number[] } {
  const nodes: NetworkNode[] = [...net.nodes];
  const add = (layer: Layer, ...inputs: number[]): number => nodes.push({ layer, inputs }) - 1;
  const last = nodes.length - 1;
  const one = [1, 1, 1] as const;
  const [overOutputs, overInputs, differences]: [number[], number[], number[]] = [[], [], []];
  let greatest: number | undefined;
  for (let row = 0; row < rows; row++) {
    overOutputs.push(add(linearLayer([net.classes, 1, 1], 1), last));
    overInputs.push(add(linearLayer(net.input, 1), INPUT));
    const value = add(joinLayer(one), overOutputs.at(-1) as number, overInputs.at(-1) as number);
    if (greatest === undefined) greatest = value;
    else {
      differences.push(add(linearLayer(one, 1), greatest));
      const excess = add(reluLayer(one), add(joinLayer(one), value, differences.at(-1) as number));
      greatest = add(joinLayer(one), greatest, excess);
    }
  }
  return {
    whole: network(`${net.name} with ${rows} rows`, net.input, nodes),
    overOutputs,
    overInputs,
    differences,
  };
}

/**
 * The exact minimum of each instance; all of one network, with ReLUs only, and with equally many
 * inequalities.
 */
export async function leastViolations(net: Network, instances: readonly Instance[]): Promise<number[]> {
  const rows = instances[0]?.polytope.unsafe.length ?? 0;
  if (rows < 1 || instances.some(({ polytope }) => polytope.unsafe.length !== rows))
    throw new Error('exact oracle: expected instances of one or more inequalities, equally many each');
  const { whole, overOutputs, overInputs, differences } = maximumOfRows(net, rows);
  const problem = {
    ...boundProblem(whole, 1),
    specification: { kind: 'rows', coefficients: constant([1], [1, 1, 1], 'float64') },
  } as const;
  const { stages, margins } = exact.bound(problem);
  const feeds = instances.map(({ parameters, polytope: { box, unsafe } }): Feeds => {
    const given: Record<string, Float64Array> = { lower: box.lower, upper: box.upper };
    for (const [name, array] of Object.entries(parameters)) given[name] = Float64Array.from(array);
    const set = (node: number, weight: Float64Array, bias: number) => {
      given[parameterName(node, 'weight')] = weight;
      given[parameterName(node, 'bias')] = Float64Array.of(bias);
    };
    unsafe.forEach(({ outputs, inputs, bound }, row) => {
      set(overOutputs[row] as number, outputs, -bound);
      set(overInputs[row] as number, inputs ?? new Float64Array(featuresOf(net.input)), 0);
    });
    for (const node of differences) set(node, Float64Array.of(-1), 0);
    return given;
  });
  const results = await runStages([...stages, { kind: 'whole', outputs: { least: mul(margins, 1) } }], feeds);
  return results.map(({ outputs }) => outputs.least?.[0] as number);
}
