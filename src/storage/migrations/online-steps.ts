/**
 * An index of a large table, built with CREATE INDEX CONCURRENTLY. Until it is there, queries that want it are slower.
 */
export interface IndexStep {
  kind: 'index';
  /** Of the index. */
  name: string;
  table: string;
  /** What follows the name of the table in CREATE INDEX. */
  definition: string;
}

/** Values for rows that an older version stored, filled in by small batches. */
export interface FillStep {
  kind: 'fill';
  /** For the log. */
  name: string;
  table: string;
  /** Which rows lack the values. An index of the list has the same condition. */
  condition: string;
  /**
   * Fills the rows of `page`, which are locked, under the alias `t`: the part of the statement after `update TABLE t set`,
   * with a join on `page` by its `id`.
   */
  fill: string;
}

export type OnlineStep = IndexStep | FillStep;

/**
 * What can't be done in the transaction of a migration without blocking a large table: indexes and values of rows that are
 * there already. A process does these steps in order in the background, once it serves requests. Each step finds out by
 * itself what is left to do, so it can be interrupted anywhere and repeated any number of times. On an empty database
 * each takes milliseconds.
 *
 * Fill steps are repeated for as long as Posthorn runs, because an older version may still be storing rows.
 */
export const ONLINE_STEPS: readonly OnlineStep[] = [
  {
    kind: 'index',
    name: 'deliveries_without_event_type_idx',
    table: 'deliveries',
    definition: '(id) where event_type is null',
  },
  {
    kind: 'fill',
    name: 'event types and source keys of deliveries',
    table: 'deliveries',
    condition: 'event_type is null',
    fill: 'event_type = e.type, source_key = e.source_key from page join events e on e.id = page.event_id where t.id = page.id',
  },
  {
    kind: 'index',
    name: 'deliveries_environment_id_event_type_id_idx',
    table: 'deliveries',
    definition: '(environment_id, event_type, id)',
  },
  {
    kind: 'index',
    name: 'deliveries_environment_id_source_key_id_idx',
    table: 'deliveries',
    definition: '(environment_id, source_key, id) where source_key is not null',
  },
];
