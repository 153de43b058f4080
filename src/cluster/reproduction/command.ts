/** The options of the command that does all that has run. */
import type { ClaimName, Experiment } from './claims.js';
import type { Evidence } from './findings.js';

/**
 * `--rows`, `--seeds` and `--device` of what ran for the claims, where that is not what runs unless the user
 * says otherwise.
 */
export function ranOptions(
  evidence: readonly Evidence[],
  claims: readonly ClaimName[],
  usual: readonly Experiment[],
): string[] {
  const of = evidence.map(({ experiment: { name, rows }, final }) => {
    const labels = final.definition.labels ?? [];
    const ran = rows.filter((row) => labels.includes(row.name));
    const experiment = usual.find((each) => each.name === name);
    const needed = ran
      .filter((row) => row.claims.some((claim) => claims.includes(claim)))
      .map((row) => row.name);
    const seeds = Math.max(...ran.map((row) => labels.filter((label) => label === row.name).length));
    const isUsual = needed.join() === experiment?.rows.map((row) => row.name).join();
    return { needed, isUsual, seeds, usual: experiment?.seeds };
  });
  const devices = evidence.flatMap(({ final }) => final.definition.settings.device ?? []);
  const rows = [...new Set(of.flatMap(({ needed }) => needed))];
  return [
    ...(of.every(({ isUsual }) => isUsual) ? [] : ['--rows', rows.join()]),
    ...(of.every(({ seeds, usual }) => seeds === usual)
      ? []
      : ['--seeds', String(Math.max(...of.map(({ seeds }) => seeds)))]),
    ...(devices.length === 0 ? [] : ['--device', devices[0] as string]),
  ];
}
