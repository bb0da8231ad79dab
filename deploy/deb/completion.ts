import type { Command } from '../../src/cli/command.ts';
import { optionRows } from '../../src/cli/usage.ts';

/** What a shell offers behind `headgate`: written from the table of commands. Pure. */

const FOLDERS = ['data'];
const FILES = ['config', 'out', 'ca', 'cert', 'key', 'password-file'];

/** The words of an option as typed, long ones and short ones: `-n, --lines`. */
function optionWords(command: Command): string[] {
  return [...optionRows(command).flatMap(([typed]) => typed.split(', ')), '--help'];
}

/** First words of all commands, each once. */
function firstWords(commands: readonly Command[]): string[] {
  return [...new Set(commands.map(({ name }) => name.split(' ')[0] ?? ''))];
}

/** Group → the words that make a command of it. */
function groupsOf(commands: readonly Command[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { name } of commands) {
    const [first = '', second] = name.split(' ');
    if (second !== undefined) groups.set(first, [...(groups.get(first) ?? []), second]);
  }
  return groups;
}

/** Options whose next word is their value, and of which nothing is known. */
function takingText(commands: readonly Command[]): string[] {
  const names = commands.flatMap(({ options }) =>
    Object.entries(options).flatMap(([name, { type }]) => (type === 'string' ? [name] : [])),
  );
  return [...new Set(names)].filter((name) => ![...FOLDERS, ...FILES].includes(name)).sort();
}

function dashed(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join('|');
}

/** /usr/share/bash-completion/completions/headgate */
export function bashCompletion(commands: readonly Command[]): string {
  const groups = [...groupsOf(commands)];
  const cases = commands.map(
    (command) => `    '${command.name}') words='${optionWords(command).join(' ')}' ;;`,
  );
  return `\
# bash completion for headgate

_headgate() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local first=\${COMP_WORDS[1]:-} second=\${COMP_WORDS[2]:-} command words=
  COMPREPLY=()
  if [ "$COMP_CWORD" -gt 1 ]; then
    case $previous in
    ${dashed(FOLDERS)}) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    ${dashed(FILES)}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    ${dashed(takingText(commands))}) return ;;
    esac
  fi
  command=$first
  case $first in
    ${groups.map(([name]) => name).join('|')}) command="$first $second" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${firstWords(commands).join(' ')} --help --version'
  elif [ "$COMP_CWORD" -eq 2 ] && [ "$command" != "$first" ]; then
    case $first in
${groups.map(([name, seconds]) => `    ${name}) words='${seconds.join(' ')} --help' ;;`).join('\n')}
    esac
  else
    case $command in
${cases.join('\n')}
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o filenames -F _headgate headgate
`;
}

/** A text in single quotes, for zsh and fish. */
function inQuotes(text: string, quote: string): string {
  return `'${text.replaceAll("'", quote)}'`;
}

/** /usr/share/fish/vendor_completions.d/headgate.fish */
export function fishCompletion(commands: readonly Command[]): string {
  const lines = ['# fish completion for headgate', 'complete -c headgate -f'];
  const quoted = (text: string) => inQuotes(text.replaceAll('\\', '\\\\'), "\\'");
  for (const first of firstWords(commands)) {
    const known = commands.find(({ name }) => name === first);
    const about = known === undefined ? '' : ` -d ${quoted(known.summary)}`;
    lines.push(`complete -c headgate -n __fish_use_subcommand -a ${first}${about}`);
  }
  for (const command of commands) {
    const [first = '', second] = command.name.split(' ');
    const seen = `__fish_seen_subcommand_from ${first}`;
    if (second !== undefined) {
      const seconds = groupsOf(commands).get(first)?.join(' ') ?? '';
      const not = `not __fish_seen_subcommand_from ${seconds}`;
      const about = quoted(command.summary);
      lines.push(`complete -c headgate -n '${seen}; and ${not}' -a ${second} -d ${about}`);
    }
    const when = second === undefined ? seen : `${seen}; and __fish_seen_subcommand_from ${second}`;
    for (const [typed, help] of optionRows(command)) {
      const name = typed.replace(/^.*--/, '');
      const short = /^-(\w), /.exec(typed)?.[1];
      const letter = short === undefined ? '' : ` -s ${short}`;
      const takes = command.options[name]?.type === 'string' ? ' -r' : '';
      const files = FILES.includes(name) || FOLDERS.includes(name) ? ' -F' : '';
      lines.push(
        `complete -c headgate -n '${when}' -l ${name}${letter}${takes}${files} -d ${quoted(help)}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A row of _describe: the word, a colon, and what it means. */
function described(word: string, about: string): string {
  return inQuotes(`${word.replaceAll(':', '\\:')}:${about}`, "'\\''");
}

/** /usr/share/zsh/vendor-completions/_headgate */
export function zshCompletion(commands: readonly Command[]): string {
  const groups = [...groupsOf(commands)];
  const firsts = firstWords(commands).map((first) =>
    described(first, commands.find(({ name }) => name === first)?.summary ?? `${first} …`),
  );
  const seconds = groups.map(([group, words]) => {
    const rows = words.map((word) =>
      described(word, commands.find(({ name }) => name === `${group} ${word}`)?.summary ?? ''),
    );
    return `    ${group}) rows=(${rows.join(' ')}) ;;`;
  });
  const options = commands.map((command) => {
    const rows = optionRows(command).map(([typed, help]) =>
      described(typed.replace(/^.*--/, '--'), help),
    );
    return `    '${command.name}') rows=(${[...rows, described('--help', '')].join(' ')}) ;;`;
  });
  return `\
#compdef headgate

local -a rows
local first=$words[2] command=$words[2]
if (( CURRENT > 2 )); then
  case $words[CURRENT-1] in
    ${dashed(FOLDERS)}) _files -/; return ;;
    ${dashed(FILES)}) _files; return ;;
    ${dashed(takingText(commands))}) return ;;
  esac
fi
case $first in
  ${groups.map(([name]) => name).join('|')}) command="$words[2] $words[3]" ;;
esac
if (( CURRENT == 2 )); then
  rows=(${firsts.join(' ')})
elif (( CURRENT == 3 )) && [[ $command != $first ]]; then
  case $first in
${seconds.join('\n')}
  esac
else
  case $command in
${options.join('\n')}
  esac
fi
_describe headgate rows
`;
}
