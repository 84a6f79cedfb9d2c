import type { NewAttempt, Transition } from '../storage/save-transitions.ts';

/** Forms of an outcome: as it is; with texts that every database can store; without the texts that an endpoint chose. */
export const OUTCOME_FORMS = ['whole', 'plain', 'bare'] as const;
export type OutcomeForm = (typeof OUTCOME_FORMS)[number];

/** Largest `int` of Postgres. */
const INT_MAX = 2_147_483_647;
const PLAIN_NOTE = '[Posthorn replaced characters that could not be stored.]\n';
const BARE_NOTE = '[Posthorn could not store this response.]';

/** A transition in a form that the database may take if it refused the one before. The delivery's new state is the same. */
export function toForm<T extends Transition | null>(transition: T, form: OutcomeForm): T {
  if (!transition?.attempt || form === 'whole') return transition;
  return { ...transition, attempt: form === 'plain' ? toPlain(transition.attempt) : toBare(transition.attempt) };
}

const toPlain = (attempt: NewAttempt): NewAttempt => ({
  ...withValidNumbers(attempt),
  requestUrl: toAscii(attempt.requestUrl),
  requestHeaders: mapTexts(attempt.requestHeaders),
  responseHeaders: mapTexts(attempt.responseHeaders),
  responseBody: attempt.responseBody && `${PLAIN_NOTE}${toAscii(attempt.responseBody)}`,
  error: attempt.error && { ...attempt.error, message: toAscii(attempt.error.message) },
});

const toBare = (attempt: NewAttempt): NewAttempt => ({
  ...withValidNumbers(attempt),
  requestUrl: toAscii(attempt.requestUrl),
  requestHeaders: {},
  responseHeaders: null,
  responseBody: attempt.responseBody === null ? null : BARE_NOTE,
  error: attempt.error && { ...attempt.error, message: 'The reason could not be stored.' },
});

const withValidNumbers = (attempt: NewAttempt): NewAttempt => ({
  ...attempt,
  durationMs: attempt.durationMs === null ? null : Math.min(Math.max(Math.round(attempt.durationMs) || 0, 0), INT_MAX),
  requestBodySize: Math.min(attempt.requestBodySize, INT_MAX),
});

/** Printable ASCII and line breaks; every other character becomes a question mark. */
const toAscii = (text: string): string => text.replace(/[^\t\n\r\x20-\x7e]/gu, '?');

/** Names and values of headers. */
const mapTexts = <T extends object | null>(headers: T): T =>
  headers && JSON.parse(JSON.stringify(headers), (_, value) => (typeof value === 'string' ? toAscii(value) : value));
