import { parse } from 'graphql';
import { describe, expect, it } from 'vitest';
import { checkInputs } from '../../src/graphql/check-inputs.ts';
import { findMissingLimits, limitsOf } from '../../src/graphql/input-limits.ts';
import { schema } from '../../src/graphql/schema.ts';
import { findInputs } from '../support/schema-walk.ts';

const inputs = findInputs(schema);

describe('the schema', () => {
  it('declares a limit for every list, text and JSON value that an input takes', () => {
    const missing = inputs.flatMap(({ coordinate, slot }) =>
      findMissingLimits(slot).map((limit) => `${coordinate} needs ${limit}`),
    );
    expect(missing).toEqual([]);
    expect(inputs.length).toBeGreaterThan(100);
  });

  it('lets every mutation that takes an input answer InvalidInputError', () => {
    const fields = Object.values(schema.getMutationType()?.getFields() ?? {});
    expect(fields.length).toBeGreaterThan(20);
    for (const { name } of fields) {
      const union = `${name[0]?.toUpperCase()}${name.slice(1)}Result`;
      expect(schema.getPossibleTypes(schema.getType(union) as never).map((type) => type.name)).toContain(
        'InvalidInputError',
      );
    }
  });
});

const check = (text: string, variableValues: Record<string, unknown> = {}) => {
  const found = checkInputs({ schema, document: parse(text), variableValues });
  return found && Object.fromEntries(found);
};

describe('an input beyond its limit', () => {
  const LISTS = inputs.filter(({ isList }) => isList);
  it.each(LISTS)('in the list $coordinate is replaced before it is coerced', ({ slot, compile }) => {
    const { entries } = limitsOf(slot);
    const within = Array.from({ length: entries }, () => null);
    const found = { issues: [], isFatal: false };
    expect(compile()(within, found)).toBe(within);
    expect(compile()([...within, null], found)).toEqual([]);
    expect(found.issues).toEqual([{ path: [], message: `may have ${entries} entries at most.` }]);
  });

  it('of a query is BAD_USER_INPUT, with its path', () => {
    const query =
      'query ($filter: DeliveryFilter, $s: [DeliveryStatus!]) { deliveries(filter: $filter) { edges { cursor } } deliveryCount(filter: { statuses: $s }) }';
    const statuses = Array.from({ length: 101 }, () => 'FAILED');
    expect(() => check(query, { filter: { statuses } })).toThrow('filter.statuses may have 100 entries at most.');
    expect(() => check(query, { s: statuses })).toThrow('filter.statuses may have 100 entries at most.');
    expect(() => check(query, { filter: { eventTypes: ['a', 'b'.repeat(257)] } })).toThrow(
      'filter.eventTypes.1 may have 256 characters at most.',
    );
    expect(check(query, { filter: { statuses: statuses.slice(1) }, s: ['FAILED'] })).toBeNull();
  });

  it('of a mutation belongs to its field, by the name in the answer, and to no other', () => {
    const mutation = `mutation ($name: String!, $long: String!) {
      fine: createOrganization(input: { name: $name }) { __typename }
      ...More }
      fragment More on Mutation { long: createOrganization(input: { name: $long }) { __typename } }`;
    const variables = { name: 'n', long: 'x'.repeat(129) };
    expect(check(mutation, variables)).toEqual({
      long: [{ path: ['name'], message: 'may have 128 characters at most.' }],
    });
    expect(variables.long).toBe('');
  });

  it('is found in literals too', () => {
    const types = Array.from({ length: 101 }, () => '"a"').join(' ');
    expect(() => check(`{ events(filter: { types: [${types}] }) { edges { cursor } } }`)).toThrow(
      'filter.types may have 100 entries at most.',
    );
    expect(check(`mutation { createOrganization(input: { name: "${'x'.repeat(129)}" }) { __typename } }`)).toEqual({
      createOrganization: [{ path: ['name'], message: 'may have 128 characters at most.' }],
    });
  });

  it('in an object of unknown or missing fields leaves little for coercion to print', () => {
    const mutation = 'mutation ($input: PublishEventsInput!) { publishEvents(input: $input) { __typename } }';
    const unknown = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`unknown${n}`, 'x'.repeat(1_000)]));
    const variables = { input: { events: [{ type: 't', ...unknown }, { body: 'x'.repeat(100_000) }, { type: 't' }] } };
    check(mutation, variables);
    expect(JSON.stringify(variables).length).toBeLessThan(1_000);
    expect(variables.input.events).toHaveLength(3);
  });
});
