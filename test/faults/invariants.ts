import { setTimeout as sleep } from 'node:timers/promises';
import { WHOLE_ENVIRONMENT_ID } from '../../src/domain/delivery-stats.ts';
import { encodeId } from '../../src/domain/ids.ts';
import type { Scene } from './scene.ts';

/** What is left of everything that was published. */
export interface Findings {
  /** Events that were acknowledged. */
  events: number;
  /** Of these, those that are gone, or have a delivery that is neither delivered nor a dead letter. */
  lost: number;
  /** Requests that endpoints saw and no attempt on record tells of. */
  repeated: number;
  /** Events that are stored though their publisher heard nothing: the call has no key, and its answer was lost. */
  unanswered: number;
  /** Invariants that do not hold, in words. */
  broken: string[];
}

interface DeliveryRow {
  eventId: string;
  endpoint: string;
  status: string;
  attemptCount: number;
  succeeded: number;
}

interface EventRow {
  id: string;
  call: string;
  key: string | null;
}

const PATIENCE_MS = 20_000;
/** Examples of a fault that are told. */
const EXAMPLES_MAX = 3;

/** Looks at everything, after it has come to rest. */
export async function inspect(scene: Scene): Promise<Findings> {
  const events = await scene.cluster.query<EventRow>(
    `select id, convert_from(body, 'UTF8')::json ->> 'call' as call, idempotency_key as key from events`,
  );
  const deliveries = await scene.cluster.query<DeliveryRow>(
    `select d.event_id as "eventId", e.name as endpoint, d.status, d.attempt_count as "attemptCount",
      (select count(*)::int from delivery_attempts a where a.delivery_id = d.id and a.status = 'SUCCEEDED') as succeeded
     from deliveries d join endpoints e on e.id = d.endpoint_id`,
  );
  const { repeated, unexplained } = countRepeats(scene, deliveries);
  const lost = findLost(scene, deliveries);
  const broken = [
    tell('Acknowledged events are lost', lost),
    tell('Calls are stored in part, or otherwise than acknowledged', findTornCalls(scene, events)),
    tell('Deliveries count as delivered that did not arrive', findUnseen(scene, deliveries)),
    tell('Requests were repeated though no worker died between sending and recording', unexplained),
    tell('Publishing was refused', scene.publishers.refusals),
    tell('Attempts are not numbered from 1 on without a hole', await findBadNumbers(scene)),
    await compareFeed(scene),
    await compareStatistics(scene),
    await compareOperationalEvents(scene),
  ];
  return {
    events: scene.publishers.acknowledgedCount,
    lost: lost.length,
    repeated,
    unanswered: countUnanswered(scene, events),
    broken: broken.filter((line) => line !== null),
  };
}

/** What must be gone once everything is at rest: work that waits, and what workers leave that end in order. */
export async function inspectLeftovers({ cluster }: Scene): Promise<string[]> {
  const [row] = await cluster.query<Record<string, number>>(`select
    (select count(*)::int from pgboss.job) as jobs,
    (select count(*)::int from workers) as workers,
    (select count(*)::int from deliveries where in_lane) as "deliveries in lanes",
    (select count(*)::int from lanes where leased_by is not null) as "leased lanes",
    (select count(*)::int from lanes l join endpoints e on e.id = l.endpoint_id
      where e.rate_limit_per_second is null) as "lanes without a reason"`);
  return Object.entries(row ?? {}).flatMap(([what, count]) => (count > 0 ? [`There are ${count} ${what} left.`] : []));
}

/** Lanes close a moment after they are empty: workers must live until then. */
export async function waitUntilLanesClose({ cluster }: Scene): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const open = await cluster.query(
      'select 1 from lanes l join endpoints e on e.id = l.endpoint_id where e.rate_limit_per_second is null',
    );
    if (open.length === 0) return;
    await sleep(100);
  }
}

const tell = (what: string, examples: string[]): string | null =>
  examples.length === 0 ? null : `${what}: ${examples.length}, as ${examples.slice(0, EXAMPLES_MAX).join('; ')}.`;

