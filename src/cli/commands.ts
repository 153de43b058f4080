/** The commands of `tautnet`, in the order in which help lists them. */
import { makeCertifyCommand } from './certify.js';
import { makeCheckCommand } from './check.js';
import type { MakeCommand } from './command.js';
import { makeCompareCommand } from './compare.js';
import { makeCompletionCommand } from './completion.js';
import { makeDashboardCommand } from './dashboard.js';
import { makeDataCommand } from './data.js';
import { makeDevicesCommand } from './devices.js';
import { makeExportMetricsCommand } from './export-metrics.js';
import { makeInfoCommand } from './info.js';
import { makeLandscapeCommand } from './landscape.js';
import { makePresetsCommand } from './presets.js';
import { makeReportCommand } from './report.js';
import { makeReproduceCommand } from './reproduce.js';
import { makeSupportsCommand } from './supports.js';
import { makeSweepCommand } from './sweep.js';
import { makeTrainCommand } from './train.js';
import { makeVerifyCommand } from './verify.js';
import { makeWorkerCommand } from './worker.js';

export const COMMANDS: readonly MakeCommand[] = [
  makeTrainCommand,
  makeCertifyCommand,
  makeVerifyCommand,
  makeReportCommand,
  makeDashboardCommand,
  makeCompareCommand,
  makeLandscapeCommand,
  makeSweepCommand,
  makeWorkerCommand,
  makeReproduceCommand,
  makeCheckCommand,
  makeSupportsCommand,
  makeInfoCommand,
  makeExportMetricsCommand,
  makeDataCommand,
  makeDevicesCommand,
  makePresetsCommand,
  makeCompletionCommand,
];
