import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  Lexer,
  parse,
  type SelectionNode,
  type SelectionSetNode,
  Source,
  TokenKind,
} from 'graphql';
import { measureJsonValue } from '../domain/json-values.ts';

/** Characters of a document. */
export const DOCUMENT_CHARS_MAX = 1_048_576;
/** Lines of a document: each error is placed by counting them. */
export const DOCUMENT_LINES_MAX = 5_000;
/** Characters of a name or a number in a document. */
export const NAME_CHARS_MAX = 128;
/** Words, numbers, texts and signs in a document. */
export const TOKENS_MAX = 10_000;
/** Brackets within brackets in a document: with many more, what reads it would run out of stack. */
export const NESTING_MAX = 200;
/** Levels of fields in an operation. Introspection has a limit of its own, in graphql-js. */
export const DEPTH_MAX = 14;
/** Fields in an operation; those of a fragment count wherever it is spread. */
export const FIELDS_MAX = 500;
/** Fields in an operation that have an alias, counted in the same way. */
export const ALIASES_MAX = 100;
/** Directives in an operation, counted in the same way. */
export const DIRECTIVES_MAX = 50;
/** Fields of an operation that tell of the schema, counted in the same way: one costs as much as a thousand others. */
export const INTROSPECTIONS_MAX = 2;
/** Characters of a subscription, document and variables as JSON: it is kept for as long as it lasts. */
export const SUBSCRIPTION_CHARS_MAX = 16_384;

const EXCESSES = {
  answer: (_: number, max: number) =>
    `an answer of more than ${max} bytes. Ask for smaller pages, or select fewer large fields.`,
  resolvedFields: (_: number, max: number) =>
    `more than ${max} fields in its answer. Ask for smaller pages, or select fewer fields.`,
  failedFields: (_: number, max: number) =>
    `more than ${max} fields that fail. Omit fields that this API key may not read, and correct arguments.`,
  document: (asked: number, max: number) => `${asked} characters, where ${max} are allowed. Send values as variables.`,
  lines: (asked: number, max: number) => `${asked} lines or more, where ${max} are allowed. Send values as variables.`,
  name: (asked: number, max: number) => `a name or number of ${asked} characters, where ${max} are allowed.`,
  tokens: (asked: number, max: number) =>
    `${asked} tokens or more, where ${max} are allowed. Send values as variables, or split the operation.`,
  nesting: (asked: number, max: number) =>
    `${asked} levels of brackets or more, where ${max} are allowed. Send deep values as variables.`,
  depth: (asked: number, max: number) => `depth ${asked}, where ${max} is allowed. Split the operation.`,
  fields: (asked: number, max: number) => `${asked} fields, where ${max} are allowed. Split the operation.`,
  aliases: (asked: number, max: number) => `${asked} aliases, where ${max} are allowed. Split the operation.`,
  directives: (asked: number, max: number) => `${asked} directives, where ${max} are allowed. Leave some out.`,
  introspections: (asked: number, max: number) =>
    `${asked} times __schema or __type, where ${max} are allowed. Ask for the schema once.`,
  subscription: (asked: number, max: number) =>
    `${asked} characters with its variables, where a subscription may have ${max}. Leave out what it does not need.`,
  subscriptionRequest: (asked: number, max: number) =>
    `${asked} bytes in its request, where a subscription may have ${max}. Omit extensions, and what it does not need.`,
  complexity: (asked: number, max: number) => `complexity ${asked}, where ${max} is allowed. Ask for smaller pages.`,
};

/** The operation asks for too much. */
export class CostLimitError extends Error {
  override readonly name = 'CostLimitError';

  constructor(kind: keyof typeof EXCESSES, asked: number, max: number) {
    super(`This operation has ${EXCESSES[kind](asked, max)}`);
  }
}

/**
 * Parses a document, unless it is too large to be looked at: before it is parsed as text, and before it is validated
 * by what it selects.
 *
 * @throws {CostLimitError}
 * @throws {GraphQLError} where it can't be read
 */
export function parseWithinLimits(text: string | Source): DocumentNode {
  const source = typeof text === 'string' ? new Source(text) : text;
  checkTokens(source);
  const document = parse(source);
  checkSelections(document);
  return document;
}

const introspecting = new WeakSet<DocumentNode>();

/** Whether a document that was parsed within its limits asks for the schema. */
export const isIntrospecting = (document: DocumentNode): boolean => introspecting.has(document);

/** @throws {CostLimitError} */
export function checkSubscriptionSize(document: DocumentNode, variables: unknown): void {
  const textChars = document.loc?.source.body.length ?? 0;
  const max = { values: SUBSCRIPTION_CHARS_MAX, chars: SUBSCRIPTION_CHARS_MAX };
  const size = measureJsonValue(variables ?? {}, max);
  const isLarge = size.values > max.values || size.chars > max.chars;
  const chars = textChars + (isLarge ? size.values + size.chars : JSON.stringify(variables ?? {}).length);
  if (chars > SUBSCRIPTION_CHARS_MAX) throw new CostLimitError('subscription', chars, SUBSCRIPTION_CHARS_MAX);
}

