/** What a scenario found: a rate, the floor's rate in the same run, and whatever else there is to say. */
export interface Report {
  scenario: string;
  /** Posthorn's, a second. */
  rate: number;
  /** Of the least honest work for the same result, a second. */
  floor: number;
  /** What `rate / floor` has to reach. */
  target: number;
  details: Record<string, number>;
}

/** Tells how far a long run is; null: nobody wants to know. */
export type Progress = (text: string) => void;

export function formatTable(reports: Report[]): string {
  const header = ['scenario', 'rate/s', 'floor/s', 'ratio', 'to reach', 'details'];
  const rows = reports.map(({ scenario, rate, floor, target, details }) => [
    scenario,
    rate.toFixed(0),
    floor.toFixed(0),
    (rate / floor).toFixed(2),
    target.toFixed(2),
    Object.entries(details)
      .map(([name, value]) => `${name} ${Number(value.toFixed(1))}`)
      .join(', '),
  ]);
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
