import { useCallback, useEffect, useRef, useState } from 'react';
import {
  CancelDeliveriesDocument,
  DeliveryCountDocument,
  type DeliveryFilter,
  type NotRetryableReason,
  RetryDeliveriesDocument,
} from '../generated/documents.ts';
import { client, describeError } from '../graphql/client.ts';
import { perform } from '../graphql/perform.ts';

/** Deliveries that one request changes: small enough that the bar moves. */
const PAGE_DELIVERIES = 100;
/** As far as the server counts. */
export const COUNT_MAX = 10_000;

export type BulkAction = 'retry' | 'cancel';

/** What was chosen: some by their IDs, or all that a filter lists. */
export type BulkTarget = { ids: string[] } | { filter: DeliveryFilter };

export interface BulkProgress {
  step: 'counting' | 'ready' | 'running' | 'done';
  /** How many are to be changed; {@link COUNT_MAX} stands for that many or more. */
  total: number;
  changed: number;
  /** Not changed, and why. */
  passedOver: Map<NotRetryableReason | 'AT_END', number>;
  fault: string | null;
}

const START: BulkProgress = { step: 'counting', total: 0, changed: 0, passedOver: new Map(), fault: null };

/** Retries or cancels many deliveries, page by page, so that it can be watched and stopped. It ends with its dialog. */
export function useBulkChange(action: BulkAction, target: BulkTarget) {
  const [progress, setProgress] = useState(START);
  const isStopped = useRef(false);
  const stop = useCallback(() => {
    isStopped.current = true;
  }, []);
  useEffect(() => {
    isStopped.current = false;
    return stop;
  }, [stop]);
  useAskBeforeLeaving(progress.step === 'running');

  const count = useCallback(async () => {
    if ('ids' in target) return setProgress({ ...START, step: 'ready', total: target.ids.length });
    const { data, error } = await client.query(DeliveryCountDocument, { filter: target.filter }).toPromise();
    if (error) setProgress({ ...START, step: 'ready', fault: describeError(error) });
    else setProgress({ ...START, step: 'ready', total: data?.deliveryCount ?? 0 });
  }, [target]);

  const run = useCallback(async () => {
    setProgress((now) => ({ ...now, step: 'running' }));
    const fault = await walkAll(action, target, {
      onPage: (page) => setProgress((now) => addPage(now, page)),
      isStopped: () => isStopped.current,
    });
    setProgress((now) => ({ ...now, step: 'done', fault }));
  }, [action, target]);
  return { progress, count, run, stop };
}

function useAskBeforeLeaving(isBusy: boolean) {
  useEffect(() => {
    if (!isBusy) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [isBusy]);
}

interface PageResult {
  changed: number;
  passedOver: [NotRetryableReason | 'AT_END', number][];
  endCursor: string | null;
  hasNextPage: boolean;
}

interface WalkOptions {
  onPage: (page: PageResult) => void;
  isStopped: () => boolean;
}

/** @returns null; or why it went no further */
async function walkAll(action: BulkAction, target: BulkTarget, options: WalkOptions): Promise<string | null> {
  if ('filter' in target) return walk(action, target.filter, options);
  for (let from = 0; from < target.ids.length; from += PAGE_DELIVERIES) {
    const fault = await walk(action, { ids: target.ids.slice(from, from + PAGE_DELIVERIES) }, options);
    if (fault !== null) return fault;
  }
  return null;
}

/** @returns null; or why it went no further */
async function walk(action: BulkAction, filter: DeliveryFilter, { onPage, isStopped }: WalkOptions) {
  let after: string | null = null;
  while (!isStopped()) {
    const page: PageResult | string = await changePage(action, filter, after);
    if (typeof page === 'string') return page;
    onPage(page);
    if (!page.hasNextPage) return null;
    after = page.endCursor;
  }
  return 'Stopped. What was changed until then stays changed.';
}

/** @returns what became of the page; or what went wrong */
async function changePage(
  action: BulkAction,
  filter: DeliveryFilter,
  after: string | null,
): Promise<PageResult | string> {
  const input = { filter, first: PAGE_DELIVERIES, after };
  if (action === 'retry') {
    const answer = await perform(RetryDeliveriesDocument, { input });
    if (!answer.ok) return Object.values(answer.faults)[0] ?? answer.message;
    const { retriedCount, passedOver, ...page } = answer.payload;
    return { ...page, changed: retriedCount, passedOver: passedOver.map(({ reason, count }) => [reason, count]) };
  }
  const answer = await perform(CancelDeliveriesDocument, { input });
  if (!answer.ok) return Object.values(answer.faults)[0] ?? answer.message;
  const { canceledCount, passedOverCount, ...page } = answer.payload;
  return { ...page, changed: canceledCount, passedOver: passedOverCount > 0 ? [['AT_END', passedOverCount]] : [] };
}

function addPage(progress: BulkProgress, page: PageResult): BulkProgress {
  const passedOver = new Map(progress.passedOver);
  for (const [reason, count] of page.passedOver) passedOver.set(reason, (passedOver.get(reason) ?? 0) + count);
  return { ...progress, changed: progress.changed + page.changed, passedOver };
}
