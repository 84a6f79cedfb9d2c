import { describe, expect, it } from 'vitest';
import { findHeaderFault, HEADER_VALUE_MAX_CHARS } from '../../src/domain/request-headers.ts';

const NAME_FAULT = /is no header name/;
const RESERVED_FAULT = /set by Posthorn itself/;
const VALUE_FAULT = /must be a text of visible ASCII characters/;

describe('a header name', () => {
  it.each(['Authorization', 'x-api-key', 'X', '0', 'cookie', 'accept', "!#$%&'*+-.^_`|~", 'webhook', 'x-webhook-id'])(
    'may be %j',
    (name) => {
      expect(findHeaderFault(name, 'value')).toBeNull();
    },
  );

  it.each([
    '',
    ' ',
    'x api',
    'x:',
    'x\r\ny',
    'x\n',
    'ü',
    'x(y)',
    'x"',
    '{x}',
    'x/y',
    'x=y',
    '\0',
    ' host',
    'host ',
    'host\t',
    'host\r\n',
    '\nhost',
    'host:',
    ':authority',
    'ho\0st',
    'h\u043est',
    '\uff48ost',
    'content\u2010length',
    'content\u00adlength',
    'content\u200b-length',
    '\u212aeep-alive',
    'tran\u017ffer-encoding',
    'we\u0185hook-id',
  ])('may not be %j', (name) => {
    expect(findHeaderFault(name, 'value')).toMatch(NAME_FAULT);
  });

  it.each([
    'accept-encoding',
    'connection',
    'content-encoding',
    'content-length',
    'content-type',
    'expect',
    'host',
    'http2-settings',
    'keep-alive',
    'proxy-authenticate',
    'proxy-authorization',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'user-agent',
    'webhook-id',
    'webhook-timestamp',
    'webhook-signature',
    'webhook-anything',
  ])('may not be %s, however it is written', (name) => {
    const capitalized = name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
    for (const spelling of [name, name.toUpperCase(), capitalized, name.replaceAll('-', '_')]) {
      expect(findHeaderFault(spelling, 'value')).toMatch(RESERVED_FAULT);
    }
  });
});

describe('a header value', () => {
  it.each(['', 'x', 'Bearer abc', 'a\tb', '!', '~', '"{}"', 'x'.repeat(HEADER_VALUE_MAX_CHARS)])(
    'may be %j',
    (value) => {
      expect(findHeaderFault('x-api-key', value)).toBeNull();
    },
  );

  it.each([
    ' ',
    ' x',
    'x ',
    '\tx',
    'x\t',
    'a\r\nx-injected: 1',
    'a\nb',
    'a\rb',
    'x\n',
    'a\0b',
    'a\x7fb',
    'a\x85b',
    'a\u2028b',
    'a\u560a\u560db',
    'a\x1b[2Jb',
    'a\ud800b',
    '\ufeffx',
    'Grüße',
    '€',
    'x'.repeat(HEADER_VALUE_MAX_CHARS + 1),
  ])('may not be %j', (value) => {
    expect(findHeaderFault('x-api-key', value)).toMatch(VALUE_FAULT);
  });

  it.each([[null], [undefined], [1], [true], [['a', 'b']], [{ a: 'b' }]])(
    'may not be other than a text: %j',
    (value) => {
      expect(findHeaderFault('x-api-key', value)).toMatch(VALUE_FAULT);
    },
  );
});
