import DataLoader from 'dataloader';
import type { Round } from '../live/topic.ts';

type Rows = DataLoader<string, unknown>;

/** Rows that the changes of a round are about, for as long as somebody is told of it. */
const rowsOf = new WeakMap<Round, Map<string, Rows>>();

export interface ChangeRowOptions<Row extends { id: string }> {
  round: Round;
  table: 'deliveries' | 'delivery_attempts' | 'events';
  /** What is selected of the row, for Prisma. */
  query: object;
  /** UUID. */
  id: string;
  findMany: (ids: string[]) => Promise<Row[]>;
}

/** Loads a row once for all subscribers of a round who select the same of it, with those of other changes. Null: it is gone. */
export async function loadChangeRow<Row extends { id: string }>(options: ChangeRowOptions<Row>): Promise<Row | null> {
  const { round, table, query, id, findMany } = options;
  let loaders = rowsOf.get(round);
  if (!loaders) {
    loaders = new Map();
    rowsOf.set(round, loaders);
  }
  const key = `${table} ${JSON.stringify(query)}`;
  let loader = loaders.get(key);
  if (!loader) {
    loader = makeLoader(findMany);
    loaders.set(key, loader);
  }
  return (await loader.load(id)) as Row | null;
}

function makeLoader<Row extends { id: string }>(findMany: (ids: string[]) => Promise<Row[]>): Rows {
  const loader: Rows = new DataLoader(async (ids) => {
    try {
      const byId = new Map((await findMany([...ids])).map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id) ?? null);
    } catch (error) {
      // Not remembered: it is tried again.
      loader.clearAll();
      throw error;
    }
  });
  return loader;
}
