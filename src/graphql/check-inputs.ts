import {
  type DocumentNode,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isListType,
  isNonNullType,
  Kind,
  TypeInfo,
  type ValueNode,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { type InputIssue, RequestError } from '../errors.ts';
import { compileSlot, type FoundIssues, type InputCheck } from './compile-input-check.ts';
import { type InputSlot, isTextType, limitsOf, WORD_CHARS_MAX } from './input-limits.ts';

/** Where a value stands: below which argument, and of which field of a mutation. */
interface Place {
  path: string[];
  /** Name of the mutation's field in the answer; null: the argument is another field's. */
  responseKey: string | null;
}

/** A variable that stands somewhere in the arguments of a document. */
interface Use extends Place {
  variable: string;
  check: InputCheck;
}

/** What there is to check in a document, found once. */
interface Plan {
  uses: Use[];
  /** What is too large in its literals. */
  issues: (Place & { message: string })[];
}

const plans = new WeakMap<DocumentNode, Plan>();

/** What is too large in the inputs of a mutation's fields, by their names in the answer. */
export type MutationIssues = ReadonlyMap<string, InputIssue[]>;

export interface CheckedOperation {
  schema: GraphQLSchema;
  document: DocumentNode;
  variableValues?: Readonly<Record<string, unknown>> | null | undefined;
}

/**
 * Checks the arguments of an operation against the limits that the schema declares, before anything is coerced. In
 * variables, what is too large is replaced by something small.
 *
 * @returns what is too large in inputs of mutations, which they answer with InvalidInputError; null: nothing
 * @throws {RequestError} BAD_USER_INPUT, if an argument of another field is too large
 */
export function checkInputs({ schema, document, variableValues }: CheckedOperation): MutationIssues | null {
  const plan = planOf(schema, document);
  let found: Map<string, InputIssue[]> | null = null;
  const report = ({ responseKey, path }: Place, { issues, isFatal }: FoundIssues) => {
    const [issue] = issues;
    if (!issue) return;
    if (responseKey === null || isFatal) {
      throw new RequestError('BAD_USER_INPUT', `${[...path, ...issue.path].join('.')} ${issue.message}`);
    }
    found ??= new Map();
    // Paths of issues begin below the one argument of a mutation.
    const own = issues.map((one) => ({ ...one, path: [...path.slice(1), ...one.path] }));
    found.set(responseKey, [...(found.get(responseKey) ?? []), ...own]);
  };
  for (const issue of plan.issues) report(issue, { issues: [{ path: [], message: issue.message }], isFatal: false });
  const variables = variableValues as Record<string, unknown> | null | undefined;
  for (const use of plan.uses) {
    const value = variables?.[use.variable];
    if (value === undefined || value === null) continue;
    const inUse: FoundIssues = { issues: [], isFatal: false };
    const checked = use.check(value, inUse);
    if (checked !== value) (variables as Record<string, unknown>)[use.variable] = checked;
    report(use, inUse);
  }
  return found;
}

function planOf(schema: GraphQLSchema, document: DocumentNode): Plan {
  let plan = plans.get(document);
  if (!plan) {
    plan = makePlan(schema, document);
    plans.set(document, plan);
  }
  return plan;
}

function makePlan(schema: GraphQLSchema, document: DocumentNode): Plan {
  const plan: Plan = { uses: [], issues: [] };
  const typeInfo = new TypeInfo(schema);
  let responseKey: string | null = null;
  const visitor = visitWithTypeInfo(typeInfo, {
    Field: (node) => {
      const isOfMutation = typeInfo.getParentType() === schema.getMutationType();
      responseKey = isOfMutation ? (node.alias ?? node.name).value : null;
    },
    Argument: (node) => {
      const argument = typeInfo.getArgument();
      if (argument) planValue(node.value, { slot: argument, plan, path: [node.name.value], responseKey });
    },
  });
  visit(document, visitor);
  return plan;
}

interface Planning extends Place {
  slot: InputSlot;
  plan: Plan;
}

function planValue(node: ValueNode, planning: Planning) {
  const { slot, plan, path, responseKey } = planning;
  if (node.kind === Kind.VARIABLE) {
    plan.uses.push({ variable: node.name.value, check: compileSlot(slot), path, responseKey });
    return;
  }
  const limits = limitsOf(slot);
  const refuse = (message: string) => plan.issues.push({ path, responseKey, message });
  if (node.kind === Kind.STRING) {
    const max = isTextType(slot.type) || isJson(slot.type) ? limits.chars : WORD_CHARS_MAX;
    if (node.value.length > max) refuse(`may have ${max} characters at most.`);
  } else if (node.kind === Kind.LIST) {
    if (!isJson(slot.type) && node.values.length > limits.entries) {
      refuse(`may have ${limits.entries} entries at most.`);
      return;
    }
    const entry = { type: entryTypeOf(slot.type), extensions: slot.extensions };
    for (const [index, value] of node.values.entries()) {
      planValue(value, { ...planning, slot: entry, path: [...path, String(index)] });
    }
  } else if (node.kind === Kind.OBJECT) planObject(node.fields, planning);
}

function planObject(fields: readonly { name: { value: string }; value: ValueNode }[], planning: Planning) {
  const type = getNamedType(planning.slot.type);
  const known = isInputObjectType(type) ? type.getFields() : null;
  for (const { name, value } of fields) {
    // Of JSON, all levels have the limits of the whole.
    const slot = known ? known[name.value] : planning.slot;
    if (slot) planValue(value, { ...planning, slot, path: [...planning.path, name.value] });
  }
}

const isJson = (type: GraphQLInputType): boolean => getNamedType(type).name === 'JSON';

/** Of JSON, each level is JSON. */
function entryTypeOf(type: GraphQLInputType): GraphQLInputType {
  const bare = isNonNullType(type) ? type.ofType : type;
  return isListType(bare) ? bare.ofType : bare;
}
