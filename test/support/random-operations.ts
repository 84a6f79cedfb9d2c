import fc, { type GeneratorValue } from 'fast-check';
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
} from 'graphql';
import { schema } from '../../src/graphql/schema.ts';

/** An operation as a client sends it. */
export interface RandomOperation {
  query: string;
  variables: Record<string, unknown>;
}

const DEPTH_MAX = 7;

/** Texts that have led programs astray. */
const TEXTS = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', ' ', '\u0000', 'a\u0000b', '\ud800', '\u202e', '%', "'; --", '\\', '__proto__', 'null', '💥'),
  fc.constantFrom('a'.repeat(300), 'x.y', 'x.*', '*', 'PT1H', '1970-01-01', 'bm9uZQ', 'whsec_', '127.0.0.1'),
);

/** Nothing here leads off this machine, and the port is one where nobody listens. */
const URLS = fc.constantFrom('http://127.0.0.1:2/', 'https://127.0.0.1:2/a?b#c', 'ftp://127.0.0.1', 'http://', 'x', '');

const TIMES = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.constantFrom(
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    '2026-02-30T00:00:00Z',
    '+275760-09-13T00:00:00Z',
    'x',
  ),
);

const NUMBERS = fc.oneof(
  fc.integer({ min: -2, max: 120 }),
  fc.constantFrom(0, 1, -1, 2_147_483_647, -2_147_483_648, 2_147_483_648, 60, 3_600, 86_400),
);

const SCALARS: Record<string, fc.Arbitrary<unknown>> = {
  Int: NUMBERS,
  Float: fc.double(),
  Boolean: fc.boolean(),
  String: TEXTS,
  DateTime: TIMES,
  URL: URLS,
  JSON: fc.jsonValue(),
};

/** Makes operations of the schema: most of them right, some a little wrong. */
export class OperationMaker {
  readonly #pick: GeneratorValue;
  readonly #knownIds: string[];
  #variables: Record<string, unknown> = {};
  #definitions: string[] = [];

  /** @param knownIds IDs of what is there */
  constructor(pick: GeneratorValue, knownIds: string[]) {
    this.#pick = pick;
    this.#knownIds = knownIds;
  }

  make(): RandomOperation {
    const kind = this.#pick(fc.constantFrom, 'query', 'query', 'query', 'mutation', 'mutation', 'subscription');
    const root = {
      query: schema.getQueryType(),
      mutation: schema.getMutationType(),
      subscription: schema.getSubscriptionType(),
    };
    this.#variables = {};
    this.#definitions = [];
    const selection = this.#selectFields(root[kind as keyof typeof root] as GraphQLObjectType, DEPTH_MAX);
    const definitions = this.#definitions.length > 0 ? `(${this.#definitions.join(', ')})` : '';
    const query = `${kind} ${definitions} ${selection}`;
    return { query: this.#chance(8) ? this.#garble(query) : query, variables: this.#variables };
  }

  /** Once in so many times. */
  #chance(times: number): boolean {
    return this.#pick(fc.integer, { min: 1, max: times }) === times;
  }

  #selectFields(type: GraphQLObjectType, depth: number): string {
    const fields = Object.values(type.getFields()).filter((field) => depth > 1 || !needsSelection(field));
    const count = this.#pick(fc.integer, { min: 1, max: 4 });
    const chosen = Array.from({ length: count }, (_, index) =>
      fields.length === 0 || this.#chance(12) ? '__typename' : this.#selectField(this.#choose(fields), depth, index),
    );
    return `{ ${chosen.join(' ')} }`;
  }

  #choose<T>(from: readonly T[]): T {
    return from[this.#pick(fc.nat, { max: from.length - 1 })] as T;
  }

  #selectField(field: GraphQLField<unknown, unknown>, depth: number, index: number): string {
    const args = field.args.filter((arg) => isRequired(arg) || this.#chance(3));
    const written = args.map((arg) => `${arg.name}: ${this.#write(arg)}`);
    const name = this.#chance(30) ? `${field.name}X` : field.name;
    const inner = needsSelection(field) ? this.#select(field.type, depth - 1) : '';
    const directive = this.#chance(20)
      ? `@${this.#choose(['include', 'skip'])}(if: ${this.#choose(['true', 'false'])})`
      : '';
    return `f${index}: ${name}${written.length > 0 ? `(${written.join(', ')})` : ''} ${directive} ${inner}`;
  }

  #select(type: GraphQLOutputType, depth: number): string {
    const named = getNamedType(type);
    if (isObjectType(named)) return this.#selectFields(named, depth);
    if (!isUnionType(named) && !isInterfaceType(named)) return '';
    const members = schema.getPossibleTypes(named);
    const parts = [this.#choose(members), this.#choose(members)].map(
      (member, index) => `p${index}: __typename ... on ${member.name} ${this.#selectFields(member, depth)}`,
    );
    return `{ ${this.#choose(parts)} }`;
  }

  /** A value where the schema takes one: as it stands, or as a variable. */
  #write({ type }: GraphQLArgument | GraphQLInputField): string {
    const value = this.#chance(25) ? this.#pick(fc.jsonValue) : this.#makeValue(type);
    if (this.#chance(2)) return toLiteral(value, type);
    const name = `v${this.#definitions.length}`;
    this.#definitions.push(`$${name}: ${type}`);
    this.#variables[name] = value;
    return `$${name}`;
  }

  #makeValue(type: GraphQLInputType): unknown {
    if (isNonNullType(type)) return this.#makeValue(type.ofType) ?? this.#makeValue(type.ofType);
    if (this.#chance(15)) return null;
    if (isListType(type)) {
      return Array.from({ length: this.#pick(fc.nat, { max: 3 }) }, () => this.#makeValue(type.ofType));
    }
    if (isEnumType(type)) return this.#choose(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((field) => isRequired(field) || this.#chance(2));
      return Object.fromEntries(fields.map((field) => [field.name, this.#makeValue(field.type)]));
    }
    if (type.name === 'ID') return this.#chance(4) ? this.#pick(() => TEXTS) : this.#choose(this.#knownIds);
    return this.#pick(() => SCALARS[type.name] ?? TEXTS);
  }

  /** Breaks a text in one place. */
  #garble(text: string): string {
    const at = this.#pick(fc.nat, { max: text.length });
    const cut = this.#pick(fc.nat, { max: 5 });
    return text.slice(0, at) + this.#pick(() => TEXTS) + text.slice(at + cut);
  }
}

const isRequired = ({ type, defaultValue }: GraphQLArgument | GraphQLInputField) =>
  isNonNullType(type) && defaultValue === undefined;

const needsSelection = (field: GraphQLField<unknown, unknown>) =>
  'getFields' in getNamedType(field.type) || isUnionType(getNamedType(field.type));

/** A value as GraphQL writes it in a document. */
function toLiteral(value: unknown, type: GraphQLInputType): string {
  const nullable = isNonNullType(type) ? type.ofType : type;
  if (typeof value === 'string') return isEnumType(nullable) && /^\w+$/.test(value) ? value : JSON.stringify(value);
  if (Array.isArray(value)) {
    const inner = isListType(nullable) ? nullable.ofType : nullable;
    return `[${value.map((part) => toLiteral(part, inner)).join(' ')}]`;
  }
  if (typeof value !== 'object' || value === null) return String(value);
  const fields = isInputObjectType(nullable) ? nullable.getFields() : {};
  const parts = Object.entries(value).map(
    ([name, part]) => `${name}: ${toLiteral(part, fields[name]?.type ?? nullable)}`,
  );
  return `{${parts.join(', ')}}`;
}
