import type { Fault, RunResult } from './run.ts';

/** What came of a fault: the results of its runs, or why there are none. */
export interface Outcome {
  fault: Fault;
  results: RunResult[];
  skipped: string | null;
  /** Runs that could not be brought to an end, in words. */
  failures: string[];
}

const HEAD = ['fault', 'runs', 'events', 'lost', 'repeated', 'broken invariants', 'time to recover'];

/** A table in Markdown, one row a fault. */
export function formatTable(outcomes: Outcome[]): string {
  const rows = [HEAD, HEAD.map((_, column) => (column === 0 ? '---' : '---:')), ...outcomes.map(toCells)];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function toCells({ fault, results, skipped, failures }: Outcome): string[] {
  if (skipped !== null) return [fault.title, '0', '', '', '', '', `skipped: ${skipped}`];
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
