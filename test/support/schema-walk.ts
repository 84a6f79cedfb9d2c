import {
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isRequiredArgument,
  isRequiredInputField,
} from 'graphql';
import { compileSlot, type InputCheck } from '../../src/graphql/compile-input-check.ts';
import type { InputSlot } from '../../src/graphql/input-limits.ts';

/** A place that takes a value: an argument, or a field of an input object in one. */
export interface Slot {
  /** For example `Mutation.retryEvent(input.eventId)`. */
  coordinate: string;
  /** The field that it belongs to: `Mutation.retryEvent`. */
  owner: string;
  /** `['input', 'eventId']` */
  path: string[];
  type: GraphQLInputType;
  isRequired: boolean;
}

/** An argument or a field of an input type, wherever the schema declares it. */
export interface DeclaredInput {
  /** For example `DeliveryFilter.statuses` or `Query.deliveries(after:)`. */
  coordinate: string;
  slot: InputSlot;
  isList: boolean;
  compile: () => InputCheck;
}

/** Every argument and every field of an input type. */
export function findInputs(schema: GraphQLSchema): DeclaredInput[] {
  const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));
  const declare = (coordinate: string, slot: InputSlot): DeclaredInput => {
    const bare = isNonNullType(slot.type) ? slot.type.ofType : slot.type;
    return { coordinate, slot, isList: isListType(bare), compile: () => compileSlot(slot) };
  };
  return types.flatMap((type) => {
    if (isInputObjectType(type)) {
      return Object.values(type.getFields()).map((field) => declare(`${type.name}.${field.name}`, field));
    }
    if (!isObjectType(type)) return [];
    return Object.values(type.getFields()).flatMap((field) =>
      field.args.map((argument) => declare(`${type.name}.${field.name}(${argument.name}:)`, argument)),
    );
  });
}

/** A field of Query, Mutation or Subscription. */
export interface Root {
  coordinate: string;
  operation: 'query' | 'mutation' | 'subscription';
  field: GraphQLField<unknown, unknown>;
}

/** What to send. */
export interface Operation {
  query: string;
  variables: Record<string, unknown>;
  /** Fields with arguments that it selects. */
  owners: Set<string>;
}

/** Objects below the one that an operation gives, whose fields are all selected. Those below have their IDs only. */
const LEVELS = 2;
/** Objects that stand between a list and what is in it. */
const IS_BETWEEN = /(Connection|Edge|Payload)$/;
const JOINT = '__';

/** Goes through everything in a schema. */
export class SchemaWalk {
  readonly #schema: GraphQLSchema;

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  get #objects(): GraphQLObjectType[] {
    const types = Object.values(this.#schema.getTypeMap());
    return types.filter((type) => isObjectType(type)).filter(({ name }) => !name.startsWith('__'));
  }

  /** Every field of every object, `Type.field`. */
  get fields(): string[] {
    return this.#objects.flatMap((type) => Object.keys(type.getFields()).map((field) => `${type.name}.${field}`));
  }

  get roots(): Root[] {
    const operations = ['query', 'subscription', 'mutation'] as const;
    return operations.flatMap((operation) => {
      const type = this.#schema.getRootType(operation as never) as GraphQLObjectType;
      const fields = Object.values(type.getFields());
      return fields.map((field) => ({ operation, field, coordinate: `${type.name}.${field.name}` }));
    });
  }

