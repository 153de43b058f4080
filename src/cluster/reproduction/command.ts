/** The options of the command that does all that has run. */
import type { Experiment } from './claims.js';
import type { Evidence } from './findings.js';

/** `--rows` and `--seeds` of what ran, where that is not what runs unless the user says otherwise. */
export function ranOptions(evidence: readonly Evidence[], usual: readonly Experiment[]): string[] {
  const of = evidence.map(({ experiment: { name, rows }, final }) => {
    const labels = final.definition.labels ?? [];
    const ran = rows.filter((row) => labels.includes(row.name)).map((row) => row.name);
    const experiment = usual.find((each) => each.name === name);
    const needed = experiment?.rows.map((row) => row.name).filter((row) => ran.includes(row)) ?? [];
    const seeds = Math.max(...ran.map((row) => labels.filter((label) => label === row).length));
    return { needed, isAll: needed.length === experiment?.rows.length, seeds, usual: experiment?.seeds };
  });
  const rows = [...new Set(of.flatMap(({ needed }) => needed))];
  return [
    ...(of.every(({ isAll }) => isAll) ? [] : ['--rows', rows.join()]),
    ...(of.every(({ seeds, usual }) => seeds === usual)
      ? []
      : ['--seeds', String(Math.max(...of.map(({ seeds }) => seeds)))]),
  ];
}
