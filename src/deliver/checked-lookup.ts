import type { LookupAddress, LookupAllOptions } from 'node:dns';
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
 * Resolves a name and returns only allowed addresses to connect to. A connection goes to a checked address only: the check is
 * repeated for each new connection, also if the resolver still knows the addresses. A host that is an address comes here
 * only on its way through a proxy, and is its own address.
 */
export function makeCheckedLookup({ mayConnect }: Pick<TargetPolicy, 'mayConnect'>, resolve: Resolve): LookupFunction {
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
