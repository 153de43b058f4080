/**
 * Variables of a query that are one and the same: inputs that an assertion says are equal, of several
 * networks as a rule, and inputs that are another network's output.
 *
 *   x_i = z_k  or  x_i = y_j
 *
 * Equalities that hold in the whole query are taken out of it: with one variable for both sides they hold
 * exactly, in real numbers and in floats, where a search would have to meet them by chance. What is left are
 * the free inputs z. A network whose inputs are outputs of another runs after it, so equalities that would
 * make two networks wait for each other stay assertions.
 */
import {
  type Constraint,
  elementsOf,
  type LinearConstraint,
  type NetworkDeclaration,
  type TensorAssignment,
  tensorsOf,
  type VnnlibProperty,
} from '../../formats/vnnlib.js';

/** What the inputs of a query are. */
export interface Links {
  /** For each input the free input z_k that it is, k, or the output y_j, −1 − j. */
  readonly of: Int32Array;
  /** For each free input one of the inputs that it is. */
  readonly free: Int32Array;
  /** Networks in an order in which each runs after those whose outputs it reads. */
  readonly order: readonly number[];
}

/** Inputs that are all free, of one network. */
export function plainLinks(inputs: number): Links {
  const all = Int32Array.from({ length: inputs }, (_, i) => i);
  return { of: all, free: all, order: [0] };
}

/** Equal variables a = b of a whole query, each pair once. */
function equalities(constraint: Constraint): [number, number][] {
  const halves = new Set<string>();
  const found: [number, number][] = [];
  // A list of what is left of each and, as there may be a million in one, or one in another.
  const open: { items: readonly Constraint[]; next: number }[] = [{ items: [constraint], next: 0 }];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const item = top.items[top.next++];
    if (item === undefined) open.pop();
    else if ('and' in item) open.push({ items: item.and, next: 0 });
    if (item === undefined || !('variables' in item) || !isOrder(item)) continue;
    const [a, b] = item.variables as [number, number];
    const sign = Math.sign(item.coefficients[0] as number);
    if (halves.has(`${a} ${b} ${-sign}`) && !halves.has(`${a} ${b} ${sign}`)) found.push([a, b]);
    halves.add(`${a} ${b} ${sign}`);
  }
  return found;
}

/** c · (a − b) ≤ 0. */
const isOrder = ({ variables, coefficients, bound, strict }: LinearConstraint): boolean =>
  variables.length === 2 && bound === 0 && !strict && coefficients[0] === -(coefficients[1] as number);

/** The network of each input, and of each output. */
function owners(networks: readonly NetworkDeclaration[], ofInputs: boolean): number[] {
  return networks.flatMap(({ tensors }, network) =>
    tensors
      .filter(({ kind }) => (kind === 'input') === ofInputs)
      .flatMap((tensor) => Array<number>(elementsOf(tensor)).fill(network)),
  );
}

/** Whether networks can run one after another; their order. */
function orderOf(networks: number, after: readonly ReadonlySet<number>[]): number[] | undefined {
  const order: number[] = [];
  for (let round = 0; round < networks; round++)
    for (let n = 0; n < networks; n++)
      if (!order.includes(n) && [...(after[n] as ReadonlySet<number>)].every((m) => order.includes(m)))
        order.push(n);
  return order.length === networks ? order : undefined;
}

/** Finds which variables of a query of several tensors are one. */
export function linksOf({ inputs, constraint, networks = [] }: VnnlibProperty): Links {
  const root = Int32Array.from({ length: inputs }, (_, i) => i);
  const rootOf = (i: number): number => {
    let at = i;
    while (root[at] !== at) at = root[at] = root[root[at] as number] as number;
    return at;
  };
  const equal = equalities(constraint);
  // The larger number of a pair is that of the input, where one is an output.
  // Stryker disable next-line ConditionalExpression,EqualityOperator: outputs have no root to write to
  for (const [a, b] of equal)
    if (a >= 0) root[Math.max(rootOf(a), rootOf(b))] = Math.min(rootOf(a), rootOf(b));

  const [ofInput, ofOutput] = [owners(networks, true), owners(networks, false)];
  const users = new Map<number, Set<number>>();
  ofInput.forEach((network, i) => {
    const known = users.get(rootOf(i)) ?? new Set();
    users.set(rootOf(i), known.add(network));
  });
  let after: readonly Set<number>[] = networks.map(() => new Set());
  let order = networks.map((_, n) => n);
  const driver = new Map<number, number>();
  for (const [a, b] of equal) {
    if (a >= 0 || b < 0 || driver.has(rootOf(b))) continue;
    const network = ofOutput[-1 - a] as number;
    const reading = users.get(rootOf(b)) as ReadonlySet<number>;
    const next = after.map((before, n) => new Set(reading.has(n) ? [...before, network] : before));
    const possible = orderOf(networks.length, next);
    if (possible === undefined) continue;
    [after, order] = [next, possible];
    driver.set(rootOf(b), a);
  }

  const number = new Map<number, number>();
  const of = Int32Array.from({ length: inputs }, (_, i) => {
    const at = rootOf(i);
    const output = driver.get(at);
    if (output !== undefined) return output;
    const k = number.get(at) ?? number.size;
    number.set(at, k);
    return k;
  });
  return { of, free: Int32Array.from(number.keys()), order };
}

/**
 * A constraint over free inputs and outputs. Coefficients of variables that are one add up.
 * @returns undefined where float64 does not hold a sum
 */
export function linked({ of }: Links, constraint: LinearConstraint): LinearConstraint | undefined {
  const { variables, coefficients } = constraint;
  const sums = new Map<number, number>();
  for (const [k, variable] of variables.entries()) {
    const at = variable >= 0 ? (of[variable] as number) : variable;
    const [before, added] = [sums.get(at) ?? 0, coefficients[k] as number];
    const sum = before + added;
    // The rest of a sum, exactly (Knuth's two-sum).
    const part = sum - before;
    if (before - (sum - part) + (added - part) !== 0) return undefined;
    if (sum === 0) sums.delete(at);
    else sums.set(at, sum);
  }
  const merged = [...sums.keys()].sort((a, b) => a - b);
  return { ...constraint, variables: merged, coefficients: merged.map((v) => sums.get(v) as number) };
}

/** The values of all tensors of a query at free inputs z with outputs y, in the order of the query. */
export function assignmentOf(
  networks: readonly NetworkDeclaration[],
  { of }: Links,
  z: ArrayLike<number>,
  y: ArrayLike<number>,
): TensorAssignment[] {
  return tensorsOf(networks).map((tensor) => {
    const { name, type, shape, kind, first } = tensor;
    const values = Float64Array.from({ length: elementsOf(tensor) }, (_, i) => {
      const variable = kind === 'input' ? (of[first + i] as number) : first - i;
      return variable >= 0 ? (z[variable] as number) : (y[-1 - variable] as number);
    });
    return { name, type, shape, values };
  });
}
