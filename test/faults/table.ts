import type { RunResult } from './run.ts';

/** What came of a fault: the results of its runs, or why there are none. */
export interface Outcome {
  fault: { title: string };
  results: RunResult[];
  skipped: string | null;
  /** Runs that could not be brought to an end, in words. */
  failures: string[];
  /** Starts that were interrupted, if that is what the fault does. */
  starts?: number;
}

const HEAD = ['fault', 'runs', 'events', 'lost', 'repeated', 'broken invariants', 'time to recover'];

/** A table in Markdown, one row a fault. */
export function formatTable(outcomes: Outcome[]): string {
  const rows = [HEAD, HEAD.map((_, column) => (column === 0 ? '---' : '---:')), ...outcomes.map(toCells)];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The rows of `before` with those of `after` in their place or behind them, by the first cell. */
export function mergeTables(before: string, after: string): string {
  const titleOf = (row: string) => row.split('|')[1]?.trim() ?? '';
  const rowsOf = (table: string) => table.split('\n').filter((row) => row.startsWith('|'));
  const rows = new Map([...rowsOf(before), ...rowsOf(after)].map((row) => [titleOf(row), row]));
  return [...rows.values()].join('\n');
}

function toCells({ fault, results, skipped, failures, starts }: Outcome): string[] {
  if (skipped !== null) return [fault.title, '0', '', '', '', '', `skipped: ${skipped}`];
  if (starts !== undefined) return [fault.title, String(starts), '', '', '', String(failures.length), ''];
  const sum = (pick: (result: RunResult) => number) => String(results.reduce((total, one) => total + pick(one), 0));
  const broken = failures.length + results.reduce((total, one) => total + one.broken.length, 0);
  return [
    fault.title,
    String(results.length + failures.length),
    sum(({ events }) => events),
    sum(({ lost }) => lost),
    sum(({ repeated }) => repeated),
    String(broken),
    formatTimes(results.map(({ recoveryMs }) => recoveryMs)),
  ];
}

function formatTimes(times: number[]): string {
  const seconds = times.map((ms) => ms / 1_000).sort((a, b) => a - b);
  const [least, most] = [seconds[0], seconds.at(-1)];
  if (least === undefined || most === undefined) return '';
  return seconds.length === 1 ? `${least.toFixed(1)} s` : `${least.toFixed(1)} to ${most.toFixed(1)} s`;
}
