import { describeUnknownName, readCommandLine, USAGE_EXIT_CODE } from '../src/cli/command.ts';
import { compare, PAIRS_DEFAULT } from './compare/compare.ts';
import { COMPARISONS } from './compare/comparisons.ts';
import { findCommit, OtherVersions, UnknownRefError } from './compare/other-version.ts';
import { formatSummaries, type Summary } from './compare/summary.ts';
import { benchCrash } from './scenarios/crash.ts';
import { benchDeliver } from './scenarios/deliver.ts';
import { benchFairness } from './scenarios/fairness.ts';
import { benchFanOut } from './scenarios/fan-out.ts';
import { benchGrowth } from './scenarios/growth.ts';
import { benchLatency } from './scenarios/latency.ts';
import { benchLive } from './scenarios/live.ts';
import { benchPublish } from './scenarios/publish.ts';
import { benchPublishBulk } from './scenarios/publish-bulk.ts';
import { startDatabases } from './support/databases.ts';
import { killProcesses } from './support/processes.ts';
import { formatJson, formatTable, type Row } from './support/report.ts';
import type { Scenario } from './support/scenario.ts';

const SCENARIOS: Record<string, Scenario> = {
  publish: benchPublish,
  'publish-bulk': benchPublishBulk,
  deliver: benchDeliver,
  latency: benchLatency,
  'fan-out': benchFanOut,
  fairness: benchFairness,
  live: benchLive,
  growth: benchGrowth,
  crash: benchCrash,
};

const HELP = `Measures Posthorn against floors: the least honest work for the same result, in the same run. Or compares two versions.

  npm run bench                    every scenario, in under ten minutes
  npm run bench -- SCENARIO …      some of: ${Object.keys(SCENARIOS).join(', ')}
  npm run bench -- --full          at the big sizes, which takes much longer
  npm run bench -- --json          one JSON object a row and line

  npm run bench -- compare REF [SCENARIO …] [--pairs N] [--json]
                                   measures this folder's code and that of a git ref alternately, ${PAIRS_DEFAULT} pairs by
                                   default, and prints the ratios of their medians. Scenarios: ${Object.keys(COMPARISONS).join(', ')}

Starts its own Postgres, servers and receivers, on loopback only. Ends with code 1 if a scenario failed; a bar that
was missed is marked, and fails nothing.
`;

const PAIRS_MAX = 1_000;

const { values, positionals } = readCommandLine({
  usage: 'npm run bench --',
  help: HELP,
  options: {
    full: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    pairs: { type: 'string' },
  },
  checkPositionals: ([first, ...rest]) => {
    const isCompare = first === 'compare';
    if (isCompare && rest.length === 0) return 'compare needs a git ref, for example: compare main.';
    const names = Object.keys(isCompare ? COMPARISONS : SCENARIOS);
    const given = isCompare ? rest.slice(1) : first === undefined ? [] : [first, ...rest];
    const unknown = given.find((name) => !names.includes(name));
    return unknown === undefined ? null : describeUnknownName(unknown, isCompare ? names : [...names, 'compare']);
  },
});
const isCompare = positionals[0] === 'compare';
const pairs = Number(values.pairs ?? PAIRS_DEFAULT);
const flagsFault = findFlagsFault();
if (flagsFault !== null) {
  process.stderr.write(`${flagsFault}\n`);
  process.exit(USAGE_EXIT_CODE);
}

function findFlagsFault(): string | null {
  if (values.pairs !== undefined && !isCompare) return '--pairs belongs to compare.';
  if (values.full && isCompare) return '--full does not belong to compare.';
  const isPairs = Number.isInteger(pairs) && pairs >= 1 && pairs <= PAIRS_MAX;
  return isPairs ? null : `--pairs must be a whole number from 1 to ${PAIRS_MAX}.`;
}

const otherCommit = isCompare ? await findCommit(positionals[1] as string).catch(refuseRef) : null;

function refuseRef(error: unknown): never {
  if (!(error instanceof UnknownRefError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(USAGE_EXIT_CODE);
}

const otherVersions = new OtherVersions();
const starting = startDatabases();
let isStopping = false;

/** Ends everything that was started. Whatever is being measured fails on the way. */
async function stop(exitCode: number) {
  if (isStopping) return;
  isStopping = true;
  await killProcesses();
  await otherVersions.remove();
  await starting.then((databases) => databases.stop()).catch(() => {});
  process.exit(exitCode);
}
/** Exit codes of programs that a signal ended: 128 and its number. */
process.on('SIGHUP', () => void stop(129));
process.on('SIGINT', () => void stop(130));
process.on('SIGTERM', () => void stop(143));

const databases = await starting;
const rows: Row[] = [];
let hasFailed = false;

async function run(name: string, scenario: Scenario) {
  const progress = (text: string) => process.stderr.write(`${name}: ${text}\n`);
  try {
    await databases.dropAll();
    const found = await scenario({ databases, progress, isFull: values.full });
    rows.push(...found);
    if (values.json) process.stdout.write(found.map((row) => `${formatJson(row)}\n`).join(''));
  } catch (error) {
    if (isStopping) return;
    hasFailed = true;
    process.stderr.write(`${name} failed: ${(error as Error).stack}\n`);
  }
}

async function runScenarios(names: string[]) {
  for (const name of names) if (!isStopping) await run(name, SCENARIOS[name] as Scenario);
  if (!isStopping && !values.json && rows.length > 0) process.stdout.write(`\n${formatTable(rows)}\n`);
}

async function runComparison(commit: string, scenarios: string[]) {
  const progress = (text: string) => process.stderr.write(`${text}\n`);
  try {
    progress(`building ${positionals[1]}`);
    const other = await otherVersions.build(commit, progress);
    const summaries: Summary[] = [];
    for await (const summary of compare({ databases, other, scenarios, pairs, progress })) {
      summaries.push(summary);
      if (values.json) process.stdout.write(`${JSON.stringify({ ...summary, other: other.commit })}\n`);
    }
    if (!values.json) process.stdout.write(`\nother: ${other.commit}\n\n${formatSummaries(summaries)}\n`);
  } catch (error) {
    if (isStopping) return;
    hasFailed = true;
    process.stderr.write(`compare failed: ${(error as Error).stack}\n`);
  }
}

const namesOr = (given: string[], all: object) => (given.length > 0 ? given : Object.keys(all));
if (otherCommit === null) await runScenarios(namesOr(positionals, SCENARIOS));
else await runComparison(otherCommit, namesOr(positionals.slice(2), COMPARISONS));
if (!isStopping) await stop(hasFailed ? 1 : 0);
