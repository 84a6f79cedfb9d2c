import type { ExecutionResult } from 'graphql';

const texts = new WeakMap<ExecutionResult, Buffer>();

/** A result as JSON in UTF-8: written once, however many subscribers share it. Must not be changed. */
export function toSharedJson(result: ExecutionResult): Buffer {
  let text = texts.get(result);
  if (!text) {
    text = Buffer.from(JSON.stringify(result));
    texts.set(result, text);
  }
  return text;
}
