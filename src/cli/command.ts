import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { findClosestName } from '../closest-name.ts';
import { VERSION } from '../version.ts';

/** Exit code of a command that was called with wrong arguments. */
export const USAGE_EXIT_CODE = 2;

/** The flags and arguments that a command accepts. `--help` and `--version` are always accepted. */
export interface Command<Options extends ParseArgsOptionsConfig = ParseArgsOptionsConfig> {
  /** How people call it, for example `npm run bench --`. Part of the message that names `--help`. */
  usage: string;
  /** The text for `--help`, which ends with a line break. */
  help: string;
  /** Its flags, as `parseArgs` takes them. @default none */
  options?: Options;
  /** Names that it accepts as arguments. @default none: no argument is accepted */
  names?: readonly string[];
  /** Checks arguments in place of `names`. @returns the fault in a sentence, or `null` */
  checkPositionals?: (positionals: string[]) => string | null;
}

type ParsedValues<Options extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>['values'];

export type ParsedCommand<Options extends ParseArgsOptionsConfig> =
  | { kind: 'run'; values: ParsedValues<Options>; positionals: string[] }
  /** For standard output, with exit code 0. */
  | { kind: 'print'; text: string }
  /** For standard error, with {@link USAGE_EXIT_CODE}. */
  | { kind: 'refuse'; text: string };

/** Parses a command line. Never throws. @param args without the program's name */
export function parseCommand<Options extends ParseArgsOptionsConfig>(
  command: Command<Options>,
  args: string[],
): ParsedCommand<Options> {
  const { options = {} as Options, help } = command;
  const all = { ...options, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } } as const;
  const refuse = (fault: string): ParsedCommand<Options> => ({
    kind: 'refuse',
    text: `${fault} ${command.usage} --help lists the arguments.\n`,
  });
  // First without strictness: --help answers whatever else is wrong.
  const { tokens, values: lenient } = parseArgs({ args, options: all, strict: false, tokens: true });
  if (lenient.help) return { kind: 'print', text: help };
  if (lenient.version) return { kind: 'print', text: `posthorn ${VERSION}\n` };
  const unknown = tokens.find((token) => token.kind === 'option' && !(token.name in all));
  if (unknown?.kind === 'option') {
    return refuse(`Unknown flag ${toShort(unknown.rawName)}.${suggest(unknown.name, Object.keys(all), '--')}`);
  }
  try {
    const { values, positionals } = parseArgs({ args, options: all, allowPositionals: true });
    const fault = checkPositionals(command, positionals);
    if (fault !== null) return refuse(fault);
    return { kind: 'run', values: values as ParsedValues<Options>, positionals };
  } catch (error) {
    // A flag without its value, or a value for a flag that has none: Node's first sentence says which.
    return refuse(`${(error as Error).message.split(/\.\s|\n/, 1)[0]?.replace(/\.$/, '')}.`);
  }
}

function checkPositionals<Options extends ParseArgsOptionsConfig>(command: Command<Options>, positionals: string[]) {
  if (command.checkPositionals) return command.checkPositionals(positionals);
  const { names = [] } = command;
  const unknown = positionals.find((name) => !names.includes(name));
  return unknown === undefined ? null : describeUnknownName(unknown, names);
}

/** Says that an argument is unknown, and which one was probably meant. */
export const describeUnknownName = (name: string, names: readonly string[]): string =>
  `Unknown argument ${toShort(name)}.${suggest(name, names)}`;

const SHOWN_CHARS_MAX = 64;
const toShort = (text: string) => (text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text);

function suggest(name: string, names: readonly string[], prefix = ''): string {
  const closest = findClosestName(name.slice(0, SHOWN_CHARS_MAX), names);
  return closest === null ? '' : ` Did you mean ${prefix}${closest}?`;
}

/** Parses this process's command line. Ends the process if it asks for help or the version, or is wrong. */
export function readCommandLine<Options extends ParseArgsOptionsConfig>(command: Command<Options>) {
  const parsed = parseCommand(command, process.argv.slice(2));
  if (parsed.kind === 'run') return parsed;
  const stream = parsed.kind === 'print' ? process.stdout : process.stderr;
  stream.write(parsed.text);
  process.exit(parsed.kind === 'print' ? 0 : USAGE_EXIT_CODE);
}
