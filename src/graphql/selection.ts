import { queryFromInfo } from '@pothos/plugin-prisma';
import { type GraphQLResolveInfo, Kind, type SelectionSetNode } from 'graphql';
import type { Context } from './context.ts';

/**
 * Whether a field of some name is selected anywhere below the one that is being resolved, also where a directive leaves
 * it out.
 */
export function selects({ fieldNodes, fragments }: GraphQLResolveInfo, fieldName: string): boolean {
  const seen = new Set<string>();
  const has = (set: SelectionSetNode | undefined): boolean =>
    set?.selections.some((selection) => {
      if (selection.kind === Kind.FIELD) return selection.name.value === fieldName || has(selection.selectionSet);
      if (selection.kind === Kind.INLINE_FRAGMENT) return has(selection.selectionSet);
      const { value: name } = selection.name;
      if (seen.has(name)) return false;
      seen.add(name);
      return has(fragments[name]?.selectionSet);
    }) ?? false;
  return fieldNodes.some((node) => has(node.selectionSet));
}

/** Columns and relations for Prisma, as Pothos plans them for a selection. */
export interface PlannedQuery {
  select?: object;
}

/**
 * Plans what to read of the row in a mutation's payload, for a use case that returns the row it has written. Reading it
 * in the same transaction means that the answer cannot fail after the change is committed.
 *
 * @param field of the payload, for example `endpoint`
 * @param always columns to read whatever is selected
 */
export const selectInPayload = <Select extends { id: true }>(
  context: Context,
  info: GraphQLResolveInfo,
  { field, always }: { field: string; always: Select },
): Select => queryFromInfo({ context, info, path: [field], select: { ...always } }).select as Select;

/**
 * Plans what a field of the objects that are being resolved selects of its row, once for all of these objects.
 *
 * @returns `null` if the field is not selected
 */
export function planBelow(context: Context, info: GraphQLResolveInfo, field: string): PlannedQuery | null {
  const query = queryFromInfo({ context, info, path: [field] });
  return query.select ? query : null;
}

const plannedByContext = new WeakMap<Context, Map<string, PlannedQuery>>();

/**
 * Plans what a field selects of its row. The plan is made once per execution and shared by all objects of a list.
 * Pothos also takes the selected columns for loaded from now on.
 */
export function planOnce(context: Context, info: GraphQLResolveInfo): PlannedQuery {
  let planned = plannedByContext.get(context);
  if (!planned) {
    planned = new Map();
    plannedByContext.set(context, planned);
  }
  const path = pathOf(info);
  let query = planned.get(path);
  if (!query) {
    query = queryFromInfo({ context, info });
    planned.set(path, query);
  }
  return query;
}

/** Path of a field without the indices of lists: the same for all objects of a list. */
export function pathOf({ path }: GraphQLResolveInfo): string {
  const keys: string[] = [];
  for (let at: typeof path | undefined = path; at; at = at.prev) if (typeof at.key === 'string') keys.push(at.key);
  return keys.join('.');
}

/** Whether the object of a field is selected for its ID alone. Planning that would cost more than it saves. */
export const selectsIdAlone = ({ fieldNodes }: GraphQLResolveInfo): boolean =>
  fieldNodes.every(({ selectionSet }) =>
    selectionSet?.selections.every(
      (selection) =>
        selection.kind === Kind.FIELD && (selection.name.value === 'id' || selection.name.value === '__typename'),
    ),
  );
