import type { CreateEndpointInput, EndpointPartsFragment, HttpMethod } from '../generated/documents.ts';

/** What the form of an endpoint holds: texts, as they are typed. */
export interface EndpointValues {
  url: string;
  name: string;
  description: string;
  method: HttpMethod;
  eventTypes: string[];
  timeoutMs: number | string;
  rateLimitPerSecond: number | string;
  maxRetries: number | string;
  /** Seconds, separated by commas. */
  delaysSeconds: string;
  jitter: number | string;
  /** One in a line, `Name: value`. */
  headers: string;
}

export const NEW_ENDPOINT: EndpointValues = {
  url: '',
  name: '',
  description: '',
  method: 'POST',
  eventTypes: ['*'],
  timeoutMs: 15_000,
  rateLimitPerSecond: '',
  maxRetries: 9,
  delaysSeconds: '5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400',
  jitter: 0.2,
  headers: '',
};

export const toValues = (endpoint: EndpointPartsFragment): EndpointValues => ({
  url: endpoint.url,
  name: endpoint.name,
  description: endpoint.description ?? '',
  method: endpoint.method,
  eventTypes: endpoint.eventTypes,
  timeoutMs: endpoint.timeoutMs,
  rateLimitPerSecond: endpoint.rateLimitPerSecond ?? '',
  maxRetries: endpoint.retryPolicy.maxRetries,
  delaysSeconds: endpoint.retryPolicy.delaysSeconds.join(', '),
  jitter: endpoint.retryPolicy.jitter,
  headers: '',
});

const HEADER_LINE = /^\s*([^:\s]+)\s*:\s?(.*)$/;

/** What is wrong with headers as they are typed; null: nothing that can be told here. */
export const findHeaderFault = (text: string): string | null => {
  const wrong = text.split('\n').find((line) => line.trim() !== '' && !HEADER_LINE.test(line));
  return wrong === undefined ? null : `Write each as “Name: value”. This is none: ${wrong.trim()}`;
};

export const findDelaysFault = (text: string): string | null =>
  text.split(',').every((part) => part.trim() !== '' && Number(part) > 0)
    ? null
    : 'Write seconds separated by commas, for example 5, 60, 3600.';

function readHeaders(text: string): Record<string, string> {
  const lines = text.split('\n').map((line) => HEADER_LINE.exec(line));
  return Object.fromEntries(lines.flatMap((line) => (line ? [[line[1] as string, line[2] as string]] : [])));
}

/** What the mutations take. Headers that were left empty are left out: their values can't be read back. */
export function toInput(values: EndpointValues): CreateEndpointInput {
  const { url, name, description, method, eventTypes, timeoutMs, rateLimitPerSecond, headers } = values;
  return {
    url: url.trim(),
    method,
    ...(name.trim() !== '' && { name: name.trim() }),
    description: description.trim() || null,
    eventTypes: eventTypes.length > 0 ? eventTypes : ['*'],
    timeoutMs: Number(timeoutMs),
    rateLimitPerSecond: rateLimitPerSecond === '' ? null : Number(rateLimitPerSecond),
    retryPolicy: {
      maxRetries: Number(values.maxRetries),
      delaysSeconds: values.delaysSeconds.split(',').map(Number),
      jitter: Number(values.jitter),
    },
    ...(headers.trim() !== '' && { headers: readHeaders(headers) }),
  };
}

/** What changed, and nothing else: what others changed meanwhile stays. */
export function toChanges(initial: EndpointValues, values: EndpointValues): Partial<CreateEndpointInput> {
  const before = toInput(initial) as Record<string, unknown>;
  const isOther = ([name, value]: [string, unknown]) => JSON.stringify(value) !== JSON.stringify(before[name]);
  return Object.fromEntries(Object.entries(toInput(values)).filter(isOther));
}

/** Where the form shows what is wrong with an input. */
export function toFieldFaults(faults: Record<string, string>): Record<string, string> {
  const fieldOf = (path: string) => {
    const [first = '', second = ''] = path.split('.');
    return first === 'retryPolicy' ? second : first;
  };
  return Object.fromEntries(Object.entries(faults).map(([path, message]) => [fieldOf(path), message]));
}
