import type { Config } from '../config.ts';

const IS_SECRET_NAME = /(keys?|secrets?|tokens?|passwords?)$/i;
const IS_SECRET_PARAMETER = /pass|secret|token|key/i;
const HIDDEN = '[set]';

/**
 * The configuration for the log, without secrets: keys are `[set]`, and URLs lose their passwords. A new setting is
 * hidden if its name ends in key, secret, token or password. The user names of web addresses are removed as well.
 */
export const describeConfig = (config: Config): Record<string, unknown> =>
  Object.fromEntries(Object.entries(config).map(([name, value]) => [name, describeValue(name, value)]));

function describeValue(name: string, value: unknown): unknown {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return value;
  if (value instanceof Uint8Array) return HIDDEN;
  if (IS_SECRET_NAME.test(name)) return Array.isArray(value) && value.length === 0 ? [] : HIDDEN;
  if (Array.isArray(value)) return value.map((part) => describeValue(name, part));
  return typeof value === 'string' ? removePasswords(value) : HIDDEN;
}

function removePasswords(text: string): string {
  if (!text.includes('://')) return text;
  if (!URL.canParse(text)) return HIDDEN;
  const url = new URL(text);
  const before = url.href;
  if (url.password) url.password = '';
  // The user name of a proxy may be a token.
  if (url.protocol.startsWith('http')) url.username = '';
  for (const parameter of [...url.searchParams.keys()]) {
    if (IS_SECRET_PARAMETER.test(parameter)) url.searchParams.delete(parameter);
  }
  return url.href === before ? text : url.href;
}
