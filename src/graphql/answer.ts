import { randomUUID } from 'node:crypto';
import type { ExecutionResult } from 'graphql';
import { CostLimitError } from './cost-limit.ts';

/** Bytes of texts and JSON values in an answer, or in one result of a subscription; and of what is read for it. */
export const ANSWER_BYTES_MAX = 16_777_216;
/** Fields of an operation that may fail. Each error takes long to make, and only a few are returned. */
export const FAILED_FIELDS_MAX = 250;
/**
 * Fields that are resolved for an operation, if its complexity may not be more. The complexity is found before, and assumes
 * a length of lists that are not connections.
 */
export const RESOLVED_FIELDS_MAX = 100_000;

/** Begins what stands for a part in the values of an answer. No caller can know it. */
const MARK = `#${randomUUID()}:`;
const MARK_END = '#';
/** The same in JSON. */
const JSON_MARK = `"${MARK}`;
const JSON_MARK_END = `${MARK_END}"`;

/**
 * The answer of one execution while it grows: it counts bytes, and holds large values as JSON that is already written. A
 * part is written once, wherever and however often it is selected.
 */
export class Answer {
  #bytes = 0;
  #readBytes = 0;
  #failedFields = 0;
  #resolvedFields = 0;
  readonly #parts: Buffer[] = [];
  /** Ends the execution at once. Values that are still to come have no effect on it any more. */
  onExceeded: ((error: CostLimitError) => void) | null = null;
  /** Why there will be no answer; `null` while it is within its limits. */
  exceeded: CostLimitError | null = null;
  /** Fields that may be resolved. */
  resolvedFieldsMax: number;

  constructor(resolvedFieldsMax = RESOLVED_FIELDS_MAX) {
    this.resolvedFieldsMax = resolvedFieldsMax;
  }

  /** Bytes that may still be read for it. */
  get readBytesLeft(): number {
    return ANSWER_BYTES_MAX - this.#readBytes;
  }

  /** Counts bytes of a value that is about to be answered. @returns whether they are within the limit */
  add(bytes: number): boolean {
    this.#bytes += bytes;
    return this.#bytes <= ANSWER_BYTES_MAX || this.#giveUp('answer', ANSWER_BYTES_MAX);
  }

  /** Counts bytes that were read from the database. @returns whether they are within the limit */
  addRead(bytes: number): boolean {
    this.#readBytes += bytes;
    return this.#readBytes <= ANSWER_BYTES_MAX || this.#giveUp('answer', ANSWER_BYTES_MAX);
  }

  /** Counts a field that is about to be resolved. @returns whether it is within the limit */
  addField(): boolean {
    this.#resolvedFields += 1;
    return this.#resolvedFields <= this.resolvedFieldsMax || this.#giveUp('resolvedFields', this.resolvedFieldsMax);
  }

  /** Counts a field that failed. @returns whether it is within the limit */
  addFailedField(): boolean {
    this.#failedFields += 1;
    return this.#failedFields <= FAILED_FIELDS_MAX || this.#giveUp('failedFields', FAILED_FIELDS_MAX);
  }

  #giveUp(kind: 'answer' | 'resolvedFields' | 'failedFields', max: number): false {
    if (!this.exceeded) {
      this.exceeded = new CostLimitError(kind, max, max);
      this.onExceeded?.(this.exceeded);
    }
    return false;
  }

  /** Takes a value as JSON. @returns what stands for it in the values of the answer */
  hold(json: Buffer): string {
    this.#parts.push(json);
    return `${MARK}${this.#parts.length - 1}${MARK_END}`;
  }

  /** Lets a result be written with its parts. @returns it */
  complete<T extends ExecutionResult>(result: T): T {
    const parts = this.#parts;
    return parts.length === 0 ? result : Object.assign(result, { stringify: (one: object) => join(one, parts) });
  }
}

/** For values of an execution that was given up: to fail one by one would take it long. */
export const neverResolved = () => new Promise<never>(() => {});

/** A result as JSON. Copies of a completed result have its parts too. */
export function stringifyResult(result: ExecutionResult): string | Buffer {
  const { stringify } = result as { stringify?: (result: object) => Buffer };
  return stringify ? stringify(result) : JSON.stringify(result);
}

function join(result: object, parts: readonly Buffer[]): Buffer {
  const text = JSON.stringify(result);
  const chunks: Buffer[] = [];
  let from = 0;
  for (let at = text.indexOf(JSON_MARK); at !== -1; at = text.indexOf(JSON_MARK, from)) {
    const end = text.indexOf(JSON_MARK_END, at + JSON_MARK.length);
    const part = parts[Number(text.slice(at + JSON_MARK.length, end))] as Buffer;
    chunks.push(Buffer.from(text.slice(from, at)), part);
    from = end + JSON_MARK_END.length;
  }
  chunks.push(Buffer.from(text.slice(from)));
  return Buffer.concat(chunks);
}
