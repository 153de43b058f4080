/** The commands of `tautnet`, in the order in which help lists them. */
import { makeCertifyCommand } from './certify.js';
import type { MakeCommand } from './command.js';
import { makeCompletionCommand } from './completion.js';
import { makeDataCommand } from './data.js';
import { makeDevicesCommand } from './devices.js';
import { makePresetsCommand } from './presets.js';
import { makeSupportsCommand } from './supports.js';
import { makeTrainCommand } from './train.js';
import { makeVerifyCommand } from './verify.js';

export const COMMANDS: readonly MakeCommand[] = [
  makeTrainCommand,
  makeCertifyCommand,
  makeVerifyCommand,
  makeSupportsCommand,
  makeDataCommand,
  makeDevicesCommand,
  makePresetsCommand,
  makeCompletionCommand,
];
