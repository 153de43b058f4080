/**
 * The features of a chain of linear layers and ReLUs as affine forms, exactly: Σ c_a a + t over atoms a,
 * which are what the chain reads and its distinct neurons relu(z).
 *
 * A ReLU whose z is that of another is the same atom. One of −z is no atom either, since relu(−z) = relu(z) −
 * z; one whose z is constant is a constant.
 */
import type { Integers } from './draft.js';
import { exactWeights, integersOf, LARGEST_SHIFT, type LinearNode } from './merged.js';
import { eachOf } from './sparse-rows.js';

/** Numbers are integers in units of the 2^−shift of their forms. */
export interface Form {
  readonly terms: ReadonlyMap<number, bigint>;
  readonly constant: bigint;
}

/** The forms of all features of a layer. */
export interface Forms {
  readonly forms: readonly Form[];
  readonly shift: number;
}

/** Products that may yet be summed. */
export interface Budget {
  products: number;
}

/** The forms of the first atoms, each alone. */
export const atoms = (count: number): Forms => ({
  forms: Array.from({ length: count }, (_, atom) => ({ terms: new Map([[atom, 1n]]), constant: 0n })),
  shift: 0,
});

/** W f + b; undefined where that is not known exactly, or takes too long. */
export function linearForms({ forms, shift }: Forms, node: LinearNode, budget: Budget): Forms | undefined {
  const weights = exactWeights(node);
  const biases = node.exactBias ? integersOf(node.bias, node.biasLow) : undefined;
  if (weights === undefined || biases === undefined) return undefined;
  const products = shift + weights.shift;
  const whole = Math.max(products, biases.shift);
  if (whole > 2 * LARGEST_SHIFT) return undefined;
  const [ofProducts, ofBiases] = [BigInt(whole - products), BigInt(whole - biases.shift)];
  const found = biases.values.map((bias, row): Form => {
    const terms = new Map<number, bigint>();
    let constant = bias << ofBiases;
    eachOf(weights.rows, row, (weight, column) => {
      const form = forms[column] as Form;
      budget.products -= form.terms.size + 1;
      if (budget.products < 0) return;
      for (const [atom, c] of form.terms)
        terms.set(atom, (terms.get(atom) ?? 0n) + ((weight * c) << ofProducts));
      constant += (weight * form.constant) << ofProducts;
    });
    for (const [atom, c] of terms) if (c === 0n) terms.delete(atom);
    return { terms, constant };
  });
  return budget.products < 0 ? undefined : shortened({ forms: found, shift: whole });
}

/** The same numbers in units as large as they allow. */
function shortened({ forms, shift }: Forms): Forms {
  const all = forms.flatMap(({ terms, constant }) => [...terms.values(), constant]);
  let spare = shift;
  for (const value of all) while (spare > 0 && value % (1n << BigInt(spare)) !== 0n) spare--;
  if (spare === 0) return { forms, shift };
  const by = BigInt(spare);
  return {
    forms: forms.map(({ terms, constant }) => ({
      terms: new Map([...terms].map(([atom, c]) => [atom, c >> by])),
      constant: constant >> by,
    })),
    shift: shift - spare,
  };
}

/** The forms behind ReLUs, and the forms z before them whose ReLUs are new atoms, from `first` on. */
export function reluForms(before: Forms, first: number): { readonly after: Forms; readonly neurons: Forms } {
  const { forms, shift } = before;
  const unit = 1n << BigInt(shift);
  const known = new Map<string, { readonly atom: number; readonly sign: bigint }>();
  const neurons: Form[] = [];
  const after = forms.map((form): Form => {
    const { terms, constant } = form;
    if (terms.size === 0) return { terms, constant: constant > 0n ? constant : 0n };
    const sorted = [...terms].sort(([a], [b]) => a - b);
    const sign = (sorted[0] as [number, bigint])[1] > 0n ? 1n : -1n;
    const key = [...sorted.map(([atom, c]) => `${atom}:${sign * c}`), sign * constant].join(' ');
    const twin = known.get(key);
    if (twin === undefined) {
      const atom = first + neurons.length;
      known.set(key, { atom, sign });
      neurons.push(form);
      return { terms: new Map([[atom, unit]]), constant: 0n };
    }
    if (twin.sign === sign) return { terms: new Map([[twin.atom, unit]]), constant: 0n };
    return { terms: new Map(terms).set(twin.atom, unit), constant };
  });
  return { after: { forms: after, shift }, neurons: { forms: neurons, shift } };
}

/** Σ |c_a| of each form, and |t|. */
export const sizesOf = ({ forms, shift }: Forms) => ({
  terms: Float64Array.from(forms, ({ terms }) =>
    [...terms.values()].reduce((sum, c) => sum + Math.abs(Number(c)), 0),
  ).map((size) => size * 2 ** -shift),
  constants: Float64Array.from(forms, ({ constant }) => Math.abs(Number(constant)) * 2 ** -shift),
});

/** The coefficients of some atoms, [forms, atoms], row-major. */
export const coefficientsOf = ({ forms, shift }: Forms, wanted: readonly number[]): Integers => ({
  values: forms.flatMap(({ terms }) => wanted.map((atom) => terms.get(atom) ?? 0n)),
  shift,
});

export const constantsOf = ({ forms, shift }: Forms): Integers => ({
  values: forms.map(({ constant }) => constant),
  shift,
});
