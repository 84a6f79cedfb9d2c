import { describe, expect, it } from 'vitest';
import {
  EVENT_TYPE_MAX_CHARS,
  EVENT_TYPE_RULE,
  isEventType,
  isEventTypePattern,
  patternsFor,
} from '../../src/domain/event-type.ts';

const LONGEST = 'a'.repeat(EVENT_TYPE_MAX_CHARS);
const EVENT_TYPES = ['a', 'invoice', 'invoice.paid', 'Invoice-2.paid_late.EU', '0.1.2', '-._', LONGEST];
const NEITHER = [
  '',
  '.',
  'invoice.',
  '.invoice',
  'invoice..paid',
  'invoice paid',
  'invoice.paid\n',
  'rechnung.bezählt',
  'invoice/paid',
  'invoice.*.paid',
  '*.paid',
  '**',
  'invoice*',
  'invoice.p*',
  '*.*',
  '.*',
  `${LONGEST}a`,
];

describe('isEventType', () => {
  it.each(EVENT_TYPES)('takes %j', (text) => {
    expect(isEventType(text)).toBe(true);
  });

  it.each([...NEITHER, '*', 'invoice.*'])('refuses %j', (text) => {
    expect(isEventType(text)).toBe(false);
  });

  it('tells its limit in the rule for messages', () => {
    expect(EVENT_TYPE_RULE).toContain(String(EVENT_TYPE_MAX_CHARS));
  });

  it('decides about a long text that almost fits without trying every split', () => {
    expect(isEventType(`${'a.'.repeat(127)}a!`)).toBe(false);
  });
});

describe('isEventTypePattern', () => {
  it.each([...EVENT_TYPES, '*', 'invoice.*', 'invoice.paid.*'])('takes %j', (text) => {
    expect(isEventTypePattern(text)).toBe(true);
  });

  it.each(NEITHER)('refuses %j', (text) => {
    expect(isEventTypePattern(text)).toBe(false);
  });
});

describe('patternsFor', () => {
  it.each([
    ['invoice', ['*', 'invoice']],
    ['invoice.paid', ['*', 'invoice.*', 'invoice.paid']],
    ['invoice.paid.eu', ['*', 'invoice.*', 'invoice.paid.*', 'invoice.paid.eu']],
  ])('lists every pattern that matches %s', (eventType, patterns) => {
    expect(patternsFor(eventType)).toEqual(patterns);
  });

  it.each(EVENT_TYPES)('lists only what a route may ask for: %j', (eventType) => {
    expect(patternsFor(eventType).filter((pattern) => !isEventTypePattern(pattern))).toEqual([]);
  });

  it('does not match a type that only begins with the same letters, nor the type itself with its own prefix', () => {
    expect(patternsFor('invoices.paid')).not.toContain('invoice.*');
    expect(patternsFor('invoice')).not.toContain('invoice.*');
  });
});
