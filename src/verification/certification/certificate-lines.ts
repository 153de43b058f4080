/** Verdicts as they were written, read back line by line. */
import { readFile } from 'node:fs/promises';
import { toFileError } from '../../formats/file-error.js';
import { FormatError } from '../../formats/format-error.js';

/** One line of a run's `certificate.jsonl`. */
export interface CertificateLine {
  /** Index in the test split. */
  readonly image: number;
  readonly label: number;
  readonly verdict: 'certified' | 'falsified' | 'undecided';
  /** The stage that decided; null where none did. */
  readonly stage: string | null;
  /** Proven lower bound of the margin, or the margin at the counterexample; null where there is no bound. */
  readonly margin: number | null;
  /** Row of `counterexamples.safetensors`. */
  readonly counterexample?: number;
}

const VERDICTS: readonly unknown[] = ['certified', 'falsified', 'undecided'];

function lineFrom(text: string): CertificateLine | undefined {
  try {
    const line = JSON.parse(text) as CertificateLine;
    const { image, label, verdict } = line;
    return Number.isInteger(image) && Number.isInteger(label) && VERDICTS.includes(verdict)
      ? line
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Every verdict of a file; none if it is not there.
 * @throws FormatError naming a line that is no verdict; FileError
 */
export async function readCertificateLines(path: string): Promise<CertificateLine[] | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toFileError(path, 'read', error);
  }
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line, i) => {
    const read = lineFrom(line);
    if (read !== undefined) return read;
    throw new FormatError(
      `${path}, line ${i + 1}: expected a verdict on an image, got "${line.slice(0, 60)}"; certify again`,
    );
  });
}
