import { prepareBacklog } from '../support/backlog.ts';
import { seedDay, timeDay } from '../support/day.ts';
import { addDrained, type Drained, drain } from '../support/delivering.ts';
import { listFirstPages, timeFirstPage, warmUp } from '../support/first-pages.ts';
import { LARGE_BODY_LISTS, seedLargeBodies, timeLargeBodies } from '../support/large-bodies.ts';
import { type PastKind, seedPast, takeLogsAsRead } from '../support/past.ts';
import { startPosthorn } from '../support/processes.ts';
import { type Receiver, toCountColumns, withReceiver } from '../support/receiving.ts';
import { makeRow, type Row } from '../support/report.ts';
import type { Bench } from '../support/scenario.ts';
import { percentile } from '../support/statistics.ts';
import { toUsageColumns } from '../support/usage.ts';

const ENDPOINTS = 50;
const EVENTS = 200;
const BACKLOG = ENDPOINTS * EVENTS;
const KINDS: PastKind[] = ['delivered', 'retrying'];
/** Past deliveries that pages are compared with. */
const COUNT_OF_FLOOR = 10_000;
const COUNTS = [100_000];
const COUNTS_FULL = [100_000, 1_000_000];
/** Even: every other one goes the other way round, so that none is always behind the same one. */
const ROUNDS = 2;
const ROUNDS_FULL = 4;
const RATE_RATIO_AT_LEAST = 0.9;
const PAGE_RATIO_AT_MOST = 1.5;
const DAY_P50_MS_AT_MOST = 50;
const LARGE_BODIES_P50_MS_AT_MOST = 100;

/** A database with a backlog and a past. */
interface Step {
  /** Of the database. */
  name: string;
  kind: PastKind;
  count: number;
}

/**
 * What a past costs: the rate at which a backlog of 10,000 is drained beside 100,000 deliveries that are delivered, or
 * that wait for a retry in a day, against the same with no past, in turns; and the time of the first page of each
 * connection, with each filter, against its time with 10,000; the time of a day of statistics in minutes; and that of
 * lists of 100 events with bodies of 250 KB, none of which is selected.
 */
export const benchGrowth = (bench: Bench): Promise<Row[]> =>
  withReceiver(async (receiver) => {
    const databaseUrl = await bench.databases.create('growth');
    const backlog = { databaseUrl, receiverUrl: receiver.url, endpoints: ENDPOINTS, events: EVENTS };
    await prepareBacklog(backlog);
    await takeLogsAsRead(databaseUrl);
    const counts = bench.isFull ? COUNTS_FULL : COUNTS;
    const steps = counts.flatMap((count) => KINDS.map((kind) => ({ name: `growth_${kind}_${count}`, kind, count })));
    const pageRows: Row[] = [];
    for (const kind of KINDS) {
      const floor = { name: `growth_${kind}`, kind, count: COUNT_OF_FLOOR };
      await seed(bench, floor);
      for (const step of steps.filter((one) => one.kind === kind)) {
        await seed(bench, step);
        pageRows.push(...(await comparePages(bench, floor, step)));
      }
    }
    const rateRows = await compareRates(bench, receiver, steps);
    return [...rateRows, ...pageRows, ...(await timeLists(bench))];
  });

/** Makes a step's database. */
async function seed({ databases, progress }: Bench, { name, kind, count }: Step) {
  progress(`seeding ${count} past deliveries, ${kind}`);
  const databaseUrl = await databases.clone(name, 'growth');
  await seedPast({ databaseUrl, kind, count });
  await seedDay(databaseUrl, count);
}