const OPENING = new Set<string>([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const CLOSING = new Set<string>([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

const LIMITED = new Set<string>([TokenKind.NAME, TokenKind.INT, TokenKind.FLOAT]);

function checkTokens(source: Source) {
  if (source.body.length > DOCUMENT_CHARS_MAX) {
    throw new CostLimitError('document', source.body.length, DOCUMENT_CHARS_MAX);
  }
  const lexer = new Lexer(source);
  let nesting = 0;
  for (let tokens = 0; lexer.advance().kind !== TokenKind.EOF; ) {
    tokens += 1;
    if (tokens > TOKENS_MAX) throw new CostLimitError('tokens', tokens, TOKENS_MAX);
    const { kind, start, end } = lexer.token;
    if (end - start > NAME_CHARS_MAX && LIMITED.has(kind))
      throw new CostLimitError('name', end - start, NAME_CHARS_MAX);
    if (OPENING.has(kind)) nesting += 1;
    if (CLOSING.has(kind)) nesting -= 1;
    if (nesting > NESTING_MAX) throw new CostLimitError('nesting', nesting, NESTING_MAX);
  }
  if (lexer.line > DOCUMENT_LINES_MAX) throw new CostLimitError('lines', lexer.line, DOCUMENT_LINES_MAX);
}

interface Measures {
  depth: number;
  fields: number;
  aliases: number;
  directives: number;
  introspections: number;
}

const NOTHING: Measures = {
  depth: 0,
  fields: 0,
  aliases: 0,
  directives: 0,
  introspections: 0,
};

/** Fragments count by themselves too: they are validated whether or not an operation spreads them. */
function checkSelections(document: DocumentNode) {
  const { definitions } = document;
  const ruler = new Ruler(definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION));
  for (const definition of definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION) continue;
    const measures = ruler.measure(definition.selectionSet);
    const directives = measures.directives + (definition.directives?.length ?? 0);
    if (measures.depth > DEPTH_MAX) throw new CostLimitError('depth', measures.depth, DEPTH_MAX);
    if (measures.fields > FIELDS_MAX) throw new CostLimitError('fields', measures.fields, FIELDS_MAX);
    if (measures.aliases > ALIASES_MAX) throw new CostLimitError('aliases', measures.aliases, ALIASES_MAX);
    if (measures.introspections > 0) introspecting.add(document);
    if (measures.introspections > INTROSPECTIONS_MAX) {
      throw new CostLimitError('introspections', measures.introspections, INTROSPECTIONS_MAX);
    }
    if (directives > DIRECTIVES_MAX) throw new CostLimitError('directives', directives, DIRECTIVES_MAX);
  }
}

/** Measures selections. Each fragment is walked once, so that fragments which spread one another cost no time. */
class Ruler {
  readonly #fragments: Map<string, FragmentDefinitionNode>;
  readonly #measured = new Map<string, Measures>();

  constructor(fragments: FragmentDefinitionNode[]) {
    this.#fragments = new Map(fragments.map((fragment) => [fragment.name.value, fragment]));
  }

  measure({ selections }: SelectionSetNode): Measures {
    const sum = { ...NOTHING };
    for (const selection of selections) {
      const inner = this.#measureSelection(selection);
      sum.depth = Math.max(sum.depth, inner.depth);
      sum.fields = add(sum.fields, inner.fields);
      sum.aliases = add(sum.aliases, inner.aliases);
      sum.introspections = add(sum.introspections, inner.introspections);
      sum.directives = add(sum.directives, inner.directives + (selection.directives?.length ?? 0));
    }
    return sum;
  }

  #measureSelection(selection: SelectionNode): Measures {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return this.#measureFragment(selection.name.value);
    if (selection.kind === Kind.INLINE_FRAGMENT) return this.measure(selection.selectionSet);
    const inner = selection.selectionSet ? this.measure(selection.selectionSet) : NOTHING;
    return {
      depth: isIntrospection(selection.name.value) ? 1 : inner.depth + 1,
      fields: add(inner.fields, 1),
      aliases: add(inner.aliases, selection.alias ? 1 : 0),
      directives: inner.directives,
      introspections: add(inner.introspections, isIntrospection(selection.name.value) ? 1 : 0),
    };
  }

  #measureFragment(name: string): Measures {
    const known = this.#measured.get(name);
    if (known) return known;
    // Fragments in a circle, and those that are not there, are refused when the document is validated.
    this.#measured.set(name, NOTHING);
    const fragment = this.#fragments.get(name);
    const measures = fragment ? this.measure(fragment.selectionSet) : NOTHING;
    this.#measured.set(name, measures);
    return measures;
  }
}

/** Whether a field of the root tells of the schema. */
export const isIntrospection = (fieldName: string): boolean => fieldName === '__schema' || fieldName === '__type';

/** Fragments that spread one another can count beyond what a number holds. */
const add = (a: number, b: number) => Math.min(a + b, Number.MAX_SAFE_INTEGER);
