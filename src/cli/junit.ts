/** Verdicts as a JUnit report, which continuous integration services show. */
import { createRequire } from 'node:module';
import type { Builder } from 'junit-report-builder';
import { writeFileAtomic } from '../formats/atomic-file.js';

/** One property or image. */
export interface JunitCase {
  readonly name: string;
  readonly seconds?: number;
  /** Why the case counts as failed: a counterexample. */
  readonly failure?: string;
  /** Why it could not be decided. */
  readonly skipped?: string;
}

/** Writes a report with one suite. @throws FileError */
export const writeJunit = (path: string, suite: string, cases: readonly JunitCase[]): Promise<void> =>
  writeFileAtomic(path, junitReport(suite, cases));

/** A report with one suite, in XML. */
export function junitReport(suite: string, cases: readonly JunitCase[]): string {
  // A CommonJS package whose types describe another form of its exports.
  const loaded = createRequire(import.meta.url)('junit-report-builder') as Builder | { default: Builder };
  const builder = ('default' in loaded ? loaded.default : loaded).newBuilder();
  const report = builder.testSuite().name(suite);
  for (const { name, seconds, failure, skipped } of cases) {
    const entry = report.testCase().className(suite).name(name);
    if (seconds !== undefined) entry.time(seconds);
    if (failure !== undefined) entry.failure(failure);
    if (skipped !== undefined) entry.skipped().standardOutput(skipped);
  }
  return `${builder.build()}\n`;
}
