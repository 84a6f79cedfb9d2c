import { decodeId, ID_PREFIXES, type IdKind, kindOfId } from '../domain/ids.ts';
import { InvalidInputError, RequestError } from '../errors.ts';

/** What an ID of a kind must be, for a message. */
export const describeId = (kind: IdKind) => `must be an ID of the form ${ID_PREFIXES[kind]}_… (26 letters and digits).`;

/** UUID behind an ID in a query's argument. @throws {RequestError} BAD_USER_INPUT */
export function decodeArgument(kind: IdKind, id: string, name: string): string {
  const uuid = decodeId(kind, id);
  if (uuid === null) throw new RequestError('BAD_USER_INPUT', `${name} ${describeId(kind)}`);
  return uuid;
}

/** As {@link decodeArgument}; undefined where the argument is left out. */
export const decodeOptional = (kind: IdKind, id: string | null | undefined, name: string): string | undefined =>
  id === null || id === undefined ? undefined : decodeArgument(kind, id, name);

/** UUID behind an ID in a mutation's input. @param where its name in the input, or its path. @throws {InvalidInputError} */
export function decodeInput(kind: IdKind, id: string, where: string | string[]): string {
  const uuid = decodeId(kind, id);
  if (uuid === null) throw new InvalidInputError([{ path: [where].flat(), message: describeId(kind) }]);
  return uuid;
}

/** As {@link decodeInput}; undefined where it is left out. */
export const decodeOptionalInput = (
  kind: IdKind,
  id: string | null | undefined,
  where: string | string[],
): string | undefined => (id === null || id === undefined ? undefined : decodeInput(kind, id, where));

/** Type and UUID of an ID of any type. @throws {RequestError} BAD_USER_INPUT */
export function decodeNodeId(id: string): { typename: string; id: string } {
  const kind = kindOfId(id);
  const prefixes = Object.values(ID_PREFIXES).join('_, ');
  if (!kind) throw new RequestError('BAD_USER_INPUT', `id must be an ID that begins with one of ${prefixes}_.`);
  return { typename: kind, id: decodeArgument(kind, id, 'id') };
}
