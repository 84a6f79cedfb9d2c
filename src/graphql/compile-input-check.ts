import {
  type GraphQLInputObjectType,
  type GraphQLInputType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from 'graphql';
import { isWrittenNumber } from '../domain/json-number.ts';
import { type JsonSize, measureJsonValue } from '../domain/json-values.ts';
import type { InputIssue } from '../errors.ts';
import { type InputLimits, type InputSlot, isTextType, limitsOf, WORD_CHARS_MAX } from './input-limits.ts';

/** Issues after which no more are looked for. */
const ISSUES_MAX = 10;

/** What is too large in an input. */
export interface FoundIssues {
  /** The paths grow from the inside out while a check returns. */
  issues: InputIssue[];
  /** Whether the type of a value cannot even be read, so that no resolver can refuse it. */
  isFatal: boolean;
}

/**
 * Checks a value before it is coerced. What is too large is replaced by something small of the same type, so that
 * coercion costs no time. Takes time proportional to what is within the limits.
 *
 * @returns the value, or what replaces it
 */
export type InputCheck = (value: unknown, found: FoundIssues) => unknown;

/** The check of an argument or input field. @param known checks of input types, which may hold themselves */
export const compileSlot = (slot: InputSlot, known: Map<string, InputCheck> = new Map()): InputCheck =>
  compileType(slot.type, limitsOf(slot), known);

function compileType(
  type: GraphQLInputType,
  limits: Required<InputLimits>,
  known: Map<string, InputCheck>,
): InputCheck {
  if (isNonNullType(type)) return compileType(type.ofType, limits, known);
  if (isListType(type)) return checkList(compileType(type.ofType, limits, known), limits.entries);
  if (isInputObjectType(type)) return compileObject(type, known);
  if (isTextType(type)) return checkText(limits.chars);
  if (type.name === 'JSON') return checkJson(limits);
  return checkWord(isEnumType(type) || type.name === 'DateTime');
}

function checkList(checkEntry: InputCheck, entriesMax: number): InputCheck {
  return (value, found) => {
    if (!Array.isArray(value)) return checkEntry(value, found);
    if (value.length > entriesMax) return refuse(found, `may have ${entriesMax} entries at most.`, []);
    for (let index = 0; index < value.length && found.issues.length < ISSUES_MAX; index += 1) {
      const before = found.issues.length;
      value[index] = checkEntry(value[index], found);
      if (found.issues.length > before) prefix(found, before, String(index));
    }
    return value;
  };
}

function compileObject(type: GraphQLInputObjectType, known: Map<string, InputCheck>): InputCheck {
  const before = known.get(type.name);
  if (before) return before;
  const fields = new Map<string, InputCheck>();
  const required: string[] = [];
  const check: InputCheck = (value, found) => {
    if (value === null || typeof value !== 'object') return checkText(WORD_CHARS_MAX)(value, found);
    if (Array.isArray(value)) return [];
    const object = value as Record<string, unknown>;
    const isWhole = required.every((name) => object[name] !== undefined && object[name] !== null);
    if (!isWhole || hasUnknownName(object, fields)) return toStub(object, fields);
    for (const name in object) {
      const issues = found.issues.length;
      const inner = object[name];
      const checked = fields.get(name)?.(inner, found);
      if (checked !== inner) object[name] = checked;
      if (found.issues.length > issues) prefix(found, issues, name);
    }
    return object;
  };
  known.set(type.name, check);
  for (const field of Object.values(type.getFields())) {
    fields.set(field.name, compileSlot(field, known));
    if (isRequiredInputField(field)) required.push(field.name);
  }
  return check;
}

function hasUnknownName(object: object, fields: Map<string, InputCheck>): boolean {
  for (const name in object) if (!fields.has(name)) return true;
  return false;
}

/** An object that coercion refuses for the same reason, and that is quick to print: it has one unknown name at most. */
function toStub(object: Record<string, unknown>, fields: Map<string, InputCheck>): Record<string, unknown> {
  const stub: Record<string, unknown> = {};
  for (const name of fields.keys()) if (Object.hasOwn(object, name)) stub[name] = toStubValue(object[name]);
  for (const name in object) {
    if (fields.has(name)) continue;
    stub[name.slice(0, WORD_CHARS_MAX)] = toStubValue(object[name]);
    break;
  }
  return stub;
}

function toStubValue(value: unknown): unknown {
  return typeof value === 'string' ? value.slice(0, WORD_CHARS_MAX) : toSmallValue(value);
}

const checkText =
  (charsMax: number): InputCheck =>
  (value, found) => {
    if (typeof value === 'string') {
      return value.length > charsMax ? refuse(found, `may have ${charsMax} characters at most.`, '') : value;
    }
    return toSmallValue(value);
  };

/** @param isParsed whether the type reads the text, so that no other can stand in its place */
const checkWord =
  (isParsed: boolean): InputCheck =>
  (value, found) => {
    if (typeof value === 'string' && value.length > WORD_CHARS_MAX) {
      found.isFatal ||= isParsed;
      return refuse(found, `may have ${WORD_CHARS_MAX} characters at most.`, '');
    }
    return toSmallValue(value);
  };

function checkJson(max: JsonSize): InputCheck {
  return (value, found) => {
    if (typeof value === 'string' && value.length <= max.chars) return value;
    if (value === null || (typeof value !== 'object' && typeof value !== 'string')) return value;
    const { values, chars } = measureJsonValue(value, max);
    if (values > max.values) return refuse(found, `may have ${max.values} values and keys at most.`, {});
    return chars > max.chars ? refuse(found, `may have ${max.chars} characters of text at most.`, {}) : value;
  };
}

/** A value of no scalar's type is refused by coercion, which prints it: it must be small. */
function toSmallValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (isWrittenNumber(value)) return Number(value.rawJSON);
  return Array.isArray(value) ? [] : {};
}

function refuse<T>(found: FoundIssues, message: string, replacement: T): T {
  found.issues.push({ path: [], message });
  return replacement;
}

/** Puts a key before the paths of the issues that were found in it. */
function prefix({ issues }: FoundIssues, from: number, key: string) {
  for (const issue of issues.slice(from)) issue.path.unshift(key);
}
