import { parseArgs } from 'node:util';
import { benchDeliver } from './scenarios/deliver.ts';
import { benchPublish } from './scenarios/publish.ts';
import { type Databases, startDatabases } from './support/databases.ts';
import { formatTable, type Progress, type Report } from './support/report.ts';

const SCENARIOS: Record<string, (databases: Databases, progress: Progress) => Promise<Report>> = {
  publish: benchPublish,
  deliver: benchDeliver,
};

const HELP = `Measures Posthorn against floors: the least honest work for the same result, in the same run.

  npm run bench                    every scenario
  npm run bench -- SCENARIO …      some of: ${Object.keys(SCENARIOS).join(', ')}
  npm run bench -- --json          one JSON object a scenario and line

Starts its own Postgres, servers and receivers, on loopback only.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
});
const unknown = positionals.find((name) => !(name in SCENARIOS));
if (values.help || unknown !== undefined) {
  process.stderr.write(unknown === undefined ? HELP : `There is no scenario ${unknown}.\n\n${HELP}`);
  process.exit(unknown === undefined ? 0 : 1);
}

const databases = await startDatabases();
try {
  const reports: Report[] = [];
  for (const name of positionals.length > 0 ? positionals : Object.keys(SCENARIOS)) {
    const report = await SCENARIOS[name]?.(databases, (text) => process.stderr.write(`${name}: ${text}\n`));
    if (!report) continue;
    reports.push(report);
    if (values.json) process.stdout.write(`${JSON.stringify({ ...report, ratio: report.rate / report.floor })}\n`);
  }
  if (!values.json) process.stdout.write(`\n${formatTable(reports)}\n`);
} finally {
  await databases.stop();
}
process.exit(0);
