/** The value that a share of all values does not exceed; 0 where there are none. @param share from 0 to 1 */
export function percentile(values: number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
}

export const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

export const median = (values: number[]): number => percentile(values, 0.5);
