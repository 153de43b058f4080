/**
 * `tautnet completion SHELL`: a script that completes commands, options, choices and files. The script asks
 * the program for what may come next, `tautnet completion --candidates -- WORDS`, so it never grows old.
 */
import { Argument, Command, Option } from 'commander';
import { UsageError } from '../experiment/errors.js';
import type { MakeCommand } from './command.js';
import { completionOf } from './completion-candidates.js';

const BASH = `_tautnet() {
  local IFS=$'\\n' reply
  reply=($(tautnet completion --candidates -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  if [[ \${reply[0]} == :files ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
  else
    COMPREPLY=("\${reply[@]%%$'\\t'*}")
    if [[ \${#COMPREPLY[@]} == 1 && \${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
  fi
}
complete -F _tautnet tautnet
`;

const ZSH = `#compdef tautnet
_tautnet() {
  local -a reply words_so_far
  words_so_far=("\${(@)words[2,CURRENT]}")
  reply=("\${(@f)$(tautnet completion --candidates -- "\${words_so_far[@]}" 2>/dev/null)}")
  if [[ \${reply[1]} == :files ]]; then
    _files
  else
    reply=("\${(@)reply%%$'\\t'*}")
    compadd -S '' -- "\${(@M)reply:#*/}"
    compadd -- "\${(@)reply:#(*/|)}"
  fi
}
compdef _tautnet tautnet
`;

const FISH = `function __tautnet_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l reply (tautnet completion --candidates -- $words[2..-1] 2>/dev/null)
    if test "$reply" = ':files'
        __fish_complete_path (commandline -ct)
    else
        string join -- \\n $reply
    end
end
complete -c tautnet -f -a '(__tautnet_complete)'
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

const AFTER_HELP = `
bash: add \`eval "$(tautnet completion bash)"\` to ~/.bashrc
zsh:  add \`eval "$(tautnet completion zsh)"\` to ~/.zshrc, after compinit
fish: tautnet completion fish > ~/.config/fish/completions/tautnet.fish
`;

interface CompletionFlags {
  readonly candidates?: boolean;
  readonly json?: boolean;
}

export const makeCompletionCommand: MakeCommand = (io) => {
  const shell = new Argument('<shell>', 'the shell whose script is printed');
  shell.argChoices = Object.keys(SCRIPTS);
  return new Command('completion')
    .description('print a script with which a shell completes commands, options, choices and files')
    .addArgument(shell)
    .argument('[words...]')
    .usage('[options] <shell>')
    .addOption(new Option('--candidates', 'print what may follow the words').hideHelp())
    .addHelpText('after', AFTER_HELP)
    .action(async (first: string, rest: string[], flags: CompletionFlags, command: Command) => {
      if (flags.candidates) {
        const found = await completionOf(command.parent as Command, [first, ...rest]);
        const lines =
          found === 'files'
            ? [':files']
            : found.map(({ text, description }) => (description ? `${text}\t${description}` : text));
        io.stdout.write(lines.map((line) => `${line}\n`).join(''));
        return;
      }
      const script = Object.hasOwn(SCRIPTS, first) ? SCRIPTS[first] : undefined;
      if (script === undefined || rest.length > 0)
        throw new UsageError(
          `completion: expected one of ${Object.keys(SCRIPTS).join(', ')}, ` +
            `got "${[first, ...rest].join(' ')}"`,
        );
      io.stdout.write(flags.json ? `${JSON.stringify({ shell: first, script })}\n` : script);
    });
};
