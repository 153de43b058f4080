/**
 * A number for each coordinate of θ: a Float32Array on the host, or an array on a device. Estimators hand
 * vectors on and never look inside.
 */
export interface Vector {
  readonly length: number;
}
