import { isWrittenNumber } from './json-number.ts';

/** How much a JSON value holds. */
export interface JsonSize {
  /** Values and keys, itself included. */
  values: number;
  /** Characters of its texts and keys. */
  chars: number;
}

/** Measures a JSON value. Measuring ends as soon as a limit is exceeded. */
export function measureJsonValue(value: unknown, max: JsonSize): JsonSize {
  const size: JsonSize = { values: 0, chars: 0 };
  const waiting: unknown[] = [value];
  while (waiting.length > 0 && size.values <= max.values && size.chars <= max.chars) {
    const next = waiting.pop();
    size.values += 1;
    if (typeof next === 'string') size.chars += next.length;
    else if (typeof next !== 'object' || next === null || isWrittenNumber(next)) continue;
    else if (Array.isArray(next)) pushEntries(next, waiting, { size, max });
    else pushMembers(next, waiting, { size, max });
  }
  return size;
}

interface Measuring {
  size: JsonSize;
  max: JsonSize;
}

function pushEntries(array: unknown[], waiting: unknown[], { size, max }: Measuring) {
  if (size.values + array.length > max.values) size.values += array.length;
  else for (const entry of array) waiting.push(entry);
}

function pushMembers(object: object, waiting: unknown[], { size, max }: Measuring) {
  for (const key in object) {
    size.values += 1;
    size.chars += key.length;
    if (size.values > max.values) return;
    waiting.push((object as Record<string, unknown>)[key]);
  }
}
