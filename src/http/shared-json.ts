import type { ExecutionResult } from 'graphql';
import { stringifyResult } from '../graphql/answer.ts';

const texts = new WeakMap<ExecutionResult, Buffer>();

/** A result as JSON in UTF-8: written once, however many subscribers share it. Must not be changed. */
export function toSharedJson(result: ExecutionResult): Buffer {
  let text = texts.get(result);
  if (!text) {
    const json = stringifyResult(result);
    text = typeof json === 'string' ? Buffer.from(json) : json;
    texts.set(result, text);
  }
  return text;
}
