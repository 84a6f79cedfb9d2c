import { findClosestName } from './closest-name.ts';

const PREFIX = 'POSTHORN_';
/** Settings of clients, which often run with the same environment: the URL of a Posthorn and an API key. */
const CLIENT_NAMES = new Set(['POSTHORN_URL', 'POSTHORN_KEY']);
/**
 * Variables that Kubernetes sets for services named posthorn or posthorn-…, for example POSTHORN_SERVICE_HOST,
 * POSTHORN_SERVICE_PORT_HTTP, POSTHORN_PORT, POSTHORN_PORT_4000_TCP_ADDR and POSTHORN_API_PORT.
 */
const KUBERNETES_NAME =
  /^POSTHORN_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PROTO|PORT))?)$/;
const KUBERNETES_PORT = /_PORT_\d+_(?:TCP|UDP|SCTP)_PORT$/;
/** Kubernetes' value of POSTHORN_API_PORT, for example tcp://10.0.0.1:4000. */
const IS_PORT_URL = /^(?:tcp|udp|sctp):\/\//;
/** A long name is not a misspelt one, and the comparison takes time. */
const COMPARED_CHARS_MAX = 100;

/**
 * Finds variables that begin with `POSTHORN_` and mean nothing to Posthorn, which are misspelt ones mostly.
 *
 * @param env variables with a value
 * @param known names of all settings
 * @returns a sentence about each, with the closest name
 */
export function findUnknownSettings(env: Record<string, unknown>, known: readonly string[]): string[] {
  const unknown = Object.keys(env).filter((name) => name.startsWith(PREFIX) && !known.includes(name));
  return unknown.flatMap((name) => describeUnknown(name, String(env[name]), known) ?? []);
}

/** POSTHORN_DENIED_PORT is a misspelt setting, and POSTHORN_PORT=4000 was meant to be PORT. */
function isFromKubernetes(name: string, value: string): boolean {
  if (!KUBERNETES_NAME.test(name)) return false;
  if (name === 'POSTHORN_PORT') return !/^\d+$/.test(value);
  return (
    !name.endsWith('_PORT') || name.endsWith('_SERVICE_PORT') || KUBERNETES_PORT.test(name) || IS_PORT_URL.test(value)
  );
}

function describeUnknown(name: string, value: string, known: readonly string[]): string | null {
  if (CLIENT_NAMES.has(name)) return null;
  if (isFromKubernetes(name, value)) return null;
  const unprefixed = name.slice(PREFIX.length);
  const closest = known.includes(unprefixed) ? unprefixed : findClosestName(name.slice(0, COMPARED_CHARS_MAX), known);
  return `${name.slice(0, COMPARED_CHARS_MAX)} is not a setting${closest === null ? '; remove it' : `; did you mean ${closest}?`}`;
}
