/**
 * What may stand where the cursor is on a command line: commands, options, the choices of an option, preset
 * names piece by piece, files. It follows from the commands themselves, so that no name is written twice.
 */
import type { Argument, Command, Option } from 'commander';
import { presets } from '../experiment/settings/presets.js';
import { choicesOf, settingNamed } from '../experiment/settings/setting-text.js';

export interface Candidate {
  readonly text: string;
  readonly description?: string;
}

/** Candidates, or that a path is wanted, which the shell completes itself. */
export type Completion = readonly Candidate[] | 'files';

/** Names of arguments that are paths. */
const PATHS: readonly string[] = ['path', 'file', 'run', 'network', 'property', 'certificate'];

/**
 * Completions of the last word.
 * @param program the program with all its commands
 * @param words what follows the program's name, up to the cursor; the last may be empty
 * @example
 * completionOf(program, ['train', '--smoo']) // → --smoothing
 */
export async function completionOf(program: Command, words: readonly string[]): Promise<Completion> {
  // Bash takes "--dataset=mnist" apart at "=".
  const line = words.filter((word) => word !== '=').length === 0 ? [''] : words.filter((w) => w !== '=');
  const current = words.at(-1) === '=' ? '' : (line.at(-1) as string);
  const before = words.at(-1) === '=' ? line : line.slice(0, -1);
  const { command, open, count } = positionOf(program, before);
  if (open !== undefined) return valuesOf(open, current);
  const [name, value] = current.split('=', 2);
  if (name?.startsWith('--') && value !== undefined) {
    const option = optionOf(command, name);
    const values = option === undefined ? [] : await valuesOf(option, value);
    return values === 'files' ? 'files' : values.map(({ text }) => ({ text: `${name}=${text}` }));
  }
  if (current.startsWith('-')) return beginning(optionsOf(command), current);
  if (command.commands.length > 0) return beginning(commandsOf(command), current);
  return argumentOf(command, count, current);
}

/** The command that words lead to, its option that still wants a value, and its arguments so far. */
function positionOf(
  program: Command,
  words: readonly string[],
): { readonly command: Command; readonly open?: Option; readonly count: number } {
  let [command, count] = [program, 0];
  let open: Option | undefined;
  for (const word of words) {
    if (open !== undefined) open = undefined;
    else if (word.startsWith('-')) {
      const option = optionOf(command, word);
      if (option?.required) open = option;
    } else {
      const next = command.commands.find((child) => child.name() === word);
      if (next === undefined) count++;
      else [command, count] = [next, 0];
    }
  }
  return { command, open, count };
}

const optionOf = (command: Command, word: string): Option | undefined =>
  command.options.find(({ long, short }) => long === word || short === word);

/** Advanced settings too: whoever types two letters wants to find them. */
const optionsOf = (command: Command): Candidate[] =>
  command.options.map(({ long, short, description }) => ({ text: long ?? short ?? '', description }));

const commandsOf = (command: Command): Candidate[] =>
  command.commands.map((child) => ({ text: child.name(), description: child.description() }));

const beginning = (candidates: readonly Candidate[], current: string): Candidate[] =>
  candidates.filter(({ text }) => text.startsWith(current) && text !== '');

const named = (names: readonly string[], current: string): Candidate[] =>
  beginning(
    names.map((text) => ({ text })),
    current.toLowerCase(),
  );

async function valuesOf(option: Option, current: string): Promise<Completion> {
  const name = option.long?.replace(/^--/, '') ?? '';
  if (name === 'preset') return presetPieces(current);
  const setting = settingNamed(name);
  const choices = setting && choicesOf(setting);
  if (choices !== undefined) {
    // Of names joined by "+" the last one is being written.
    const joined = name === 'relaxation' ? current.lastIndexOf('+') + 1 : 0;
    const head = current.slice(0, joined).toLowerCase();
    return named(
      choices.map((choice) => head + choice),
      current,
    );
  }
  return PATHS.includes(/<([^>]*)>/.exec(option.flags)?.[1] ?? '') ? 'files' : [];
}

async function argumentOf(command: Command, count: number, current: string): Promise<Completion> {
  const argument: Argument | undefined = command.registeredArguments[count];
  if (argument === undefined) return beginning(optionsOf(command), current);
  if (command.name() === 'presets') return presetPieces(current);
  if (argument.argChoices !== undefined) return named(argument.argChoices, current);
  return PATHS.includes(argument.name()) ? 'files' : [];
}

/** Names of presets up to the next "/", as paths are completed: they are more than a thousand. */
async function presetPieces(current: string): Promise<Candidate[]> {
  const depth = current.split('/').length;
  const pieces = Array.from((await presets()).keys(), (name) => {
    const parts = name.split('/');
    return parts.slice(0, depth).join('/') + (parts.length > depth ? '/' : '');
  });
  return named([...new Set(pieces)], current);
}
