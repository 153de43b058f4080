/** A number for each coordinate of θ, wherever they are. On the host it is a Float32Array. */
export interface Vector {
  readonly length: number;
}
