/** The warm-up regulariser of Shi et al. 2021 from numbers, layer by layer: what the graph must equal. */

/** Intervals of one layer, [features, batch]. */
export interface PlainBounds {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const shortfall = (ratio: number): number => Math.max(0, 0.5 - ratio) / 0.5;
/** min(ρ, 1/ρ) of ρ = a/b, and 0 where either sum is empty. */
const balance = (a: number, b: number): number => (a > 0 && b > 0 ? Math.min(a / b, b / a) : 0);

/**
 * Mean over the layers of tightness, balance of the means and balance of the variances; `layers` are what the
 * ReLUs read.
 */
export function plainRegularizer(input: PlainBounds, layers: readonly PlainBounds[]): number {
  const width = ({ lower, upper }: PlainBounds) => mean([...upper].map((u, i) => u - (lower[i] as number)));
  const terms = layers.map((layer) => {
    const neurons = [...layer.lower].map((lower, i) => ({
      lower,
      upper: layer.upper[i] as number,
      centre: (lower + (layer.upper[i] as number)) / 2,
    }));
    const middle = mean(neurons.map(({ centre }) => centre));
    const active = neurons.filter(({ lower }) => lower > 0).map(({ centre }) => centre);
    const inactive = neurons.filter(({ upper }) => upper < 0).map(({ centre }) => centre);
    const spread = (centres: number[]) => total(centres.map((c) => (c - middle) ** 2));
    return (
      shortfall(width(input) / width(layer)) +
      shortfall(balance(total(active), -total(inactive))) +
      shortfall(balance(spread(active), spread(inactive)))
    );
  });
  return terms.length === 0 ? 0 : mean(terms);
}
