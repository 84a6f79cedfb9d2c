import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hideInText, hideValues, LOOK_AHEAD_BYTES } from '../../src/deliver/hide-values.ts';
import { keepResponseBody, RESPONSE_BODY_BYTES_KEPT } from '../../src/deliver/response-body.ts';
import { SecretIndex } from '../../src/deliver/secret-index.ts';

const hide = (body: string | Buffer, own: Record<string, string>, headers: Record<string, string | string[]> = {}) =>
  hideValues({ status: 200, headers, body: Buffer.from(body) }, new SecretIndex(own));

const shown = (body: string, own: Record<string, string>) => hide(body, own).body.toString();

const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;

describe('the values of an endpoint’s own headers', () => {
  it.each([
    ['plainly', 'got s3cret-value', { a: 's3cret-value' }, 'got [hidden]'],
    ['in parts', '{"token":"abc/def+ghi"}', { a: 'Bearer abc/def+ghi' }, '{"token":"[hidden]"}'],
    ['in JSON', JSON.stringify({ a: 'say "hello\\you"' }), { a: 'say "hello\\you"' }, '{"a":"[hidden]"}'],
    ['in JSON with escaped slashes', '"Bearer abc\\/def\\/ghi"', { a: 'Bearer abc/def/ghi' }, '"[hidden]"'],
    ['in JSON with escaped letters', '"\\u0073ecret\\u002Dvalue"', { a: 'secret-value' }, '"[hidden]"'],
    ['more than once', 's3cret-value, s3cret-value', { a: 's3cret-value' }, '[hidden], [hidden]'],
    ['in upper case', 'X-KEY: S3CRET-VALUE', { a: 's3cret-value' }, 'X-KEY: [hidden]'],
    ['percent-encoded', 'key=Bearer%20abc%2Fdef%2bghi&x', { a: 'Bearer abc/def+ghi' }, 'key=[hidden]&x'],
    ['as in a form', 'key=Bearer+abc%2Fdef&x', { a: 'Bearer abc/def' }, 'key=[hidden]&x'],
    ['in HTML', '<b>a&lt;b&amp;c&quot;d&#x27;e&#102;</b>', { a: 'a<b&c"d\'ef' }, '<b>[hidden]</b>'],
    ['in hex', 'key 7333637265742D76616c7565!', { a: 's3cret-value' }, 'key [hidden]!'],
    ['with lines of base64', 'czNjcmV0\r\nLXZhbHVl', { a: 's3cret-value' }, '[hidden]'],
    [
      'by a part of 16 characters or more',
      'ends in 0123456789abcdef.',
      { a: `sk_${'0123456789abcdef'}` },
      'ends in [hidden].',
    ],
    [
      'as a user name and password',
      'user aladdin, password sesame',
      { a: basic('aladdin:sesame') },
      'user [hidden], password [hidden]',
    ],
    [
      'as a password with other letters',
      '"offen-für-dich" "offen-f\\u00fcr-dich"',
      { a: basic('u:offen-für-dich') },
      '"[hidden]" "[hidden]"',
    ],
    [
      'within other base64',
      Buffer.from('user=s3cret-value;').toString('base64'),
      { a: 's3cret-value' },
      'dXNlcj[hidden]7',
    ],
  ])('are hidden where they are answered %s', (_, body, own, expected) => {
    expect(shown(body, own as unknown as Record<string, string>)).toBe(expected);
  });

  it('are hidden whole if one is a part of another, whichever comes first', () => {
    const own = { 'x-client-id': 'acme-prod', authorization: 'Bearer acme-prod-SECRETTAIL' };
    const reversed = Object.fromEntries(Object.entries(own).reverse());
    for (const headers of [own, reversed]) {
      expect(shown('"Bearer acme-prod-SECRETTAIL" of acme-prod', headers)).toBe('"[hidden]" of [hidden]');
    }
  });

  it.each([
    ['of 1 to 3 characters are not hidden', 'yes it is', { a: 'yes' }, 'yes it is'],
    [
      'of 4 to 7 characters are hidden as whole words only',
      'prod, product, PROD',
      { a: 'prod' },
      '[hidden], product, [hidden]',
    ],
    [
      'do not hide the name of their scheme',
      'use Bearer or Basic',
      { a: 'Bearer 0123456789', b: basic('u:p') },
      'use Bearer or Basic',
    ],
    ['of 8 to 15 characters are hidden whole only', 'acme-prod-1 acme-pro', { a: 'acme-prod-1' }, '[hidden] acme-pro'],
  ])('%s', (_, body, own, expected) => {
    expect(shown(body, own as unknown as Record<string, string>)).toBe(expected);
  });

  it('are hidden in headers, also in repeated ones, in their names and in error messages', () => {
    const { headers } = hide(
      '',
      { a: 's3cret-value' },
      { x: 'a s3cret-value', y: ['s3cret-value', 'z'], 's3cret-value': 'z' },
    );
    expect(headers).toEqual({ x: 'a [hidden]', y: ['[hidden]', 'z'], '[hidden]': 'z' });
    expect(hideInText('Not for s3cret-value: ä.', new SecretIndex({ a: 's3cret-value' }))).toBe('Not for [hidden]: ä.');
  });

  it('leave an answer without them as it is', () => {
    const answer = { status: 200, headers: { 'x-latin': 'caf\u00e9 \u0080' }, body: Buffer.from('ok') };
    expect(hideValues(answer, new SecretIndex({ a: 's3cret-value' }))).toBe(answer);
    expect(hideValues(answer, new SecretIndex({}))).toBe(answer);
  });

  it('leave other bytes as they are, also those that are not text', () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xc3]);
    expect(hide(Buffer.concat([bytes, Buffer.from('s3cret-value')]), { a: 's3cret-value' }).body).toEqual(
      Buffer.concat([bytes, Buffer.from('[hidden]')]),
    );
    const { headers } = hide('s3cret-value', { a: 's3cret-value' }, { 'x-latin': 'caf\u00e9 \u0080' });
    expect(headers).toEqual({ 'x-latin': 'caf\u00e9 \u0080' });
  });

  it('never show a part at the end of what is kept, however many of their characters fit', () => {
    const value = 'A-0123456789-tail/of"it';
    const encodings = [
      value,
      JSON.stringify(value).slice(1, -1),
      encodeURIComponent(value),
      Buffer.from(value).toString('hex'),
    ];
    for (const encoded of encodings) {
      for (let fits = 1; fits <= encoded.length; fits += 1) {
        const before = '-'.repeat(RESPONSE_BODY_BYTES_KEPT - fits);
        const sent = Buffer.from(`${before}${encoded}${'-'.repeat(200)}`);
        const kept = sent.subarray(0, RESPONSE_BODY_BYTES_KEPT + LOOK_AHEAD_BYTES);
        const { body } = hide(kept, { a: value });
        expect(keepResponseBody(body)).toBe(`${before}[hidden]`.slice(0, RESPONSE_BODY_BYTES_KEPT));
      }
    }
  });
});

