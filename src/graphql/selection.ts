import { type GraphQLResolveInfo, Kind, type SelectionSetNode } from 'graphql';

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
