/** Runs of numbers as short text, `1-40 40 43-50`: thousands of them cross a slow line. */

export function runsOf(numbers: readonly number[]): string {
  const runs: Array<[number, number]> = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(' ');
}

export function numbersOf(text: string): number[] {
  if (text === '') return [];
  return text.split(' ').flatMap((run) => {
    const [first = Number.NaN, last = first] = run.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
