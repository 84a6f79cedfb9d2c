import { withClient } from './databases.ts';
import { ask } from './graphql.ts';

/** Classes of durations that attempts of a minute are spread over: as many as lie between 1 ms and 400 ms. */
const CLASSES = 30;

/**
 * Statistics of a day, as the keeper would have counted them: each minute and hour of each endpoint, and of the
 * environment as a whole.
 */
const STATS = `
insert into delivery_stats
select environment_id, endpoint_id, seconds, starts_at, n, n - n / 100, n / 100, n / 50, n - n / 20, n / 20,
  array(select (n * random() / ${CLASSES})::int from generate_series(1, ${CLASSES}))
from (
  select environment_id, id as endpoint_id, 1.0 / count(*) over () as share from endpoints
  union all
  select distinct environment_id, '00000000-0000-0000-0000-000000000000'::uuid, 1.0 from endpoints
) owners
cross join (values (60), (3600)) as resolutions(seconds)
cross join lateral (select greatest(1, ($1 * share * seconds / 86400)::int) as n) numbers
cross join lateral (
  select date_bin(make_interval(secs => seconds), now(), 'epoch') - i * make_interval(secs => seconds) as starts_at
  from generate_series(0, 86400 / seconds) i
) times
on conflict do nothing`;

/** Fills a database that has endpoints with the statistics of a day. @param attempts of that day */
export const seedDay = (databaseUrl: string, attempts: number): Promise<void> =>
  withClient(databaseUrl, async (client) => {
    await client.query(STATS, [attempts]);
    await client.query('vacuum analyze delivery_stats');
  });

const FIELDS = `from to published delivered failed retried attempts publishedPerSecond deliveredPerSecond
  failedPerSecond retriedPerSecond successRatio durationMs { p50 p95 p99 }`;

const QUERY = `query ($from: DateTime) { deliveryStats(from: $from, bucketSeconds: 60) {
  buckets { ${FIELDS} } total { ${FIELDS} } waiting oldestWaitingAt } }`;

const CALLS = 50;
const DAY_MS = 86_400_000;

/** Times the longest answer that statistics have: every field of the 1,440 minutes of a day. @returns ms of each call */
export async function timeDay(serverUrl: string): Promise<number[]> {
  const times: number[] = [];
  while (times.length < CALLS) {
    const start = performance.now();
    await ask(serverUrl, QUERY, { from: new Date(Date.now() - DAY_MS).toISOString() });
    times.push(performance.now() - start);
  }
  return times;
}
