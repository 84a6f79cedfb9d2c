/**
 * Finds the name that a person probably meant, by the fewest characters to insert, delete, replace or swap. Takes time
 * proportional to the product of the lengths, so pass texts of bounded length.
 *
 * @returns `null` if no name is close enough: within a third of the characters of `text`, and at least two
 */
export function findClosestName(text: string, names: readonly string[]): string | null {
  const distanceMax = Math.max(2, Math.floor(text.length / 3));
  let closest: { name: string; distance: number } | null = null;
  for (const name of names) {
    const distance = countEdits(text.toLowerCase(), name.toLowerCase());
    if (distance <= distanceMax && distance < (closest?.distance ?? Number.POSITIVE_INFINITY)) {
      closest = { name, distance };
    }
  }
  return closest?.name ?? null;
}

/** The optimal string alignment distance, row by row. */
function countEdits(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const isSame = from[i - 1] === to[j - 1];
      const at = (values: number[], index: number) => values[index] ?? 0;
      let edits = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (isSwap) edits = Math.min(edits, at(beforeLast, j - 2) + 1);
      row.push(edits);
    }
    [beforeLast, last] = [last, row];
  }
  return last[to.length] as number;
}
