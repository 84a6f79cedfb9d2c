/** Something that a scenario has to reach. */
export interface Bar {
  name: string;
  value: number;
  atLeast?: number;
  atMost?: number;
}

/** One line of what a scenario found. Null: not measured, or not to be had on this machine. */
export interface Row {
  scenario: string;
  /** Empty where the scenario has one row. */
  variant: string;
  /** Posthorn's, per second. */
  rate: number | null;
  /** Of the least honest work for the same result, in the same run, per second. */
  floor: number | null;
  /** `rate / floor`. */
  ratio: number | null;
  p50Ms: number | null;
  p99Ms: number | null;
  /** Most memory that a process had, by its role. */
  peakMemoryMb: Record<string, number>;
  /** CPU seconds of Posthorn and Postgres for 1,000 deliveries or events. */
  cpuSecondsPer1000: number | null;
  /** Deliveries that never reached the receiver. */
  lost: number | null;
  /** Requests that the receiver had before. */
  repeated: number | null;
  bars: Bar[];
  /** What else there is to say. */
  note: string;
}

const EMPTY: Row = {
  scenario: '',
  variant: '',
  rate: null,
  floor: null,
  ratio: null,
  p50Ms: null,
  p99Ms: null,
  peakMemoryMb: {},
  cpuSecondsPer1000: null,
  lost: null,
  repeated: null,
  bars: [],
  note: '',
};

/** A row of what was measured. @param found without `ratio`, which follows from the rates */
export function makeRow(found: Partial<Omit<Row, 'ratio'>> & { scenario: string }): Row {
  const { rate, floor } = found;
  return { ...EMPTY, ...found, ratio: rate && floor ? rate / floor : null };
}

/** Whether a bar was not reached. */
export const isMissed = ({ value, atLeast, atMost }: Bar): boolean =>
  !(value >= (atLeast ?? Number.NEGATIVE_INFINITY) && value <= (atMost ?? Number.POSITIVE_INFINITY));

/** A row as one line of JSON, with the names of the bars that were missed. */
export const formatJson = (row: Row): string =>
  JSON.stringify({ ...row, missed: row.bars.filter(isMissed).map(({ name }) => name) });

const HEADER = ['scenario', 'variant', 'rate/s', 'floor/s', 'ratio', 'p50 ms', 'p99 ms', 'peak MB', 'CPU s/1000'];
HEADER.push('lost', 'repeated', 'to reach');
/** Columns of words; the others are numbers, set to the right. */
const WORDS = new Set(['scenario', 'variant', 'peak MB', 'to reach']);

/** Rows as a table for people. */
export function formatTable(rows: Row[]): string {
  const cells = rows.map(toCells);
  const widths = HEADER.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const line = (texts: string[]) =>
    texts
      .map((text, column) => pad(text, column, widths))
      .join('  ')
      .trimEnd();
  return [line(HEADER), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

const pad = (text: string, column: number, widths: number[]) =>
  WORDS.has(HEADER[column] ?? '') ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);

const toCells = (row: Row): string[] => [
  row.scenario,
  row.variant,
  format(row.rate, 0),
  format(row.floor, 0),
  format(row.ratio, 2),
  format(row.p50Ms, 1),
  format(row.p99Ms, 1),
  Object.entries(row.peakMemoryMb)
    .map(([role, megabytes]) => `${role} ${format(megabytes, 0)}`)
    .join(', '),
  format(row.cpuSecondsPer1000, 2),
  format(row.lost, 0),
  format(row.repeated, 0),
  [...row.bars.map(formatBar), row.note].filter(Boolean).join(', '),
];

function formatBar(bar: Bar): string {
  const limit = bar.atLeast !== undefined ? `≥ ${bar.atLeast}` : `≤ ${bar.atMost}`;
  return `${bar.name} ${Number(bar.value.toFixed(2))} ${limit}${isMissed(bar) ? ' missed' : ''}`;
}

const format = (value: number | null, digits: number): string => (value === null ? '' : value.toFixed(digits));
