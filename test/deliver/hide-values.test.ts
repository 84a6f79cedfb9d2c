import { describe, expect, it } from 'vitest';
import { HIDDEN_BYTES_MAX, hideValues } from '../../src/deliver/hide-values.ts';
import { HEADER_VALUE_MAX_CHARS } from '../../src/domain/request-headers.ts';

const hide = (body: string | Buffer, own: Record<string, string>, headers: Record<string, string | string[]> = {}) =>
  hideValues({ status: 200, headers, body: Buffer.from(body) }, own);

describe('what an endpoint is sent in its own headers', () => {
  it.each([
    ['plainly', 'got s3cret-value', { a: 's3cret-value' }, 'got [hidden]'],
    ['in parts', '{"token":"abc/def+ghi"}', { a: 'Bearer abc/def+ghi' }, '{"token":"[hidden]"}'],
    ['in JSON', JSON.stringify({ a: 'say "hello\\you"' }), { a: 'say "hello\\you"' }, '{"a":"[hidden]"}'],
    ['in JSON with escaped slashes', '"Bearer abc\\/def\\/ghi"', { a: 'Bearer abc/def/ghi' }, '"[hidden]"'],
    ['more than once', 's3cret-value, s3cret-value', { a: 's3cret-value' }, '[hidden], [hidden]'],
    ['but not as a short word', 'it is true', { a: 'true' }, 'it is true'],
  ])('is hidden where it is answered %s', (_, body, own, hidden) => {
    expect(hide(body, own).body.toString()).toBe(hidden);
  });

  it('is hidden in headers, also in those that come more than once', () => {
    const { headers } = hide('', { a: 's3cret-value' }, { x: 'a s3cret-value', y: ['s3cret-value', 'z'], z: 'z' });
    expect(headers).toEqual({ x: 'a [hidden]', y: ['[hidden]', 'z'], z: 'z' });
  });

  it('leaves other bytes as they are, also those that are no text', () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xc3]);
    expect(hide(Buffer.concat([bytes, Buffer.from('s3cret-value')]), { a: 's3cret-value' }).body).toEqual(
      Buffer.concat([bytes, Buffer.from('[hidden]')]),
    );
  });

  it('has at most so many bytes, each character escaped', () => {
    expect(HIDDEN_BYTES_MAX).toBe(JSON.stringify('"'.repeat(HEADER_VALUE_MAX_CHARS)).length - 2);
  });
});
