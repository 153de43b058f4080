/**
 * The ways a command ends badly, by exit code: the user wrote something that cannot be (2), or something
 * sensible could not be done (1). Each is one line: what was expected, what came, what to do. A FileError of
 * `formats/` counts as the latter.
 */

/** What the user asked for cannot be: a wrong flag, value, file or combination. */
export class UsageError extends Error {
  override name = 'UsageError';
  readonly exitCode = 2;
}

/**
 * What the user asked for is sensible but could not be done: a run in use, a damaged checkpoint, an unknown
 * format.
 */
export class Failure extends Error {
  override name = 'Failure';
  readonly exitCode = 1;
}
