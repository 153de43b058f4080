/**
 * Errors of the file system as one clear line.
 *
 * Node's own message ("ENOSPC: no space left on device, write") does not say which file and not what to do; a
 * run of several hours that ends with it should.
 */

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; free some space or choose another folder',
  EDQUOT: 'the disk quota is used up; free some space or choose another folder',
  EFBIG:
    'the file would be larger than files may be here; raise the limit (ulimit -f) or choose another folder',
  EACCES: 'permission denied; change the permissions or choose another folder',
  EPERM: 'not permitted; change the permissions or choose another folder',
  EROFS: 'the file system is read-only; choose another folder',
  ENOENT: 'no such file or folder; check the path',
  ENOTDIR: 'a part of the path is a file, not a folder; check the path',
  EISDIR: 'a folder is in its place; remove it or choose another name',
  EMFILE: 'too many open files; raise the limit of open files',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
};

/**
 * A file that cannot be read or written. `path` is the file, `code` the system's code (ENOSPC, EACCES, …)
 * where there is one.
 */
export class FileError extends Error {
  override name = 'FileError';
  constructor(
    readonly path: string,
    message: string,
    readonly code?: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** The FileError for what `action` ("read", "write") on `path` threw; one line, whatever came. */
export function toFileError(path: string, action: string, error: unknown): FileError {
  if (error instanceof FileError) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
  // Bytes of an argument that are no UTF-8 have become U+FFFD on their way here.
  const lost = code === 'ENOENT' && path.includes('\ufffd');
  const remedy = lost
    ? 'its name is not UTF-8 and cannot be given; rename it'
    : (REMEDIES[code ?? ''] ?? reason);
  const said = code === undefined ? reason : `${remedy} (${code})`;
  return new FileError(path, `cannot ${action} ${path}: ${said}`, code, error);
}
