/**
 * Verdicts as files: one JSON line for each image, and the counterexamples as arrays beside them.
 *
 * ```
 * {"image":3,"label":0,"verdict":"certified","stage":"ibp","margin":1.25}
 * {"image":8,"label":5,"verdict":"falsified","stage":"attack","margin":-0.02,"counterexample":0}
 * {"image":9,"label":9,"verdict":"undecided","stage":null,"margin":-0.4}
 * ```
 * Proofs that bound their rounding errors also have `"sound":true`. `counterexample` is a row of
 * `counterexamples`, float32 [rows, features], pixels in the units of the data set; `images`, int32 [rows],
 * says which image each row belongs to, so that the arrays can be checked without the lines.
 */
import { basename, dirname, join } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic-file.js';
import { encodeSafetensors } from '../../formats/safetensors.js';
import type { CertificationReport, Falsified, Verdict } from './verdict.js';

/** Paths of the two files of a certification. */
export interface CertificateFiles {
  readonly verdicts: string;
  readonly counterexamples: string;
}

/**
 * `certificate.jsonl` → `counterexamples.safetensors`, `a.certificate.jsonl` →
 * `a.counterexamples.safetensors`, as is any `a.jsonl`.
 */
export function certificateFiles(verdicts: string): CertificateFiles {
  const stem = basename(verdicts)
    .replace(/\.[^.]+$/, '')
    .replace(/(^|\.)certificate$/, '');
  const name = stem === '' ? 'counterexamples.safetensors' : `${stem}.counterexamples.safetensors`;
  return { verdicts, counterexamples: join(dirname(verdicts), name) };
}

/** A margin that is no number in JSON (no bound at all) becomes null. */
const line = (verdict: Verdict, row: number | undefined, sound: boolean | undefined): string => {
  const { image, label, stage, margin } = verdict;
  return JSON.stringify({
    image,
    label,
    verdict: verdict.verdict,
    stage,
    margin,
    ...(sound && verdict.verdict === 'certified' && { sound }),
    ...(row !== undefined && { counterexample: row }),
  });
};

const isFalsified = (verdict: Verdict): verdict is Falsified => verdict.verdict === 'falsified';

/**
 * Writes both files, each whole or not at all; the arrays first, so that no line refers to a row that is not
 * there.
 * @param about what was certified, kept with the arrays: dataset, architecture, …
 * @throws FileError
 */
export async function writeCertificate(
  { verdicts, counterexamples }: CertificateFiles,
  report: Pick<CertificationReport, 'verdicts' | 'epsilon' | 'sound'>,
  features: number,
  about: Readonly<Record<string, string>> = {},
): Promise<void> {
  const falsified = report.verdicts.filter(isFalsified);
  const data = new Float32Array(falsified.length * features);
  const rows = new Map(falsified.map(({ image }, row) => [image, row]));
  for (const [row, { counterexample }] of falsified.entries()) data.set(counterexample, row * features);
  const bytes = encodeSafetensors(
    {
      counterexamples: { dtype: 'float32', shape: [falsified.length, features], data },
      images: {
        dtype: 'int32',
        shape: [falsified.length],
        data: Int32Array.from(falsified, ({ image }) => image),
      },
    },
    { ...about, epsilon: String(report.epsilon), ...(report.sound && { sound: 'true' }) },
  );
  await writeFileAtomic(counterexamples, bytes);
  await writeFileAtomic(
    verdicts,
    report.verdicts.map((verdict) => `${line(verdict, rows.get(verdict.image), report.sound)}\n`).join(''),
  );
}