const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const anyValue = fc.string({ unit: visible, minLength: 8, maxLength: 60 });
const html = (text: string) => text.replace(/[&<>"'/]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const ENCODERS: Record<string, (text: string) => string> = {
  plain: (text) => text,
  upper: (text) => text.toUpperCase(),
  json: (text) => JSON.stringify(text),
  url: encodeURIComponent,
  form: (text) => new URLSearchParams({ key: text }).toString(),
  html,
  hex: (text) => Buffer.from(text).toString('hex'),
  base64: (text) => Buffer.from(text).toString('base64'),
  base64url: (text) => Buffer.from(text).toString('base64url'),
};

describe('generated values', () => {
  it.each(Object.keys(ENCODERS))('never reach what is kept: %s', (name) => {
    const encode = ENCODERS[name] as (text: string) => string;
    const text = fc.string({ unit: fc.constantFrom(' ', '.', ',', '{', '}', '\n'), maxLength: 20 });
    const property = fc.property(
      fc.array(anyValue, { minLength: 1, maxLength: 5 }),
      text,
      text,
      (values, before, after) => {
        const own = Object.fromEntries(values.map((value, index) => [`x-${index}`, value]));
        const body = values.map((value) => `${before}${encode(value)}${after}`).join('\n');
        const kept = hide(body, own, { 'x-echo': encode(values[0] as string) });
        for (const value of values) {
          expect(kept.body.toString()).not.toContain(encode(value));
          expect(kept.headers['x-echo']).not.toContain(encode(values[0] as string));
        }
      },
    );
    fc.assert(property, { numRuns: 200 });
  });

  it('take nothing away from text that has nothing in common with them', () => {
    const property = fc.property(
      fc.array(fc.string({ unit: fc.constantFrom(...'abcdef'), minLength: 1, maxLength: 60 })),
      fc.string({ unit: fc.constantFrom(...'UVWXYZ .:-'), maxLength: 400 }),
      (values, text) => {
        const own = Object.fromEntries(values.map((value, index) => [`x-${index}`, value]));
        expect(shown(text, own)).toBe(text);
      },
    );
    fc.assert(property, { numRuns: 200 });
  });
});

/** The least CPU time of several runs, in µs. */
function measureCpu(work: () => void): number {
  const times = Array.from({ length: 8 }, () => {
    const before = process.cpuUsage();
    for (let count = 0; count < 5; count += 1) work();
    const { user, system } = process.cpuUsage(before);
    return user + system;
  });
  return Math.min(...times);
}

describe('the cost of hiding', () => {
  const words = (count: number) =>
    Array.from({ length: count }, (_, index) => `w${String(index).padStart(7, '0')}`).join(' ');
  const valuesOf = (headers: number, wordsEach: number, same: boolean) =>
    new SecretIndex(
      Object.fromEntries(
        Array.from({ length: headers }, (_, index) => [
          `x-${index}`,
          same ? 'a'.repeat(9 * wordsEach) : words(wordsEach),
        ]),
      ),
    );
  const nearMatches = (bytes: number) => Buffer.from('w000000x'.repeat(bytes / 8));

  it.each([
    ['many words', false],
    ['one letter', true],
  ])('does not follow the number and length of the values: %s', (_, same) => {
    const body = same ? Buffer.from('a'.repeat(16_384)) : nearMatches(16_384);
    const answer = { status: 200, headers: {}, body };
    const few = valuesOf(1, 2, same);
    const many = valuesOf(32, 450, same);
    const ratio = measureCpu(() => hideValues(answer, many)) / measureCpu(() => hideValues(answer, few));
    expect(ratio).toBeLessThan(6);
  });

  it('grows no faster than the answer', () => {
    const many = valuesOf(32, 450, false);
    const cost = (bytes: number) =>
      measureCpu(() => hideValues({ status: 200, headers: {}, body: nearMatches(bytes) }, many));
    cost(4_096);
    expect(cost(32_768) / cost(4_096)).toBeLessThan(24);
  });
});
