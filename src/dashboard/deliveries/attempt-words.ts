import type { AttemptErrorCode, AttemptTrigger } from '../generated/documents.ts';

const ERRORS: Record<AttemptErrorCode, string> = {
  HTTP_STATUS: 'Not a 2xx answer',
  TIMEOUT: 'Timed out',
  DNS: 'Name not found',
  CONNECTION: 'No connection',
  TLS: 'TLS failed',
  BLOCKED_ADDRESS: 'Blocked address',
  INVALID_RESPONSE: 'Not HTTP',
  EXTERNAL: 'Failed elsewhere',
};

/** Why an attempt failed, in two or three words. */
export const describeAttemptError = (code: AttemptErrorCode): string => ERRORS[code];

const TRIGGERS: Record<AttemptTrigger, string> = {
  INITIAL: 'First attempt',
  RETRY: 'Automatic retry',
  MANUAL: 'Retry by hand',
  EXTERNAL: 'Made elsewhere',
};

/** What brought an attempt about. */
export const describeTrigger = (trigger: AttemptTrigger): string => TRIGGERS[trigger];
