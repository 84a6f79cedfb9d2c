import { builder } from './builder.ts';
import { BUCKETS_MULTIPLIER, DeliveryStatsHistoryRef, WINDOW_ARGS } from './delivery-stats.ts';
import { EndpointRef } from './endpoint.ts';
import { selects } from './selection.ts';
import { loadEndpointStats } from './stats-history.ts';
import { chooseWindow, type WindowArgs } from './stats-window.ts';

/** So many rows of statistics cost the database as much as a field. */
const ROWS_PER_FIELD = 12;

/** What is read, and how many buckets come of it: the list of them itself counts as if they were as many as usual. */
function statsComplexity(args: WindowArgs) {
  const { rows, buckets } = measureWindow(args);
  return { field: Math.ceil(rows / ROWS_PER_FIELD), multiplier: Math.max(1, buckets / BUCKETS_MULTIPLIER) };
}

function measureWindow(args: WindowArgs) {
  try {
    const { from, to, bucketSeconds, resolutionSeconds } = chooseWindow(args, new Date());
    const seconds = (to.getTime() - from.getTime()) / 1_000;
    return { rows: seconds / resolutionSeconds, buckets: seconds / bucketSeconds };
  } catch {
    // It is refused when it is resolved, with what is wrong.
    return { rows: 1, buckets: 1 };
  }
}

builder.prismaObjectField(EndpointRef, 'stats', (t) =>
  t.field({
    type: DeliveryStatsHistoryRef,
    description: 'What happened to its deliveries in a window of time, as `deliveryStats` tells it of one endpoint.',
    authScopes: { scope: 'DELIVERIES_READ' },
    complexity: statsComplexity,
    args: WINDOW_ARGS,
    resolve: ({ id }, args, context, info) =>
      loadEndpointStats(context, id, { ...args, withDurations: selects(info, 'durationMs') }),
  }),
);
