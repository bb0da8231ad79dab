import type { Clock } from '../../src/base/clock.ts';

/** A clock that stands still until it is told to go on. The wall can jump by itself. */
export class FakeClock implements Clock {
  wall = Date.UTC(2026, 0, 1);
  mono = 1_000;

  wallMs(): number {
    return this.wall;
  }

  monoMs(): number {
    return this.mono;
  }

  advance(ms: number): void {
    this.wall += ms;
    this.mono += ms;
  }
}