  /** Every place that takes a value. */
  get slots(): Slot[] {
    return this.#objects.flatMap((type) =>
      Object.values(type.getFields()).flatMap((field) => findSlots(type.name, field)),
    );
  }

  /**
   * Selects everything that a field gives, with the values for arguments on the way, by their coordinates.
   *
   * @param without coordinates of fields to leave out
   */
  build(root: Root, values: ReadonlyMap<string, unknown>, without: readonly string[] = []): Operation {
    const declared = new Map<string, string>();
    const variables: Record<string, unknown> = {};
    const owners = new Set<string>();

    const selectField = (
      typeName: string,
      field: GraphQLField<unknown, unknown>,
      { level, isAliased }: { level: number; isAliased: boolean },
    ): string => {
      const slots = findSlots(typeName, field);
      if (slots.length > 0) owners.add(`${typeName}.${field.name}`);
      const given = slots.filter(({ coordinate }) => values.has(coordinate));
      const args = new Map<string, unknown>();
      for (const { path, coordinate, type } of given) {
        args.set(path[0] as string, place(args.get(path[0] as string), path.slice(1), values.get(coordinate), type));
      }
      const texts = field.args.flatMap(({ name, type }) => {
        if (!args.has(name)) return [];
        const variable = [typeName, field.name, name].join(JOINT);
        declared.set(variable, String(type));
        variables[variable] = toInput(type, args.get(name));
        return [`${name}: $${variable}`];
      });
      const argsText = texts.length > 0 ? `(${texts.join(', ')})` : '';
      const alias = isAliased ? `${typeName}${JOINT}${field.name}: ` : '';
      return `${alias}${field.name}${argsText}${select(getNamedType(field.type), level)}`;
    };

    /** @param beside types whose fields stand beside those of this one: only what is the same may share a name */
    const select = (type: GraphQLNamedType, level: number, beside: readonly GraphQLObjectType[] = []): string => {
      if (isLeafType(type)) return '';
      if (isAbstractType(type)) {
        const types = this.#schema.getPossibleTypes(type);
        const parts = types.map((one) => `... on ${one.name} ${select(one, level, types)}`);
        return ` { __typename ${parts.join(' ')} }`;
      }
      const fields = Object.values((type as GraphQLObjectType).getFields());
      const next = IS_BETWEEN.test(type.name) ? level : level + 1;
      const chosen = fields.filter(
        (field) =>
          !without.includes(`${type.name}.${field.name}`) &&
          (level < LEVELS || (field.name === 'id' && isLeafType(getNamedType(field.type)))),
      );
      const isDeep = level >= LEVELS && IS_BETWEEN.test(type.name);
      return ` { __typename ${(isDeep ? [] : chosen).map((field) => selectField(type.name, field, { level: next, isAliased: hasOtherBeside(field, beside) })).join(' ')} }`;
    };

    const [typeName] = root.coordinate.split('.') as [string];
    const isAnything = isAbstractType(getNamedType(root.field.type)) && root.operation === 'query';
    // An object of any type has many fields; what a subscription gives stands one level lower, in a batch.
    const level = isAnything ? 1 : root.operation === 'subscription' ? -1 : 0;
    const selection = selectField(typeName, root.field, { level, isAliased: true });
    const declarations = [...declared].map(([name, type]) => `$${name}: ${type}`).join(', ');
    const query = `${root.operation}${declarations && ` (${declarations})`} { ${selection} }`;
    return { query, variables, owners };
  }
}

/** The fields that an answer to a built operation has: the types of its objects tell, or the names of its values. */
export function findCovered(answer: unknown, covered: Set<string>): void {
  if (typeof answer !== 'object' || answer === null) return;
  const { __typename: typeName } = answer as { __typename?: string };
  for (const [name, value] of Object.entries(answer)) {
    const [type, field] = name.split(JOINT);
    if (type && field) covered.add(`${type}.${field}`);
    else if (typeName) covered.add(`${typeName}.${name}`);
    findCovered(value, covered);
  }
}

/** Whether another type has something else under the name of a field. */
const hasOtherBeside = (
  { name, type }: GraphQLField<unknown, unknown>,
  beside: readonly GraphQLObjectType[],
): boolean =>
  beside.some((other) => {
    const same = other.getFields()[name];
    return same !== undefined && (String(same.type) !== String(type) || !isLeafType(getNamedType(type)));
  });

function findSlots(typeName: string, field: GraphQLField<unknown, unknown>): Slot[] {
  const owner = `${typeName}.${field.name}`;
  return field.args.flatMap((arg) => flatten(owner, [arg.name], arg.type, isRequiredArgument(arg)));
}

function flatten(owner: string, path: string[], type: GraphQLInputType, isRequired: boolean): Slot[] {
  const named = getNamedType(type);
  if (!isInputObjectType(named)) return [{ coordinate: `${owner}(${path.join('.')})`, owner, path, type, isRequired }];
  return Object.values(named.getFields()).flatMap((field) =>
    flatten(owner, [...path, field.name], field.type, isRequired && isRequiredInputField(field)),
  );
}

/** Puts a value into an input object, at its path. */
function place(input: unknown, path: string[], value: unknown, type: GraphQLInputType): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  const object = (input ?? {}) as Record<string, unknown>;
  return { ...object, [name]: place(object[name], rest, value, type) };
}

/** Lists of input objects are built as one object: they have that one. */
function toInput(type: GraphQLInputType, value: unknown): unknown {
  const bare = isNonNullType(type) ? type.ofType : type;
  if (value === null || value === undefined) return value;
  if (isListType(bare)) {
    return Array.isArray(value) ? value : [toInput(bare.ofType as GraphQLInputType, value)];
  }
  if (!isInputObjectType(bare)) return value;
  const fields = bare.getFields();
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, toInput(fields[name]?.type as GraphQLInputType, inner)]),
  );
}
