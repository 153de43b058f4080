/**
 * Decay of σ over a run: a factor of progress p = epochs done / epochs in all, which multiplies the (initial
 * or learned) σ.
 *
 * With s = (p − from)/(until − from) clamped to [0, 1] and f = `final`, the factor is
 *
 *   constant     1
 *   linear       1 − (1 − f)·s
 *   cosine       f + (1 − f)·(1 + cos πs)/2
 *   exponential  fˢ   (f > 0: it never ends at zero)
 *
 * so it is 1 up to `from`, exactly f after `until`, and monotone and continuous between. With f = 0 smoothing
 * ends at `until`: RGS is plain GRAD from there on. PGPE needs σ > 0 throughout.
 */
import { z } from 'zod';

const shape = z.enum(['constant', 'linear', 'exponential', 'cosine']);

const full = z
  .strictObject({
    shape,
    /** Progress at which the decay begins. */
    from: z.number().min(0).max(1).default(0),
    /** Progress at which it is done. */
    until: z.number().min(0).max(1).default(1),
    /** The factor reached. Default 0; for `exponential` 0.01. */
    final: z.number().min(0).max(1).optional(),
  })
  .transform((decay) => ({
    ...decay,
    final: decay.shape === 'constant' ? 1 : (decay.final ?? (decay.shape === 'exponential' ? 0.01 : 0)),
  }))
  .refine((decay) => decay.from <= decay.until, 'expected from ≤ until')
  .refine(
    (decay) => decay.shape !== 'exponential' || decay.final > 0,
    'expected final above 0 for exponential decay; linear and cosine reach 0',
  );

/** A decay as options give it: its shape alone, or with its span of progress and final factor. */
export type SigmaDecayOptions = z.input<typeof shape> | z.input<typeof full>;
export type SigmaDecay = z.output<typeof full>;
export const sigmaDecaySchema = z.preprocess(
  (decay: SigmaDecayOptions) => (typeof decay === 'string' ? { shape: decay } : decay),
  full,
);

/** The factor in [final, 1] at `progress`, see the formulas above. */
export function sigmaFactor({ shape, from, until, final }: SigmaDecay, progress: number): number {
  if (progress >= until) return final;
  if (progress <= from) return 1;
  const s = (progress - from) / (until - from);
  switch (shape) {
    case 'constant':
      return 1;
    case 'linear':
      return 1 - (1 - final) * s;
    case 'cosine':
      return final + ((1 - final) * (1 + Math.cos(Math.PI * s))) / 2;
    case 'exponential':
      return final ** s;
  }
}
