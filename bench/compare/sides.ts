import type { Databases } from '../support/databases.ts';
import type { Receiver } from '../support/receiving.ts';
import type { CpuSeconds } from '../support/usage.ts';
import type { Watchers } from '../support/watching.ts';

/** One of the two versions. */
export interface Side {
  name: 'this' | 'other';
  /** Folder of its code. */
  root: string;
}

/** The generators of load and the database server, which both sides share. */
export interface Equipment {
  databases: Databases;
  receiver: Receiver;
  watchers: Watchers;
}

/** Equipment and database of one measurement. */
export interface Turn extends Equipment {
  side: Side;
  /** A database of this turn's own, prepared by the code of its side. */
  databaseUrl: string;
}

/** The result of one side's turn. */
export interface Sample {
  ratePerSecond: number;
  /** Divisor for CPU figures. */
  operations: number;
  /** `null` without /proc. */
  cpuSeconds: CpuSeconds | null;
  /** `null` if the scenario measures throughput only. */
  latency: { p50Ms: number; p99Ms: number } | null;
}

/** A short form of a scenario, which measures one side once. */
export interface Comparison {
  /** One operation, in words, for example `event`. */
  operation: string;
  /** Fills the database that each turn gets a copy of. It runs once for each side. */
  prepare(turn: Turn): Promise<void>;
  measure(turn: Turn): Promise<Sample>;
}
