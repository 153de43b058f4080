/** Clipping of a gradient's global norm (Pascanu et al., ICML 2013). */

/** ‖g‖₂ in double precision. */
export function globalNorm(gradient: Float32Array): number {
  let sum = 0;
  for (let j = 0; j < gradient.length; j++) sum += (gradient[j] as number) ** 2;
  return Math.sqrt(sum);
}

/**
 * g·min(1, maxNorm/‖g‖₂): the same array when it is short enough, else a new one of length maxNorm (10 is the
 * field's default). Throws if any entry is not finite, as no step along such a gradient makes sense.
 */
export function clipGlobalNorm(gradient: Float32Array, maxNorm = 10): Float32Array {
  if (!(maxNorm > 0)) throw new RangeError(`clipGlobalNorm: expected a norm above 0, got ${maxNorm}`);
  const norm = globalNorm(gradient);
  if (!Number.isFinite(norm)) {
    const at = gradient.findIndex((g) => !Number.isFinite(g));
    throw new RangeError(
      `clipGlobalNorm: expected a finite gradient, got ${gradient[at]} at coordinate ${at}; lower the ` +
        'learning rate or warm ε up more slowly',
    );
  }
  if (norm <= maxNorm) return gradient;
  const scale = maxNorm / norm;
  return gradient.map((g) => g * scale);
}