/** Deliveries by the event's ID as it goes over the wire. */
const groupByEvent = (deliveries: DeliveryRow[]) =>
  Map.groupBy(deliveries, ({ eventId }) => encodeId('Event', eventId));

function findLost({ publishers, endpoints }: Scene, deliveries: DeliveryRow[]): string[] {
  const byEvent = groupByEvent(deliveries);
  const names = Object.keys(endpoints.behaviours);
  const isDone = ({ status, endpoint }: DeliveryRow) =>
    status === 'DELIVERED' || (status === 'FAILED' && endpoints.behaviours[endpoint]?.mayFail === true);
  return publishers.calls.flatMap(({ acknowledged }) =>
    (acknowledged ?? []).filter((id) => {
      const own = byEvent.get(id) ?? [];
      return own.length !== names.length || !own.every(isDone);
    }),
  );
}

/** All or none of a call is stored, once, and what was acknowledged is what is stored. */
function findTornCalls({ publishers }: Scene, events: EventRow[]): string[] {
  const stored = Map.groupBy(events, ({ call }) => call);
  return publishers.calls.flatMap(({ name, size, acknowledged }) => {
    const ids = new Set((stored.get(name) ?? []).map(({ id }) => encodeId('Event', id)));
    const isWhole = ids.size === size || (ids.size === 0 && acknowledged === null);
    const isSame = acknowledged === null || acknowledged.every((id) => ids.has(id));
    return isWhole && isSame ? [] : [`${name} with ${ids.size} of ${size}`];
  });
}

const countUnanswered = ({ publishers }: Scene, events: EventRow[]): number => {
  const calls = new Set(publishers.calls.filter(({ acknowledged }) => acknowledged === null).map(({ name }) => name));
  return events.filter(({ call }) => calls.has(call)).length;
};

const requestsOf = ({ endpoints }: Scene, { endpoint, eventId }: DeliveryRow) =>
  endpoints.seen.get(`${endpoint} ${encodeId('Event', eventId)}`) ?? [];

function findUnseen(scene: Scene, deliveries: DeliveryRow[]): string[] {
  return deliveries.flatMap((delivery) => {
    const accepted = requestsOf(scene, delivery).filter(({ status }) => status === 200).length;
    const isHonest = delivery.status !== 'DELIVERED' || (delivery.succeeded > 0 && accepted >= delivery.succeeded);
    return isHonest ? [] : [`${encodeId('Event', delivery.eventId)} to ${delivery.endpoint}`];
  });
}

/** An endpoint may see a request more often than attempts are on record only where a worker died before it recorded one. */
function countRepeats(scene: Scene, deliveries: DeliveryRow[]) {
  let repeated = 0;
  const unexplained: string[] = [];
  for (const delivery of deliveries) {
    const key = `${delivery.endpoint} ${encodeId('Event', delivery.eventId)}`;
    const surplus = (scene.endpoints.seen.get(key)?.length ?? 0) - delivery.attemptCount;
    if (surplus > 0) repeated += surplus;
    if (surplus > (scene.unrecorded.get(key) ?? 0)) unexplained.push(key);
  }
  return { repeated, unexplained };
}

async function findBadNumbers({ cluster }: Scene): Promise<string[]> {
  const rows = await cluster.query<{ id: string }>(
    `select d.id from deliveries d left join delivery_attempts a on a.delivery_id = d.id
     group by d.id having d.attempt_count <> count(a.id) or d.attempt_count <> coalesce(max(a.number), 0)
       or coalesce(min(a.number), 1) <> 1`,
  );
  return rows.map(({ id }) => encodeId('Delivery', id));
}

