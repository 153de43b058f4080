/**
 * Data that are missing, incomplete or not what they should be: one line with what was expected, what came
 * and what to do.
 */
export class DataError extends Error {
  override name = 'DataError';
}
