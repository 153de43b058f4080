/** Bytes or text that are not what their format demands: one line that names the source, what was expected, what came. */
export class FormatError extends Error {
  override name = 'FormatError';
}
