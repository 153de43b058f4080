/** The commands of `tautnet`, in the order in which help lists them. */
import { makeCertifyCommand } from './certify.js';
import { makeCheckCommand } from './check.js';
import type { MakeCommand } from './command.js';
import { makeDataCommand } from './data.js';
import { makeDevicesCommand } from './devices.js';
import { makePresetsCommand } from './presets.js';
import { makeTrainCommand } from './train.js';
import { makeVerifyCommand } from './verify.js';

export const COMMANDS: readonly MakeCommand[] = [
  makeTrainCommand,
  makeCertifyCommand,
  makeVerifyCommand,
  makeCheckCommand,
  makeDataCommand,
  makeDevicesCommand,
  makePresetsCommand,
];