async function compareRates(bench: Bench, receiver: Receiver, steps: Step[]): Promise<Row[]> {
  const names = ['growth', ...steps.map(({ name }) => name)];
  const rounds = bench.isFull ? ROUNDS_FULL : ROUNDS;
  const drainCopy = async (name: string, round: number) => {
    bench.progress(`round ${round} of ${rounds}: ${name}`);
    const databaseUrl = await bench.databases.clone(`${name}_${round}`, name);
    return drain({ databases: bench.databases, databaseUrl, receiver, deliveries: BACKLOG });
  };
  // Whoever is the first finds cold caches.
  await drainCopy('growth', 0);
  const drained = new Map<string, Drained[]>(names.map((name) => [name, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of round % 2 === 1 ? names : names.toReversed())
      drained.get(name)?.push(await drainCopy(name, round));
  }
  const noPast = drained.get('growth') ?? [];
  const { rate } = addDrained(noPast);
  return [
    toRateRow('no past', noPast, null),
    ...steps.map(({ name, kind, count }) => toRateRow(`${count} ${kind}`, drained.get(name) ?? [], rate)),
  ];
}

/** @param floor the rate without a past; null: this is it */
function toRateRow(variant: string, runs: Drained[], floor: number | null): Row {
  const { rate, usage, report } = addDrained(runs);
  const deliveries = runs.length * BACKLOG;
  return makeRow({
    scenario: 'growth',
    variant,
    rate,
    floor,
    ...toUsageColumns(usage, deliveries),
    ...toCountColumns(report, deliveries),
    bars: floor === null ? [] : [{ name: 'ratio', value: rate / floor, atLeast: RATE_RATIO_AT_LEAST }],
  });
}

interface PageTimes {
  name: string;
  /** With the small past, and with the big one. */
  ms: [number, number];
}

async function comparePages(bench: Bench, floor: Step, step: Step): Promise<Row[]> {
  bench.progress(`first pages: ${step.count} ${step.kind} against ${floor.count}`);
  const start = (one: Step) => startPosthorn(bench.databases.urlOf(one.name), 'api');
  const servers = [await start(floor), await start(step)] as const;
  try {
    const urls: [string, string] = [servers[0].url, servers[1].url];
    const pages = [await listFirstPages(urls[0]), await listFirstPages(urls[1])] as const;
    await warmUp(urls[0], pages[0]);
    await warmUp(urls[1], pages[1]);
    const times: PageTimes[] = [];
    for (const [index, small] of pages[0].entries()) {
      const big = pages[1][index] ?? small;
      times.push({ name: small.name, ms: await timeFirstPage(urls, [small, big]) });
    }
    for (const { name, ms } of times.filter(isSlower)) {
      bench.progress(`slower: ${name}, ${ms[0].toFixed(1)} → ${ms[1].toFixed(1)} ms`);
    }
    return [toPageRow(step, times), toDayRow(step, await timeDay(urls[1]))];
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

const ratioOf = ({ ms: [small, big] }: PageTimes) => big / small;

const isSlower = (times: PageTimes) => ratioOf(times) > PAGE_RATIO_AT_MOST;

function toPageRow({ kind, count }: Step, times: PageTimes[]): Row {
  const worst = times.toSorted((a, b) => ratioOf(b) - ratioOf(a))[0] as PageTimes;
  const big = times.map(({ ms }) => ms[1]);
  const [from, to] = worst.ms.map((ms) => ms.toFixed(0));
  return makeRow({
    scenario: 'growth',
    variant: `pages, ${count} ${kind}`,
    p50Ms: percentile(big, 0.5),
    p99Ms: percentile(big, 0.99),
    bars: [{ name: 'worst', value: ratioOf(worst), atMost: PAGE_RATIO_AT_MOST }],
    note: `${worst.name} ${from} → ${to} ms`,
  });
}

function toDayRow({ kind, count }: Step, times: number[]): Row {
  const p50Ms = percentile(times, 0.5);
  return makeRow({
    scenario: 'growth',
    variant: `day in minutes, ${count} ${kind}`,
    p50Ms,
    p99Ms: percentile(times, 0.99),
    bars: [{ name: 'p50', value: p50Ms, atMost: DAY_P50_MS_AT_MOST }],
  });
}

/** Lists that select no body, of events whose bodies are large. */
async function timeLists({ databases, progress }: Bench): Promise<Row[]> {
  progress('lists of events with large bodies');
  const databaseUrl = await databases.clone('growth_large', 'growth');
  await seedLargeBodies(databaseUrl);
  const server = await startPosthorn(databaseUrl, 'api');
  try {
    const rows: Row[] = [];
    for (const [name, query] of Object.entries(LARGE_BODY_LISTS)) {
      const times = await timeLargeBodies(server.url, query);
      const p50Ms = percentile(times, 0.5);
      rows.push(
        makeRow({
          scenario: 'growth',
          variant: `100 of 250 KB, ${name}`,
          p50Ms,
          p99Ms: percentile(times, 0.99),
          bars: [{ name: 'p50', value: p50Ms, atMost: LARGE_BODIES_P50_MS_AT_MOST }],
        }),
      );
    }
    return rows;
  } finally {
    await server.stop();
  }
}
