import { type GraphQLInputType, getNamedType, isInputObjectType, isListType, isNonNullType } from 'graphql';

/** How large a value of an argument or input field may be. */
export interface InputLimits {
  /** Entries of a list. */
  entries?: number;
  /** Characters of a text, of each text of a list, or of all texts and keys of a JSON value. */
  chars?: number;
  /** Values and keys of a JSON value. */
  values?: number;
}

/** Characters of a filter's text. */
export const FILTER_CHARS_MAX = 256;
/** Entries of a list of enum values. */
export const ENUM_ENTRIES_MAX = 100;
/** Texts of a filter. */
export const FILTER_TEXTS_MAX = 100;
/** A payload, or what else may be any JSON: as much as an event's body can hold. */
export const JSON_INPUT_MAX = { values: 131_072, chars: 262_144 };
/** Headers as JSON: 32 names and values, and some more to be refused for what they are. */
export const HEADERS_INPUT_MAX = { values: 1_024, chars: 262_144 };
/** Characters of a cursor. */
export const CURSOR_CHARS_MAX = 512;
/** Characters of an ID, an enum value, a time or a number given as text. */
export const WORD_CHARS_MAX = 128;

/** Options of an argument or input field with limits: `t.string({ description, ...atMost({ chars: 256 }) })`. */
export const atMost = (limits: InputLimits) => ({ extensions: { limits } });

/** An argument or input field. */
export interface InputSlot {
  type: GraphQLInputType;
  extensions: Record<string, unknown> | Readonly<Record<string, unknown>>;
}

/** Of arguments that are not Posthorn's own: those of introspection and directives. */
const LIMITS_DEFAULT = { entries: 1, chars: WORD_CHARS_MAX, values: 1 };

/** The limits that hold for an argument or input field: those that it declares. */
export const limitsOf = ({ extensions }: InputSlot): Required<InputLimits> => ({
  ...LIMITS_DEFAULT,
  ...(extensions.limits as InputLimits | undefined),
});

/** Types of texts whose length each field declares; every other scalar or enum is a word. */
const TEXT_TYPES = new Set(['String', 'URL']);

/** Whether a leaf type holds a text whose length its field limits. */
export const isTextType = (type: GraphQLInputType): boolean => TEXT_TYPES.has(getNamedType(type).name);

/** Limits that an argument or input field must declare, but does not. */
export function findMissingLimits(slot: InputSlot): (keyof InputLimits)[] {
  const limits = (slot.extensions.limits ?? {}) as InputLimits;
  const named = getNamedType(slot.type);
  const bare = isNonNullType(slot.type) ? slot.type.ofType : slot.type;
  const needed: (keyof InputLimits)[] = [];
  if (isListType(bare)) needed.push('entries');
  if (named.name === 'JSON') needed.push('values', 'chars');
  else if (!isInputObjectType(named) && isTextType(slot.type)) needed.push('chars');
  return needed.filter((name) => limits[name] === undefined);
}
