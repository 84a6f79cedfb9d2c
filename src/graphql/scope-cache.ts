import { RequestCache } from '@pothos/plugin-scope-auth';

/**
 * Lets go of what Pothos' scope plugin remembers of an operation that has ended: to be called after each execution. The
 * plugin remembers by context, in a WeakMap whose value holds the context itself, and short collections of V8 take the
 * values of an old WeakMap for alive. So every operation, with its request and its answer, would be moved to the old
 * generation: 16 KB a publish, and collections of 10 ms instead of 4.
 */
export const forgetScopes = (context: object): void => RequestCache.clearForContext(context);
