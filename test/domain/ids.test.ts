import { describe, expect, it } from 'vitest';
import { decodeId, encodeId, ID_PREFIXES, type IdKind, kindOfId, newId } from '../../src/domain/ids.ts';

const KINDS = Object.keys(ID_PREFIXES) as IdKind[];
/** From the TypeID specification's valid.json. */
const UUID = '01890a5d-ac96-774b-bcce-b302099a8057';
const SUFFIX = '01h455vb4pex5vsknk084sn02q';

describe('newId', () => {
  it('gives a UUID of version 7 with the time in it', () => {
    const before = Date.now();
    const id = newId();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const time = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now());
  });

  it('grows with every call, also within one millisecond', () => {
    const ids = Array.from({ length: 10_000 }, newId);
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('public IDs', () => {
  it.each([
    ['Organization', 'org'],
    ['Environment', 'env'],
    ['ApiKey', 'key'],
    ['Endpoint', 'ep'],
    ['Route', 'rt'],
    ['Event', 'evt'],
    ['Delivery', 'dlv'],
    ['DeliveryAttempt', 'att'],
  ] as const)('of kind %s begin with %s_ and lead back to the UUID', (kind, prefix) => {
    expect(encodeId(kind, UUID)).toBe(`${prefix}_${SUFFIX}`);
    expect(decodeId(kind, `${prefix}_${SUFFIX}`)).toBe(UUID);
    expect(kindOfId(`${prefix}_${SUFFIX}`)).toBe(kind);
  });

  it('have a prefix of their own for each kind', () => {
    expect(new Set(Object.values(ID_PREFIXES)).size).toBe(KINDS.length);
  });

  it('stand in the order of the UUIDs behind them', () => {
    const uuids = Array.from({ length: 100 }, newId);
    const ids = uuids.map((uuid) => encodeId('Event', uuid));
    expect(ids).toEqual(ids.toSorted());
    expect(ids.map((id) => decodeId('Event', id))).toEqual(uuids);
  });

  it.each(KINDS)('of kind %s are no IDs of another kind', (kind) => {
    const id = encodeId(kind, UUID);
    expect(KINDS.filter((other) => decodeId(other, id) !== null)).toEqual([kind]);
  });
});

describe('decodeId', () => {
  it.each([
    ['nothing', ''],
    ['the prefix alone', 'evt'],
    ['the prefix and nothing behind it', 'evt_'],
    ['no prefix', SUFFIX],
    ['a bare UUID', UUID],
    ['a UUID behind the prefix', `evt_${UUID}`],
    ['capitals', `evt_${SUFFIX.toUpperCase()}`],
    ['a capital prefix', `EVT_${SUFFIX}`],
    ['a character too few', `evt_${SUFFIX.slice(1)}`],
    ['a character too many', `evt_${SUFFIX}0`],
    ['a space in front', ` evt_${SUFFIX}`],
    ['a line break behind', `evt_${SUFFIX}\n`],
    ['two separators', `evt__${SUFFIX}`],
    ['more than 128 bits', `evt_8${'0'.repeat(25)}`],
    ['a letter that the alphabet leaves out', `evt_${SUFFIX.slice(0, -1)}u`],
    ['a letter beyond ASCII', `evt_${SUFFIX.slice(0, -1)}é`],
    ['a NUL', `evt_${SUFFIX.slice(0, -1)}\0`],
  ])('is null for %s', (_, text) => {
    expect(decodeId('Event', text)).toBeNull();
  });

  it.each(['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'])('takes %s', (uuid) => {
    expect(decodeId('Event', encodeId('Event', uuid))).toBe(uuid);
  });
});

describe('kindOfId', () => {
  it.each(['', '_', 'evt', 'foo_1', '_evt', 'EVT_1', 'Event_1', '__proto___1', 'constructor_1'])(
    'is null where no kind is named: %j',
    (text) => {
      expect(kindOfId(text)).toBeNull();
    },
  );
});
