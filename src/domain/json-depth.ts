import { isWrittenNumber } from './json-number.ts';

/** JSON that is nested deeper is not taken as a payload: what reads and writes it would run out of stack. */
export const JSON_DEPTH_MAX = 500;

/** Whether a JSON value has more levels of objects and arrays than so many. */
export function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null || isWrittenNumber(value)) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeperThan(levels - 1, part));
}
