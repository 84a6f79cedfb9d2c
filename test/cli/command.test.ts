import { describe, expect, it } from 'vitest';
import { type Command, parseCommand } from '../../src/cli/command.ts';
import { VERSION } from '../../src/version.ts';

const COMMAND = {
  usage: 'npm run sample --',
  help: 'The help.\n',
  options: { port: { type: 'string' }, quiet: { type: 'boolean', default: false } },
  names: ['publish', 'deliver'],
} satisfies Command;

const parse = (...args: string[]) => parseCommand(COMMAND, args);

describe('a command line', () => {
  it('yields the values of known flags and the known arguments', () => {
    expect(parse('publish', '--port', '80')).toEqual({
      kind: 'run',
      values: { port: '80', quiet: false },
      positionals: ['publish'],
    });
  });

  it.each([['--help'], ['-h'], ['--wrong', '--help'], ['nonsense', '--help', '--port']])(
    'with %s %s %s prints the help, whatever else is on it',
    (...args) => {
      expect(parse(...args.filter((arg) => arg !== undefined))).toEqual({ kind: 'print', text: 'The help.\n' });
    },
  );

  it('with --version prints the name and version of the package', () => {
    expect(parse('--version')).toEqual({ kind: 'print', text: `posthorn ${VERSION}\n` });
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
  });

  it.each([
    [['--prot', '80'], 'Unknown flag --prot. Did you mean --port?'],
    [['--verison'], 'Unknown flag --verison. Did you mean --version?'],
    [['--something-else'], 'Unknown flag --something-else.'],
    [['-x'], 'Unknown flag -x.'],
    [['--port'], "Option '--port <value>' argument missing."],
    [['--quiet=yes'], "Option '--quiet' does not take an argument."],
    [['publsih'], 'Unknown argument publsih. Did you mean publish?'],
    [['--', '--port'], 'Unknown argument --port.'],
    [['x'.repeat(100_000)], `Unknown argument ${'x'.repeat(64)}….`],
  ])('%j is refused in one line that names the closest name and --help', (args, message) => {
    expect(parseCommand(COMMAND, args)).toEqual({
      kind: 'refuse',
      text: `${message} npm run sample -- --help lists the arguments.\n`,
    });
  });
});
