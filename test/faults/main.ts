import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readCommandLine, USAGE_EXIT_CODE } from '../../src/cli/command.ts';
import { Cluster } from './cluster.ts';
import { FAULTS } from './faults.ts';
import { INITDB_FAULT } from './interrupted-initdb.ts';
import { START_FAULTS, type StartFault } from './interrupted-starts.ts';
import { ROOT } from './machine.ts';
import { abortRuns, type Fault, runFault } from './run.ts';
import { formatTable, mergeTables, type Outcome } from './table.ts';

const DOCUMENT = join(ROOT, 'docs/RELIABILITY.md');
const MARKERS = { begin: '<!-- faults:begin -->', end: '<!-- faults:end -->' };

const STARTS = [...START_FAULTS, INITDB_FAULT];
const NAMES = [...FAULTS, ...STARTS].map(({ name }) => name);

const HELP = `Breaks Posthorn in every way that a machine can fail, and looks at what is left.

  npm run test:faults                    every fault, several runs each, in about an hour
  npm run test:faults -- FAULT …         some of: ${NAMES.join(', ')}
  npm run test:faults -- --runs N        so many runs of each; starts are interrupted at every point all the same
  npm run test:faults -- --no-write      does not put the results into the table of docs/RELIABILITY.md

Starts its own Postgres, processes and receivers, on loopback only. Ends with code 1 where anything is lost or an
invariant is broken.
`;

const { values, positionals } = readCommandLine({
  usage: 'npm run test:faults --',
  help: HELP,
  options: { runs: { type: 'string' }, 'no-write': { type: 'boolean', default: false } },
  names: NAMES,
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

const clusters = new Set<Cluster>();

/** Interrupts starts on a Postgres of its own. */
async function tryStarts(fault: StartFault): Promise<Outcome> {
  const cluster = await Cluster.start();
  clusters.add(cluster);
  try {
    const { runs, failures } = await fault.run(cluster.url, null);
    say([`${fault.name}: ${runs} starts, ${failures.length} failed`, ...failures].join('\n'));
    return { fault, results: [], skipped: null, failures, starts: runs };
  } finally {
    clusters.delete(cluster);
    await cluster.remove();
  }
}

/** Exit codes of programs that a signal ended: 128 and its number. */
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  const abort = () => Promise.all([abortRuns(), ...[...clusters].map((cluster) => cluster.remove())]);
  process.once(signal, () => void abort().finally(() => process.exit(code)));
}

const isChosen = ({ name }: { name: string }) => positionals.length === 0 || positionals.includes(name);
const outcomes: Outcome[] = [];
for (const fault of FAULTS.filter(isChosen)) outcomes.push(await tryFault(fault));
for (const fault of STARTS.filter(isChosen)) outcomes.push(await tryStarts(fault));
const table = formatTable(outcomes);
process.stdout.write(`\n${table}\n`);
if (!values['no-write']) {
  const text = await readFile(DOCUMENT, 'utf8');
  const begin = text.indexOf(MARKERS.begin) + MARKERS.begin.length;
  const end = text.indexOf(MARKERS.end);
  await writeFile(
    DOCUMENT,
    `${text.slice(0, begin)}\n\n${mergeTables(text.slice(begin, end), table)}\n\n${text.slice(end)}`,
  );
}
const isSound = outcomes.every(
  ({ results, failures }) =>
    failures.length === 0 && results.every(({ lost, broken }) => lost === 0 && broken.length === 0),
);
process.exit(isSound ? 0 : 1);
