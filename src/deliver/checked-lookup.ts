import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { describeBlockedHost, type TargetPolicy } from '../domain/target-policy.ts';
import { BlockedAddressError } from './attempt-error.ts';

/** Gives all addresses of a name. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Resolves a name and gives only allowed addresses to connect to, so what was checked is what is connected to. Each new
 * connection asks anew. A host that is an address comes here only on its way through a proxy, and is its own address.
 *
 * @param resolve @default the system's resolver
 */
export function makeCheckedLookup({ mayConnect }: TargetPolicy, resolve: Resolve = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const allowed = addresses.filter(({ address }) => mayConnect(hostname, address));
      const first = allowed[0];
      if (!first) return callback(new BlockedAddressError(describeBlockedHost(hostname)), '', 0);
      if (options.all) return callback(null, allowed);
      return callback(null, first.address, first.family);
    });
  };
}
