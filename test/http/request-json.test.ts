import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isExactNumber, normalizeDecimal, parseExactly } from '../../src/domain/json-number.ts';
import { compactJson, measureJson } from '../../src/domain/json-text.ts';
import {
  JSON_NESTING_MAX,
  JSON_PART_VALUES_MAX,
  JSON_VALUES_MAX,
  JsonLimitError,
  parseMessageJson,
  parseRequestJson,
} from '../../src/http/request-json.ts';

const isExact = (text: string) => isExactNumber(text, 0, text.length);

describe('a number of a JSON text', () => {
  it.each(['0', '-0', '1.0', '1.50', '1E2', '1e+2', '100e-2', '0.1', '1e21', '9007199254740991', '0e999999', '5e-324'])(
    '%s is exact: its double means the same',
    (text) => expect(isExact(text)).toBe(true),
  );

  it.each([
    '1e400',
    '-1e400',
    '1e-400',
    '12345678901234567890',
    '9007199254740993',
    '0.1000000000000000055511151231257827',
    '123456789.123456789123',
    `1${'0'.repeat(400)}`,
  ])('%s is not exact: its double means something else', (text) => expect(isExact(text)).toBe(false));

  it('that JavaScript wrote is exact, however it is written', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(isExact(String(value))).toBe(true);
        expect(isExact(value.toExponential())).toBe(true);
        expect(normalizeDecimal(value.toExponential())).toBe(normalizeDecimal(String(value)));
      }),
    );
  });

  it('is read and written again as it was, if no double holds it', () => {
    const text = '{"a":[12345678901234567890,-1e400,1.5],"b":0.1000000000000000055511151231257827}';
    expect(JSON.stringify(parseExactly(text))).toBe(text);
  });
});

describe('the JSON of a request', () => {
  it('is parsed as JSON.parse does', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 6 }), async (text) => {
        expect(await parseRequestJson(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('with very many values is parsed in pieces to the same value', async () => {
    const event = (index: number) => ({
      type: `t${index}`,
      payload: { items: Array.from({ length: 100 }, (_, n) => ({ id: `"${n}\\`, [`key ${n}`]: [n, null, {}] })) },
    });
    const variables = { before: [1], input: { events: Array.from({ length: 500 }, (_, n) => event(n)) }, after: '}],' };
    const text = JSON.stringify({ query: 'q', variables, last: null }, null, 1);
    expect(measureJson(text).large.size).toBeGreaterThan(0);
    expect(await parseRequestJson(text)).toEqual(JSON.parse(text));
  });

  it('in pieces is refused wherever it is not valid', async () => {
    const many = `[${'1,'.repeat(60_000)}1]`;
    const faulty = [
      `{"a":${many}`,
      `{"a":${many}]`,
      `{"a":${many},}`,
      `{"a" ${many}}`,
      `{"a":1 "b":${many}}`,
      `{"a":${many} "b":1}`,
      `[${many},,1]`,
      `[${many}}`,
      `[${'1,'.repeat(60_000)}]`,
      `${many} 1`,
      `1 ${many}`,
      `{"a":[${many},1 2]}`,
      `{${many}}`,
      `{"a":1,${many}}`,
      `["a":${many}]`,
    ];
    for (const text of faulty) {
      expect(() => JSON.parse(text)).toThrow(SyntaxError);
      await expect((async () => parseRequestJson(text))()).rejects.toThrow(SyntaxError);
    }
  });

  it('keeps a key named __proto__ as JSON.parse does', async () => {
    const text = `{"a":[${'1,'.repeat(60_000)}1],"__proto__":{"b":1}}`;
    const parsed = (await parseRequestJson(text)) as object;
    expect(Object.keys(parsed)).toEqual(['a', '__proto__']);
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
  });

  const refused: [what: string, text: string][] = [
    [`more than ${JSON_VALUES_MAX} values`, `[${'1,'.repeat(JSON_VALUES_MAX)}1]`],
    [`more than ${JSON_NESTING_MAX} levels`, `${'['.repeat(JSON_NESTING_MAX + 1)}${']'.repeat(JSON_NESTING_MAX + 1)}`],
    [
      `more than ${JSON_PART_VALUES_MAX} values in one part`,
      `${'['.repeat(7)}${'1,'.repeat(JSON_PART_VALUES_MAX + 2)}1${']'.repeat(7)}`,
    ],
    ['more than 65536 keys in one object', `{${Array.from({ length: 70_000 }, (_, n) => `"${n}":0`).join(',')}}`],
  ];
  it.each(refused)('with %s is refused before it is parsed', async (_, text) => {
    await expect((async () => parseRequestJson(text))()).rejects.toThrow(JsonLimitError);
  });

  it('of a WebSocket message is parsed within smaller limits, with reasons that fit into a close frame', () => {
    expect(parseMessageJson('{"type":"ping","a":1e400}')).toEqual({ type: 'ping', a: parseExactly('1e400') });
    for (const text of [`[${'1,'.repeat(JSON_PART_VALUES_MAX)}1]`, '['.repeat(JSON_NESTING_MAX + 1)]) {
      expect(() => parseMessageJson(text)).toThrow(/^.{1,123}$/);
    }
  });
});

describe('white space of a JSON text', () => {
  it('is taken away between values, and nowhere else', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const spaced = JSON.stringify(JSON.parse(text), null, '\t');
        expect(compactJson(spaced)).toBe(JSON.stringify(JSON.parse(text)));
        expect(measureJson(text).hasSpace || compactJson(text) === text).toBe(true);
      }),
    );
  });
});
