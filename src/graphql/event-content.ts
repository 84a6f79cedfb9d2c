import DataLoader from 'dataloader';
import { JSON_DEPTH_MAX } from '../domain/json-depth.ts';
import { parseExactly } from '../domain/json-number.ts';
import { compactJson, measureJson } from '../domain/json-text.ts';
import { RequestError } from '../errors.ts';
import { readEventBodies } from '../storage/read-event-bodies.ts';
import { type Answer, neverResolved } from './answer.ts';
import type { Context } from './context.ts';
import { Turnstile } from './turnstile.ts';

/** A larger body is written as JSON by itself, in a turn of the event loop of its own. */
const LARGE_BYTES = 4_096;

const turnstile = new Turnstile(1);

/** A value of an answer. */
interface Value {
  value: unknown;
  /** Bytes that it has in the answer, if it stands for a part. */
  partBytes: number;
}

/** What an event's fields show of its body. Each is made once, however often it is selected. */
interface Content {
  payload?: Promise<Value>;
  text?: Promise<Value>;
  body: Promise<Buffer>;
}

/** Contents of the events of one execution, by their UUIDs. */
export class EventContents {
  readonly #scope: Pick<Context, 'services' | 'caller'>;
  readonly #answer: Answer;
  readonly #contents = new Map<string, Content>();
  #bodies: DataLoader<string, Buffer> | null = null;

  constructor(scope: Pick<Context, 'services' | 'caller'>, answer: Answer) {
    this.#scope = scope;
    this.#answer = answer;
  }

  /** The body as JSON. @throws {CostLimitError} */
  payloadOf(event: EventWithBody): Promise<unknown> {
    const content = this.#contentOf(event);
    content.payload ??= content.body.then((body) => this.#writePayload(body));
    return this.#take(content.payload);
  }

  /** The body as text. @throws {CostLimitError} */
  textOf(event: EventWithBody): Promise<unknown> {
    const content = this.#contentOf(event);
    content.text ??= content.body.then((body) => this.#writeText(body));
    return this.#take(content.text);
  }

  #contentOf({ id, body }: EventWithBody): Content {
    let content = this.#contents.get(id);
    if (!content) {
      content = { body: body ? Promise.resolve(asBuffer(body)) : this.#loadBody(id) };
      this.#contents.set(id, content);
    }
    return content;
  }

  #loadBody(id: string): Promise<Buffer> {
    this.#bodies ??= new DataLoader((ids) => this.#readBodies(ids), { cache: false });
    return this.#bodies.load(id);
  }

  async #readBodies(ids: readonly string[]): Promise<(Buffer | Error)[]> {
    const { services, caller } = this.#scope;
    const query = { environmentId: caller.environmentId, ids, bytesMax: this.#answer.readBytesLeft };
    const { bodies, bytes } = await readEventBodies(services.deliveries.pool, query);
    if (!this.#answer.addRead(bytes)) return neverResolved();
    return ids.map((id) => bodies.get(id) ?? new RequestError('BAD_USER_INPUT', 'The event was deleted by age.'));
  }

  async #take(made: Promise<Value>): Promise<unknown> {
    const { value, partBytes } = await made;
    return this.#answer.add(partBytes) ? value : neverResolved();
  }

  async #writePayload(body: Buffer): Promise<Value> {
    await this.#waitForTurn(body);
    const text = body.toString('utf8');
    const { depth, isExact, hasSpace } = measureJson(text);
    const isSmall = body.length < LARGE_BYTES;
    const value = depth > JSON_DEPTH_MAX ? null : parseOrNull(text, isSmall && !isExact);
    // A JSON null, and what is not JSON, is answered as the text that it is.
    if (value === null) return this.#toText(text, body);
    if (isSmall) return { value, partBytes: 0 };
    return this.#hold(hasSpace ? Buffer.from(compactJson(text)) : body);
  }

  async #writeText(body: Buffer): Promise<Value> {
    await this.#waitForTurn(body);
    return this.#toText(body.toString('utf8'), body);
  }

  #toText(text: string, { length }: Buffer): Value {
    return length < LARGE_BYTES ? { value: text, partBytes: 0 } : this.#hold(Buffer.from(JSON.stringify(text)));
  }

  #hold(json: Buffer): Value {
    return { value: this.#answer.hold(json), partBytes: json.length };
  }

  async #waitForTurn({ length }: Buffer) {
    if (length >= LARGE_BYTES) await turnstile.pass();
    if (this.#answer.exceeded) await neverResolved();
  }
}

/** An event as it was read; with its body, if it was just published. */
export interface EventWithBody {
  id: string;
  body?: Uint8Array;
}

function parseOrNull(text: string, keepsNumbers: boolean): unknown {
  try {
    return keepsNumbers ? parseExactly(text) : JSON.parse(text);
  } catch {
    return null;
  }
}

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
