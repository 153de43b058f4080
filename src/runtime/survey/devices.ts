/**
 * The devices of this machine: which are usable, why the others are not and what would change that, and which
 * is the fastest.
 *
 * A device is tried in a process of its own (`probe`): it has to compute a small loss and its gradient
 * as the CPU does, and is then measured by matrix products. A software adapter passes the first and loses the
 * second, so `auto` leaves it alone.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compiledUrl } from '../compiled-file.js';
import {
  ACCELERATORS,
  type Accelerator,
  type Device,
  type DeviceChoice,
  firstSentence,
} from '../device/device.js';
import type { Finding } from './probe.js';
import { TOLERANCE } from './self-test.js';

/** Whether programs can run on a device, how fast, or why not. */
export type DeviceReport = { readonly device: Device } & (
  | {
      readonly usable: true;
      /** Speed of float32 matrix products in units of the whole CPU's, all its cores. */
      readonly speed: number;
      /** Greatest relative difference of the self-test's values from the CPU's. */
      readonly difference: number;
    }
  | {
      readonly usable: false;
      readonly reason: string;
      /** The step that would make it usable. */
      readonly enable: string;
    }
);

const probeFile = fileURLToPath(compiledUrl('runtime/survey/probe.js'));

/** Longest that a device may take: a software one compiles its programs for seconds. */
const PATIENCE_MS = 120_000;

/** Starts a process that tries a device; how it ended where it found nothing. */
function probe(device: Device): Promise<Finding> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [probeFile, device], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE_MS,
    });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text;
      });
    child.on('error', ({ message }) => resolve({ error: message }));
    child.on('close', (code, signal) => {
      const line = texts.stdout.split('\n').findLast((text) => text.startsWith('{'));
      // A provider names the library that it lacks in the runtime's log alone.
      const library = /error: (\S+: cannot open shared object file)/.exec(texts.stderr)?.[1];
      if (line !== undefined) resolve(library === undefined ? JSON.parse(line) : { error: library });
      else
        resolve({
          error:
            signal === 'SIGTERM'
              ? `no answer within ${PATIENCE_MS / 1000} s`
              : `the process that tried it ended with ${signal ?? code}`,
        });
    });
  });
}

/** Where ONNX Runtime's libraries are. */
const libraryFolder = (): string =>
  join(
    dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')),
    'bin',
    'napi-v6',
    process.platform,
    process.arch,
  );

/** The step that installs CUDA's provider; `ignore-scripts` keeps it from being downloaded unasked. */
const INSTALL_CUDA = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --ignore-scripts=false';

/** Why a device cannot be there, found without trying it; undefined where it might. */
export function absence(device: Accelerator): { reason: string; enable: string } | undefined {
  if (device !== 'cuda') return undefined;
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return {
      reason: `ONNX Runtime has no CUDA provider for Node on ${process.platform} ${process.arch}`,
      enable: 'use webgpu',
    };
  if (existsSync(join(libraryFolder(), 'libonnxruntime_providers_cuda.so'))) return undefined;
  return {
    reason: "ONNX Runtime's CUDA provider library is not installed",
    enable: `\`${INSTALL_CUDA}\`, with CUDA 12 and cuDNN 9 on the machine`,
  };
}

/** The step that may help a device that was tried in vain. */
function remedy(device: Accelerator, error: string): string {
  if (device === 'cuda')
    return 'install CUDA 12, cuDNN 9 and a driver that fits them, and put their libraries on LD_LIBRARY_PATH';
  if (!/adapter/i.test(error)) return 'update the driver of the graphics processor';
  if (process.platform !== 'linux') return 'install the driver of the graphics processor';
  return (
    'install the Vulkan driver of the graphics processor and the loader (libvulkan1); to try it ' +
    'without one, see VK_ICD_FILENAMES in the README'
  );
}

async function reportOf(device: Accelerator, cpuSpeed: number): Promise<DeviceReport> {
  const absent = absence(device);
  if (absent !== undefined) return { device, usable: false, ...absent };
  const found = await probe(device);
  if ('error' in found)
    return { device, usable: false, reason: firstSentence(found.error), enable: remedy(device, found.error) };
  if (!(found.difference <= TOLERANCE))
    return {
      device,
      usable: false,
      reason:
        `the self-test differs from the CPU by ${found.difference.toPrecision(2)}, at most ` +
        `${TOLERANCE} is allowed`,
      enable: 'update the driver of the graphics processor',
    };
  return { device, usable: true, speed: found.speed / cpuSpeed, difference: found.difference };
}

/** Every device there could be, the CPU first; each is tried once. */
export async function surveyDevices(): Promise<DeviceReport[]> {
  const cpu = await probe('cpu');
  if ('error' in cpu)
    throw new Error(`cpu: ONNX Runtime does not run (${firstSentence(cpu.error)}); install tautnet again`);
  const reports: DeviceReport[] = [{ device: 'cpu', usable: true, speed: 1, difference: 0 }];
  for (const device of ACCELERATORS) reports.push(await reportOf(device, cpu.speed * availableParallelism()));
  return reports;
}

/** The fastest of the usable devices. */
export function fastest(reports: readonly DeviceReport[]): Device {
  const usable = reports.flatMap((report) => (report.usable ? [report] : []));
  return usable.reduce((best, report) => (report.speed > best.speed ? report : best)).device;
}

/**
 * The device that was asked for, tried, or the fastest for `auto`.
 * @throws Error in one line if it is not usable
 */
export async function chooseDevice(choice: DeviceChoice): Promise<Device> {
  if (choice === 'cpu') return choice;
  if (choice === 'auto') return fastest(await surveyDevices());
  const report = await reportOf(choice, 1);
  if (report.usable) return choice;
  throw new Error(
    `--device ${choice}: expected a usable device, ${report.reason}; ${report.enable}, or use --device cpu`,
  );
}
