import { randomUUID } from 'node:crypto';

export const REQUEST_ID_HEADER = 'x-request-id';
/** What is taken over from a caller: harmless in logs and headers. */
const ACCEPTED = /^[\w.:-]{1,128}$/;

/** The caller's own ID of the request, or a new one. */
export const chooseRequestId = (given: string | string[] | undefined): string =>
  typeof given === 'string' && ACCEPTED.test(given) ? given : randomUUID();
