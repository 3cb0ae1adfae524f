import type { Command } from 'commander';
import type { Context } from '../io.ts';
import { exits, type Outcome } from '../trouble.ts';
import { kindNames, pluralOf } from './kinds.ts';

interface Entry {
  /** `ticket create`; empty for gp itself. */
  path: string;
  words: string[];
}

const plurals = kindNames.map(pluralOf);
const first: Readonly<Record<string, readonly string[]>> = {
  get: [...plurals, ...kindNames, 'journal', 'site', 'sites'],
  describe: ['cluster', 'host', 'profile'],
  delete: kindNames.filter((kind) => kind !== 'event'),
  logs: ['cluster', 'host'],
  diff: ['profile'],
  plan: ['profile'],
  release: ['profile'],
  completion: ['bash', 'zsh', 'fish'],
};

const optionWords = (command: Command): string[] => command.options.flatMap((option) => [option.short, option.long]).filter((word) => word !== undefined);

/** Words that may follow each command, read from the tree itself, so that the scripts never lag behind. */
const entriesOf = (command: Command, path: readonly string[], inherited: readonly string[]): Entry[] => {
  const words = [
    ...command.commands.map((child) => child.name()),
    ...(path.length === 1 ? (first[path[0] ?? ''] ?? []) : []),
    ...optionWords(command),
    ...inherited,
  ];
  const passed = path.length === 0 ? optionWords(command).filter((word) => word !== '-V' && word !== '--version') : inherited;
  return [
    { path: path.join(' '), words: [...new Set([...words, '--help'])] },
    ...command.commands.flatMap((child) => entriesOf(child, [...path, child.name()], passed)),
  ];
};

const bash = (entries: readonly Entry[]): string => `# gp completion for bash: source <(gp completion bash)
_gp() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" word words i
  case "$previous" in
    -f|--file) COMPREPLY=($(compgen -f -- "$current")); return ;;
    -o|--output) COMPREPLY=($(compgen -W "table wide json yaml name" -- "$current")); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$path $word" in
${entries
  .filter((entry) => entry.path !== '')
  .map((entry) => `      ${entry.path.includes(' ') ? `"${entry.path}"` : `" ${entry.path}"`}) path="${entry.path}" ;;`)
  .join('\n')}
    esac
  done
  case "$path" in
${entries.map((entry) => `    "${entry.path}") words="${entry.words.join(' ')}" ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _gp gp
`;

const zsh = (entries: readonly Entry[]): string => `#compdef gp
# gp completion for zsh: source <(gp completion zsh)
_gp() {
  local path_so_far="" word
  local -a choices
  case "$words[CURRENT-1]" in
    -f|--file) _files; return ;;
    -o|--output) compadd table wide json yaml name; return ;;
  esac
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$path_so_far $word" in
${entries
  .filter((entry) => entry.path !== '')
  .map((entry) => `      ${entry.path.includes(' ') ? `"${entry.path}"` : `" ${entry.path}"`}) path_so_far="${entry.path}" ;;`)
  .join('\n')}
    esac
  done
  case "$path_so_far" in
${entries.map((entry) => `    "${entry.path}") choices=(${entry.words.join(' ')}) ;;`).join('\n')}
  esac
  compadd -- $choices
}
if [ "$funcstack[1]" = "_gp" ]; then _gp "$@"; else compdef _gp gp; fi
`;

const fish = (entries: readonly Entry[]): string => {
  const lines = entries.map(({ path, words }) => {
    const parts = path === '' ? [] : path.split(' ');
    const children = entries
      .filter((entry) => entry.path !== '' && entry.path.startsWith(path === '' ? '' : `${path} `) && entry.path.split(' ').length === parts.length + 1)
      .map((entry) => entry.path.split(' ').at(-1) ?? '');
    const seen = parts.map((part) => `__fish_seen_subcommand_from ${part}`);
    const unseen = children.length === 0 ? [] : [`not __fish_seen_subcommand_from ${children.join(' ')}`];
    const condition = [...seen, ...unseen].join('; and ') || 'true';
    return `complete -c gp -n '${condition}' -a '${words.join(' ')}'`;
  });
  return `# gp completion for fish: gp completion fish | source
complete -c gp -f
${lines.join('\n')}
complete -c gp -s o -l output -x -a 'table wide json yaml name'
complete -c gp -s f -l file -r -F
`;
};

/** `gp completion bash|zsh|fish`. */
export const completion = async (context: Context, program: Command, shell: string): Promise<Outcome> => {
  const entries = entriesOf(program, [], []);
  await context.io.stdout.write(shell === 'zsh' ? zsh(entries) : shell === 'fish' ? fish(entries) : bash(entries));
  return exits.ok;
};
