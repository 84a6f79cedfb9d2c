import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Gatherer } from '../src/publish/gatherer.ts';

const MIB = 1_048_576;

const makeGroup = (name: string, { events = 1, bytes = 0 } = {}) => ({ name, events: Array(events).fill(name), bytes });

/** Keeps each batch under way until it is ended by hand. */
function openGatherer() {
  const batches: string[][] = [];
  const ends: (() => void)[] = [];
  const gatherer = new Gatherer<ReturnType<typeof makeGroup>>((groups) => {
    batches.push(groups.map(({ name }) => name));
    return new Promise((resolve) => ends.push(resolve));
  });
  const add = (...names: string[]) => {
    for (const name of names) gatherer.add(makeGroup(name));
  };
  const end = async (index: number) => {
    ends[index]?.();
    await nextTurns();
  };
  return { gatherer, batches, add, end };
}

const nextTurns = async () => {
  for (let turn = 0; turn < 4; turn += 1) await nextTurn();
};

it('calls of one turn, and of the next, share a batch', async () => {
  const { batches, add } = openGatherer();
  add('a', 'b');
  await nextTurn();
  add('c');
  await nextTurns();
  expect(batches).toEqual([['a', 'b', 'c']]);
});

it('while two batches are under way, what comes waits for the first that ends, and goes all at once', async () => {
  const { batches, add, end } = openGatherer();
  add('a');
  await nextTurns();
  add('b');
  await nextTurns();
  expect(batches).toEqual([['a'], ['b']]);
  add('c');
  await nextTurns();
  add('d');
  await nextTurns();
  expect(batches).toHaveLength(2);
  await end(1);
  expect(batches).toEqual([['a'], ['b'], ['c', 'd']]);
  add('e');
  await end(0);
  await end(2);
  expect(batches.at(-1)).toEqual(['e']);
});

it('a batch has 500 events and 4 MiB at the most, unless one call alone has more', async () => {
  const { gatherer, batches, end } = openGatherer();
  const sizes = {
    a: { events: 499 },
    b: { events: 2 },
    c: { bytes: 3 * MIB },
    d: { bytes: 2 * MIB },
    e: { bytes: 5 * MIB },
  };
  for (const [name, size] of Object.entries(sizes)) gatherer.add(makeGroup(name, size));
  await nextTurns();
  expect(batches).toEqual([['a'], ['b', 'c']]);
  await end(0);
  await end(1);
  expect(batches).toEqual([['a'], ['b', 'c'], ['d'], ['e']]);
});
