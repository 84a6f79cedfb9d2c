import type { ExecutionResult } from 'graphql';
import { cursorOf } from '../graphql/subscribe.ts';
import { toSharedJson } from './shared-json.ts';

/** How often a quiet stream gets a comment, so that nobody on the way takes it for dead. */
const PING_MS = 12_000;

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // nginx would hold back what is written.
  'x-accel-buffering': 'no',
};

const encoder = new TextEncoder();
const PING = encoder.encode(':\n\n');
const COMPLETE = encoder.encode('event: complete\ndata:\n\n');

/** Events as bytes: subscribers who share a result share them. */
const eventsOf = new WeakMap<ExecutionResult, Uint8Array>();

export interface EventStreamOptions {
  /** Makes the last result of a feed that failed. */
  presentError: (error: unknown) => ExecutionResult;
  /** Is called when the stream has ended, whoever ended it. */
  onEnd: () => void;
}

/** A stream that can be ended from outside. */
export interface EventStream {
  response: Response;
  /** Ends it, with a last result. */
  end: (last: ExecutionResult) => void;
  /** Ends it where nobody is there to read it any more: what waits for that would wait for good. */
  abandon: () => void;
}

/**
 * Results as server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html: `next` with a result
 * as its data and the cursor as its ID, and `complete` at the end. A result is asked for when the one before it is
 * written, so a client that does not read holds up only itself.
 */
export function streamResults(results: AsyncIterable<ExecutionResult>, options: EventStreamOptions): EventStream {
  const iterator = results[Symbol.asyncIterator]();
  let last: ExecutionResult | null = null;
  let isAbandoned = false;
  let ping: NodeJS.Timeout | undefined;
  const finish = () => {
    clearInterval(ping);
    options.onEnd();
  };
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      // Some browsers take a stream for open only when something came.
      controller.enqueue(PING);
      ping = setInterval(() => (controller.desiredSize ?? 0) > 0 && controller.enqueue(PING), PING_MS);
    },
    pull: async (controller) => {
      try {
        const { done, value } = await iterator.next();
        if (!done) return controller.enqueue(toEvent(value));
      } catch (error) {
        last = options.presentError(error);
      }
      finish();
      if (isAbandoned) return controller.close();
      if (last) controller.enqueue(toEvent(last));
      controller.enqueue(COMPLETE);
      controller.close();
    },
    cancel: async () => {
      finish();
      await iterator.return?.();
    },
  });
  const end = (result: ExecutionResult) => {
    last = result;
    void iterator.return?.();
  };
  const abandon = () => {
    isAbandoned = true;
    finish();
    void iterator.return?.();
  };
  return { response: new Response(body, { headers: HEADERS }), end, abandon };
}

function toEvent(result: ExecutionResult): Uint8Array {
  let event = eventsOf.get(result);
  if (!event) {
    const cursor = cursorOf(result);
    const id = cursor === null ? '' : `id: ${cursor}\n`;
    event = Buffer.concat([encoder.encode(`${id}event: next\ndata: `), toSharedJson(result), encoder.encode('\n\n')]);
    eventsOf.set(result, event);
  }
  return event;
}
