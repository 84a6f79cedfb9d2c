import type { Databases } from './databases.ts';
import type { Row } from './report.ts';

/** What a scenario works with. */
export interface Bench {
  databases: Databases;
  /** Tells people how far a long run is. */
  progress: (text: string) => void;
  /** Whether to measure at the big sizes. */
  isFull: boolean;
}

/** Measures, and stops whatever it started. @throws where a measurement failed */
export type Scenario = (bench: Bench) => Promise<Row[]>;
