/**
 * The program `tautnet`: commands under one name, every error one line on stderr and an exit code.
 *
 * 0: done; 1: could not be done; 2: what was asked for cannot be; 130: interrupted; `verify` has codes of its
 * own for its answers. `TAUTNET_DEBUG=1` adds the stack.
 */
import { Writable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import { Failure, UsageError } from '../experiment/errors.js';
import { VERSION } from '../experiment/version.js';
import { toFileError } from '../formats/file-error.js';
import { ExitWith, Interrupted, type Io, type MakeCommand, type Output } from './command.js';
import { ADVANCED } from './options.js';
import { shared } from './shared-options.js';

/** Short names that other tools use, and names that options once had: understood but not listed. */
const ALIASES: Readonly<Record<string, string>> = {
  '--eps': '--epsilon',
  '--lr': '--learning-rate',
  '--arch': '--architecture',
  '--model': '--architecture',
  '--results': '--out',
  '--timeout-per-image': '--timeout',
  '--verdicts': '--out',
};

/** Arguments up to `--`. */
const before = (argv: readonly string[]): readonly string[] =>
  argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;

/** `tautnet --json train` as `tautnet train --json`: flags of every command may stand before it. */
function flagsLast(argv: readonly string[]): readonly string[] {
  const count = argv.findIndex((word) => word !== '--json' && word !== '--quiet');
  if (count <= 0) return argv;
  const [flags, rest] = [argv.slice(0, count), argv.slice(count)];
  const own = before(rest).length;
  return [...rest.slice(0, own), ...flags, ...rest.slice(own)];
}

/** Arguments with aliases written out, up to `--`. */
function unaliased(argv: readonly string[]): string[] {
  const end = before(argv).length;
  return argv.map((argument, i) => {
    const [flag = '', ...value] = argument.split('=');
    const full = Object.hasOwn(ALIASES, flag) ? ALIASES[flag] : undefined;
    return full === undefined || i >= end ? argument : [full, ...value].join('=');
  });
}

/**
 * Runs the program on arguments (without node and script) and returns its exit code; never throws, never
 * exits.
 */
export async function run(
  argv: readonly string[],
  commands: readonly MakeCommand[],
  io: Io,
): Promise<number> {
  const all = before(argv).includes('--help-all');
  const program = makeProgram(commands, io);
  if (all) for (const command of program.commands) showAll(command);
  try {
    const asked = flagsLast(argv);
    const words = all ? [...asked.filter((word) => word !== '--help-all'), '--help'] : asked;
    await program.parseAsync(unaliased(words), { from: 'user' });
    return 0;
  } catch (thrown) {
    const ending = thrown instanceof ExitWith ? thrown : undefined;
    if (ending !== undefined && ending.cause === undefined) return ending.exitCode;
    const error = ending === undefined ? thrown : ending.cause;
    if (error instanceof CommanderError && (error.exitCode === 0 || error.code === 'commander.help'))
      return error.exitCode === 0 ? 0 : 2;
    const command = program.commands.find((candidate) => candidate.name() === flagsLast(argv)[0])?.name();
    const { code, line } = explain(error, command === undefined ? 'tautnet' : `tautnet ${command}`);
    io.stderr.write(`tautnet: ${line}\n`);
    if (io.environment.TAUTNET_DEBUG === '1') io.stderr.write(`${stackOf(error)}\n`);
    return ending?.exitCode ?? code;
  }
}

/** The program with its commands, unparsed. */
export function makeProgram(commands: readonly MakeCommand[], io: Io): Command {
  const program = new Command('tautnet')
    .description('Certified training of neural networks with Gaussian loss smoothing')
    .version(VERSION, '--version', 'print the version')
    .option('--name', "print the solver's name")
    .on('option:name', () => {
      io.stdout.write('tautnet\n');
      throw new CommanderError(0, 'tautnet.name', 'tautnet');
    })
    .helpOption('-h, --help', 'print help')
    .showSuggestionAfterError()
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage()}` })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      // Errors are printed once, by `run`, in one line.
      outputError: () => undefined,
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
    });
  const { io: quietable, silence } = withSilence(io);
  for (const make of commands) program.addCommand(inheriting(make(quietable), program));
  program.hook('preAction', (_, command) => {
    if (command.opts().quiet) silence();
  });
  return program;
}

/** The terminal for commands, whose notices and progress go nowhere once `silence` was called. */
function withSilence(io: Io): { io: Io; silence: () => void } {
  let silent: Output | undefined;
  return {
    io: Object.defineProperty({ ...io }, 'stderr', { get: () => silent ?? io.stderr }),
    silence() {
      silent = new Writable({ write: (_chunk, _encoding, done) => done() });
    },
  };
}

/** Lists every option in a command's help. */
function showAll(command: Command): void {
  for (const option of command.options) if (ADVANCED.has(option)) option.hideHelp(false);
}

/** A command made elsewhere, and its subcommands, with the program's way of printing and failing. */
function inheriting(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inheriting(child, command);
  // What prints a result has both.
  if (command.commands.length === 0) command.addOption(shared('json')).addOption(shared('quiet'));
  return command;
}

/** Exit code and one line for anything thrown. `invocation` is what to ask for help, "tautnet train". */
function explain(error: unknown, invocation: string): { code: number; line: string } {
  if (error instanceof CommanderError) {
    const message = oneLine(error.message.replace(/^error: /, '')).replace(/\.$/, '');
    return {
      code: 2,
      line: /did you mean/i.test(message)
        ? message
        : `${message}; \`${invocation} --help\` lists what there is`,
    };
  }
  if (error instanceof UsageError || error instanceof Failure || error instanceof Interrupted)
    return { code: error.exitCode, line: oneLine(error.message) };
  if (!(error instanceof Error)) return { code: 1, line: oneLine(String(error)) };
  const system = error as NodeJS.ErrnoException;
  if (system.syscall !== undefined && system.path !== undefined)
    return { code: 1, line: oneLine(toFileError(system.path, system.syscall, error).message) };
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError) {
    return {
      code: 1,
      line:
        `internal error: ${oneLine(error.message)}; set TAUTNET_DEBUG=1 to see where, and please ` +
        'report it',
    };
  }
  return { code: 1, line: oneLine(error.message) };
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ');

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return [
    error.stack ?? error.message,
    ...(error.cause === undefined ? [] : [`caused by: ${stackOf(error.cause)}`]),
  ].join('\n');
}
