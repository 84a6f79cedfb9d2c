import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readCommandLine, USAGE_EXIT_CODE } from '../../src/cli/command.ts';
import { FAULTS } from './faults.ts';
import { ROOT } from './machine.ts';
import { abortRuns, type Fault, runFault } from './run.ts';
import { formatTable, type Outcome } from './table.ts';

const DOCUMENT = join(ROOT, 'docs/RELIABILITY.md');
const MARKERS = { begin: '<!-- faults:begin -->', end: '<!-- faults:end -->' };

const HELP = `Breaks Posthorn in every way that a machine can fail, and looks at what is left.

  npm run test:faults                    every fault, several runs each, in about twenty-five minutes
  npm run test:faults -- FAULT …         some of: ${FAULTS.map(({ name }) => name).join(', ')}
  npm run test:faults -- --runs N        so many runs of each; one of each takes nine minutes
  npm run test:faults -- --write         puts the table into docs/RELIABILITY.md

Starts its own Postgres, processes and receivers, on loopback only. Ends with code 1 where anything is lost or an
invariant is broken.
`;

const { values, positionals } = readCommandLine({
  usage: 'npm run test:faults --',
  help: HELP,
  options: { runs: { type: 'string' }, write: { type: 'boolean', default: false } },
  names: FAULTS.map(({ name }) => name),
});
const runs = values.runs === undefined ? null : Number(values.runs);
if (runs !== null && !(Number.isInteger(runs) && runs >= 1)) {
  process.stderr.write('--runs must be a whole number from 1.\n');
  process.exit(USAGE_EXIT_CODE);
}

const say = (text: string) => process.stderr.write(`${text}\n`);

async function tryFault(fault: Fault): Promise<Outcome> {
  const skipped = (await fault.findObstacle?.()) ?? null;
  const outcome: Outcome = { fault, results: [], skipped, failures: [] };
  if (skipped !== null) say(`${fault.name}: skipped, ${skipped}`);
  const count = skipped === null ? (runs ?? fault.runs) : 0;
  for (let run = 1; run <= count; run += 1) {
    try {
      const { logs, ...result } = await runFault(fault, { isLong: true });
      outcome.results.push({ ...result, logs });
      const { events, lost, repeated, unanswered, recoveryMs } = result;
      const seconds = (recoveryMs / 1_000).toFixed(1);
      say(
        `${fault.name} ${run}/${count}: ${events} events, ${lost} lost, ${repeated} repeated, ${unanswered} stored unanswered, recovered in ${seconds} s`,
      );
      if (result.broken.length > 0) say([...result.broken, ...logs].join('\n'));
    } catch (error) {
      outcome.failures.push(String(error));
      say(`${fault.name} ${run}/${count} failed: ${(error as Error).stack}`);
    }
  }
  return outcome;
}

/** Exit codes of programs that a signal ended: 128 and its number. */
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => void abortRuns().finally(() => process.exit(code)));
}

const chosen = FAULTS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const outcomes: Outcome[] = [];
for (const fault of chosen) outcomes.push(await tryFault(fault));
const table = formatTable(outcomes);
process.stdout.write(`\n${table}\n`);
if (values.write) {
  const text = await readFile(DOCUMENT, 'utf8');
  const before = text.slice(0, text.indexOf(MARKERS.begin) + MARKERS.begin.length);
  await writeFile(DOCUMENT, `${before}\n\n${table}\n\n${text.slice(text.indexOf(MARKERS.end))}`);
}
const isSound = outcomes.every(
  ({ results, failures }) =>
    failures.length === 0 && results.every(({ lost, broken }) => lost === 0 && broken.length === 0),
);
process.exit(isSound ? 0 : 1);
