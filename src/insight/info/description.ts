/** What is known of a path: plain data that `tautnet info` prints. */

export interface Description {
  readonly path: string;
  /** "ONNX network", "run", "VNN-LIB property", … */
  readonly kind: string;
  readonly bytes: number;
  /** Names and values in text, in order. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** What of it can be bounded, or why not. */
  readonly bounds?: string;
  /** Commands to type next. */
  readonly next: readonly string[];
}

/** 1234567 → "1,234,567". */
export const counted = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',');

/** Bytes in the unit that suits them. */
export function sized(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB'];
  const unit = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return unit === 0 ? `${bytes} bytes` : `${(bytes / 1000 ** unit).toFixed(1)} ${units[unit]}`;
}
