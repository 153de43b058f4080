/**
 * Options that several commands have. Each has one name, one unit and one meaning, written here; a command
 * adds its default. `train` has its own from the settings' schema, with the same names and units.
 */
import { Option } from 'commander';
import { DEVICE_CHOICES } from '../runtime/device/device.js';

const SHARED = {
  out: ['--out <path>', 'where the result is written'],
  timeout: ['--timeout <seconds>', 'longest time for one question, a property or an image'],
  memory: [
    '--memory <megabytes>',
    'memory that programs on a device may take, open subproblems of a search and files that are read',
  ],
  sound: [
    '--sound',
    'bounds in float64 less a bound of all their rounding errors: proofs that hold for adversarially ' +
      'chosen weights too',
  ],
  dataset: ['--dataset <name>', 'data set of the test images'],
  epsilon: ['--epsilon <number>', 'radius ε of the ball, in pixel units of [0, 1], fractions like 2/255'],
  dataDir: ['--data-dir <path>', 'folder with the files of the data set'],
  seed: ['--seed <count>', "seed of the attack's random starts"],
  threads: ['--threads <count>', 'worker threads'],
  device: ['--device <name>', `where programs run (${DEVICE_CHOICES.join('|')}), see \`tautnet devices\``],
  junit: ['--junit <file>', 'write a JUnit report for continuous integration'],
  certificate: [
    '--certificate <file>',
    'write how what is proved is proved, for `tautnet check` to prove it again (.gz)',
  ],
  json: ['--json', 'print one JSON object on stdout and nothing else there'],
  quiet: ['--quiet', 'no progress and no notices: errors and the result only'],
} as const;

/** An option of several commands. @param note what the command adds, such as its default */
export function shared(name: keyof typeof SHARED, note?: string): Option {
  const [flags, meaning] = SHARED[name];
  return new Option(flags, note === undefined ? meaning : `${meaning} (${note})`);
}

/** The ball's cut, which is on or off. */
export const clipOptions = (): Option[] => [
  new Option('--clip-box', 'cut the ball to the pixel range [0, 1] (default: as the run)'),
  new Option('--no-clip-box', 'do not'),
];
