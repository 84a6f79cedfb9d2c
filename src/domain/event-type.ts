/** Longest event type, in characters. */
export const EVENT_TYPE_MAX_CHARS = 256;

const EVENT_TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** What an event type looks like, for messages. */
export const EVENT_TYPE_RULE = `words of letters, digits, "_" and "-" joined by dots, ${EVENT_TYPE_MAX_CHARS} characters at most`;

/** Whether a text is an event type, for example `invoice.paid`. */
export const isEventType = (text: string): boolean => text.length <= EVENT_TYPE_MAX_CHARS && EVENT_TYPE.test(text);

/** Whether a text is what a route may ask for: an event type, `*`, or `prefix.*`. */
export const isEventTypePattern = (text: string): boolean =>
  text === '*' || isEventType(text.endsWith('.*') ? text.slice(0, -2) : text);

/** Begins the types of operational events, which Posthorn publishes itself. Nobody else may use it. */
export const OPERATIONAL_PREFIX = 'posthorn.';

/** Whether a type is one of an operational event. */
export const isOperational = (eventType: string): boolean => eventType.startsWith(OPERATIONAL_PREFIX);

/**
 * Every pattern that matches an event type. An operational one is not among those that `*` stands for: it tells of other
 * endpoints, so a route has to ask for it by name.
 *
 * @example patternsFor('invoice.paid.eu') gives ['*', 'invoice.*', 'invoice.paid.*', 'invoice.paid.eu']
 */
export function patternsFor(eventType: string): string[] {
  const words = eventType.split('.');
  const prefixes = words.slice(1).map((_, index) => `${words.slice(0, index + 1).join('.')}.*`);
  return [...(isOperational(eventType) ? [] : ['*']), ...prefixes, eventType];
}
