import { parseArgs } from 'node:util';
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

const HELP = `Measures Posthorn against floors: the least honest work for the same result, in the same run.

  npm run bench                    every scenario, in under ten minutes
  npm run bench -- SCENARIO …      some of: ${Object.keys(SCENARIOS).join(', ')}
  npm run bench -- --full          at the big sizes, which takes much longer
  npm run bench -- --json          one JSON object a row and line

Starts its own Postgres, servers and receivers, on loopback only. Ends with code 1 where a scenario failed; a bar that
was missed is marked, and fails nothing.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    full: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const unknown = positionals.find((name) => !(name in SCENARIOS));
if (values.help || unknown !== undefined) {
  process.stderr.write(unknown === undefined ? HELP : `There is no scenario ${unknown}.\n\n${HELP}`);
  process.exit(unknown === undefined ? 0 : 1);
}

const starting = startDatabases();
let isStopping = false;

/** Ends everything that was started. Whatever is being measured fails on the way. */
async function stop(exitCode: number) {
  if (isStopping) return;
  isStopping = true;
  await killProcesses();
  await starting.then((databases) => databases.stop()).catch(() => {});
  process.exit(exitCode);
}
/** Exit codes of programs that a signal ended: 128 and its number. */
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

const names = positionals.length > 0 ? positionals : Object.keys(SCENARIOS);
for (const name of names) if (!isStopping) await run(name, SCENARIOS[name] as Scenario);
if (!isStopping) {
  if (!values.json && rows.length > 0) process.stdout.write(`\n${formatTable(rows)}\n`);
  await stop(hasFailed ? 1 : 0);
}
