import { type ExecutionResult, GraphQLInt, GraphQLObjectType, GraphQLSchema, parse } from 'graphql';
import { beforeEach, describe, expect, it } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import { Answer } from '../../src/graphql/answer.ts';
import { cursorOf, subscribe } from '../../src/graphql/subscribe.ts';
import { createLog } from '../../src/log.ts';

/** What a source gives to all its subscribers. */
interface Item {
  number: number;
  cursor?: string;
}

let source: Item[] = [];
let executions = 0;
/** What the next executions fail with. */
let faults: Error[] = [];

const itemType = new GraphQLObjectType<Item>({
  name: 'Item',
  fields: {
    double: {
      type: GraphQLInt,
      args: { by: { type: GraphQLInt, default: { value: 2 } } },
      resolve: ({ number }, { by }) => {
        executions += 1;
        const fault = faults.shift();
        if (fault) throw fault;
        return number * by;
      },
    },
  },
});

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { nothing: { type: GraphQLInt } } }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      numbers: {
        type: itemType,
        args: { from: { type: GraphQLInt } },
        subscribe: async function* () {
          yield* source;
        },
        resolve: (item) => item,
      },
    },
  }),
});

interface Caller {
  environmentId: string;
  scopes: string[];
  isOperator: boolean;
}

const CALLER: Caller = { environmentId: 'here', scopes: ['A', 'B'], isOperator: false };

function makeContext(caller: Caller): object {
  const answer = new Answer();
  return { caller, answer, services: { log: createLog('silent') }, makeFresh: () => makeContext(caller) };
}

const QUERY = 'subscription ($from: Int, $by: Int) { numbers(from: $from) { double(by: $by) } }';

interface Options {
  query?: string;
  variables?: Record<string, unknown>;
  caller?: Caller;
}

let ended = 0;
const onEnd = () => {
  ended += 1;
};

async function collect({ query = QUERY, variables = {}, caller = CALLER }: Options = {}): Promise<ExecutionResult[]> {
  const stream = await subscribe(
    {
      schema,
      document: parse(query),
      variableValues: variables,
      contextValue: makeContext(caller),
    },
    onEnd,
  );
  if (!(Symbol.asyncIterator in stream)) return [stream];
  const results: ExecutionResult[] = [];
  for await (const result of stream) results.push(result);
  return results;
}

const valuesOf = (results: ExecutionResult[]) =>
  results.map(({ data }) => (data as { numbers: { double: number | null } } | null)?.numbers.double);

beforeEach(() => {
  executions = 0;
  ended = 0;
  faults = [];
  source = [{ number: 1 }, { number: 2 }];
});

describe('subscribers of one source', () => {
  it('who ask the same share each execution, and its result', async () => {
    const [first, second] = await Promise.all([collect(), collect()]);
    expect(valuesOf(first)).toEqual([2, 4]);
    expect(second[0]).toBe(first[0]);
    expect(second[1]).toBe(first[1]);
    expect(executions).toBe(2);
  });

  it('say when they have ended', async () => {
    await collect();
    expect(ended).toBe(1);
  });

  it('share it also where they began at different places', async () => {
    const [first, second] = await Promise.all([
      collect({ variables: { from: 1 } }),
      collect({ variables: { from: 2 } }),
    ]);
    expect(second[0]).toBe(first[0]);
    expect(executions).toBe(2);
  });

  it.each<[string, Options]>([
    ['have another value in their selection', { variables: { by: 3 } }],
    ['select something else', { query: 'subscription { numbers { triple: double(by: 3) double } }' }],
    ['are of another environment', { caller: { ...CALLER, environmentId: 'there' } }],
    ['have other scopes', { caller: { ...CALLER, scopes: ['A'] } }],
    ['are the operator', { caller: { ...CALLER, isOperator: true } }],
    [
      'name another operation of the same document',
      { query: 'subscription One { numbers { double(by: 5) } }', variables: {} },
    ],
  ])('who %s do not share', async (_, options) => {
    const [first, second] = await Promise.all([collect(), collect(options)]);
    expect(second[0]).not.toBe(first[0]);
    expect(executions).toBeGreaterThan(2);
  });

  it('a value that stands in the arguments of the root field and in the selection tells them apart', async () => {
    const query = 'subscription ($from: Int) { numbers(from: $from) { double(by: $from) } }';
    const [first, second] = await Promise.all([
      collect({ query, variables: { from: 5 } }),
      collect({ query, variables: { from: 6 } }),
    ]);
    expect(valuesOf(first)).toEqual([5, 10]);
    expect(valuesOf(second)).toEqual([6, 12]);
  });

  it('a value within a fragment tells them apart', async () => {
    const query = `subscription ($by: Int) { numbers { ...Part } } fragment Part on Item { double(by: $by) }`;
    const [first, second] = await Promise.all([
      collect({ query, variables: { by: 5 } }),
      collect({ query, variables: { by: 6 } }),
    ]);
    expect(valuesOf(first)).toEqual([5, 10]);
    expect(valuesOf(second)).toEqual([6, 12]);
  });
});

describe('a selection', () => {
  it('that fails for a reason that passes is executed again, and nothing is skipped', async () => {
    faults = [new Error('the database is away'), new Error('the database is away')];
    const results = await collect();
    expect(results).toEqual([{ data: { numbers: { double: 2 } } }, { data: { numbers: { double: 4 } } }]);
    expect(executions).toBe(4);
  });

  it('that is refused is told so at once', async () => {
    faults = [new RequestError('FORBIDDEN', 'No.')];
    const results = await collect();
    expect(results[0]?.errors?.map(({ message }) => message)).toEqual(['No.']);
    expect(valuesOf(results)).toEqual([null, 4]);
    expect(executions).toBe(2);
  });

  it('has the cursor of its source event, whether or not it was selected', async () => {
    source = [{ number: 1, cursor: 'here' }, { number: 2 }];
    const results = await collect();
    expect(results.map(cursorOf)).toEqual(['here', null]);
  });

  it('of a document that does not fit the schema is an error and no stream', async () => {
    const [result] = await collect({ query: 'subscription ($by: Int!) { numbers { double(by: $by) } }' });
    expect(result?.errors).toHaveLength(1);
    expect(ended).toBe(0);
  });
});
