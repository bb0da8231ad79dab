import { expect, it } from 'vitest';
import { printRows } from '../../../src/cli/consumer-rows.ts';

it('shows what is handled beyond a position, where there is any', () => {
  const lines: string[] = [];
  const io = { print: (line: string) => lines.push(line) } as unknown as Parameters<
    typeof printRows
  >[2];
  const partitions = [
    { partition: 0, position: 2, earliest: 0, end: 87, ahead: 20, lag: 65 },
    { partition: 1, position: 9, earliest: 0, end: 9, lag: 0 },
  ];
  const row = { consumer: 'uplink', stream: 'readings', log: 'a1', own: true, lag: 65, partitions };
  printRows([row], false, io);
  expect(lines[1]).toBe('uplink (own)     readings                 65  2/87 (+20)  9/9');
});