/** What the subscriber was told is what the table has: no gap, no repeat, in order. */
async function compareFeed({ cluster, follower }: Scene): Promise<string | null> {
  const rows = await cluster.query<{ id: string; status: string; previous: string | null; at: Date }>(
    `select delivery_id as id, status::text, previous_status::text as previous, changed_at as at
     from delivery_changes c order by c.xid, c.id`,
  );
  const written = rows.map(
    ({ id, status, previous, at }) => `${encodeId('Delivery', id)} ${previous ?? 'new'} ${status} ${at.toISOString()}`,
  );
  const deadline = performance.now() + PATIENCE_MS;
  while (follower.lines.length < written.length && performance.now() < deadline) await sleep(50);
  const place = written.findIndex((line, index) => line !== follower.lines[index]);
  if (place < 0 && follower.lines.length === written.length) return null;
  const errors = follower.errors.slice(-1).map(({ result }) => JSON.stringify(result.errors));
  const [is, ought] = [follower.lines[place], written[place]];
  return `The feed told ${follower.lines.length} of ${written.length} changes; at place ${place} it told ${is} and not ${ought}. ${errors}`;
}

/** Each dead letter is reported once, if somebody wants to know. */
async function compareOperationalEvents({ cluster, hasOperationalEvents }: Scene): Promise<string | null> {
  if (!hasOperationalEvents) return null;
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const wrong = await cluster.query<{ id: string; times: number }>(
      `select d.id, count(v.id)::int as times from deliveries d left join events v
         on v.type = 'posthorn.delivery.dead_lettered'
         and convert_from(v.body, 'UTF8')::json #>> '{data,deliveryId}' = any(array(
           select x from unnest($1::text[], $2::uuid[]) as i(x, id) where i.id = d.id))
       where d.status = 'FAILED' group by d.id having count(v.id) <> 1`,
      await readDeadLetterIds(cluster),
    );
    if (wrong.length === 0) return null;
    if (performance.now() > deadline)
      return tell(
        'Dead letters are not reported once',
        wrong.map(({ id, times }) => `${encodeId('Delivery', id)} ${times} times`),
      );
    await sleep(200);
  }
}

/** Public IDs of the dead letters, and the UUIDs behind them. */
async function readDeadLetterIds(cluster: Scene['cluster']): Promise<[string[], string[]]> {
  const rows = await cluster.query<{ id: string }>(`select id from deliveries where status = 'FAILED'`);
  const ids = rows.map(({ id }) => id);
  return [ids.map((id) => encodeId('Delivery', id)), ids];
}

/** Statistics are counted from the log some seconds later. */
async function compareStatistics(scene: Scene): Promise<string | null> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const differences = await findDifferences(scene);
    if (differences.length === 0) return null;
    if (performance.now() > deadline) return `Statistics are wrong: ${differences.join(', ')}.`;
    await sleep(200);
  }
}

async function findDifferences({ cluster }: Scene): Promise<string[]> {
  const rows = await cluster.query<{ what: string; counted: number; is: number }>(
    `with counted as (
      select coalesce(sum(published), 0)::int as published, coalesce(sum(delivered), 0)::int as delivered,
        coalesce(sum(failed), 0)::int as failed, coalesce(sum(attempts_succeeded), 0)::int as succeeded,
        coalesce(sum(attempts_failed), 0)::int as unsuccessful
      from delivery_stats where endpoint_id = $1 and resolution_seconds = 60
    )
    select x.* from counted c cross join lateral (values
      ('published', c.published, (select count(*)::int from events)),
      ('delivered', c.delivered, (select count(*)::int from deliveries where status = 'DELIVERED')),
      ('failed', c.failed, (select count(*)::int from deliveries where status = 'FAILED')),
      ('attempts that succeeded', c.succeeded, (select count(*)::int from delivery_attempts where status = 'SUCCEEDED')),
      ('attempts that failed', c.unsuccessful, (select count(*)::int from delivery_attempts where status = 'FAILED')),
      ('waiting', (select coalesce(sum(pending + retrying + held), 0)::int from delivery_gauges where endpoint_id = $1), 0)
    ) as x(what, counted, "is") where x.counted <> x."is"`,
    [WHOLE_ENVIRONMENT_ID],
  );
  return rows.map(({ what, counted, is }) => `${what} ${counted} instead of ${is}`);
}
