/**
 * Centred ranks: losses replaced by their order, so that outliers and the loss's scale do not matter
 * (Wierstra et al., JMLR 2014; Salimans et al. 2017).
 */

/**
 * rank/(m − 1) − ½ ∈ [−½, ½] of each of m losses, the smallest at −½; equal losses share the mean of their
 * ranks, so that a plateau pulls nowhere. The shaped values sum to 0. A single loss, or all equal, gives
 * zeros.
 */
export function centeredRanks(losses: Float64Array): Float64Array {
  const m = losses.length;
  const shaped = new Float64Array(m);
  if (m < 2) return shaped;
  const order = Uint32Array.from(losses.keys()).sort((a, b) => (losses[a] as number) - (losses[b] as number));
  for (let start = 0; start < m; ) {
    const value = losses[order[start] as number];
    let end = start;
    while (end + 1 < m && losses[order[end + 1] as number] === value) end++;
    const rank = (start + end) / 2;
    for (let i = start; i <= end; i++) shaped[order[i] as number] = rank / (m - 1) - 0.5;
    start = end + 1;
  }
  return shaped;
}
