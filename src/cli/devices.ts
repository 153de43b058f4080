/**
 * `tautnet devices`: where programs can run on this machine, why not elsewhere, and what would change that.
 */
import { Command } from 'commander';
import { rowsComputedBy } from '../runtime/kernels/row-kernel.js';
import { type DeviceReport, fastest, surveyDevices } from '../runtime/survey/devices.js';
import { aligned } from './aligned.js';
import type { MakeCommand } from './command.js';

export const makeDevicesCommand: MakeCommand = (io) =>
  new Command('devices')
    .description('what --device may be on this machine: each device is tried and measured')
    .action(async ({ json }: { json?: boolean }) => {
      const devices = await surveyDevices();
      const auto = fastest(devices);
      const rows = rowsComputedBy();
      io.stdout.write(
        json
          ? `${JSON.stringify({ devices, auto, rows })}\n`
          : `${devicesTable(devices, auto)}${rowsLine(rows)}\n`,
      );
    });

/** What computes layers, and bounds of single neurons, on the CPU. */
export const rowsLine = (rows: string): string =>
  rows === 'ort'
    ? 'layers and rows on the cpu: ONNX Runtime (ort), rows several times slower; for the native kernels, ' +
      'run `npm run build` with g++ installed and leave TAUTNET_ROWS unset'
    : `layers and rows on the cpu: the native kernels (${rows})`;

/**
 * Speeds are of matrix products; a device that is not usable is followed by the reason and the step that
 * would make it so.
 */
export function devicesTable(devices: readonly DeviceReport[], auto: string): string {
  const rows = devices.map((report) =>
    report.usable
      ? [report.device, 'usable', `${report.speed.toPrecision(2)} ×`, report.difference.toPrecision(2)]
      : [report.device, 'not usable', '', ''],
  );
  const reasons = devices.flatMap((report) =>
    report.usable ? [] : [`${report.device}: ${report.reason}; to use it, ${report.enable}`],
  );
  return [
    ...aligned([['device', '', 'speed against the CPU', 'difference from it'], ...rows]),
    '',
    `auto: ${auto}`,
    ...reasons,
    '',
  ].join('\n');
}
