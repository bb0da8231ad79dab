import type { Files } from '../os/files.ts';
import { lastNotReached } from './bisect.ts';
import { type ClockReading, CorrectedTimes } from './corrected-time.ts';
import { indexOf } from './log-reader.ts';
import type { LogView } from './log-view.ts';
import { probeSegment, type SegmentProbe } from './segment-probe.ts';

/**
 * The boots of a store and their clocks, without reading its records: a page of each segment, and
 * of a segment in which a boot ends a page for each step of a bisection and one interval of the
 * index.
 */
export async function readTimes(files: Files, view: LogView): Promise<CorrectedTimes> {
  const times = new CorrectedTimes();
  const firsts: Array<{ readonly sequence: number; readonly clock: ClockReading }> = [];
  for (const { sequence } of view.segments()) {
    const clock = await probeSegment(files, view, sequence, (probe) => probe.first());
    if (clock !== undefined) firsts.push({ sequence, clock });
  }
  for (const [i, { sequence, clock }] of firsts.entries()) {
    times.note(clock);
    const nextBoot = firsts[i + 1]?.clock.boot;
    if (nextBoot === clock.boot) continue;
    await probeSegment(files, view, sequence, (probe) =>
      noteBoots(times, { files, view, probe, nextBoot }),
    );
  }
  return times;
}

interface BootsOf {
  readonly files: Files;
  readonly view: LogView;
  readonly probe: SegmentProbe;
  /** With which the next segment begins: its end is not here. */
  readonly nextBoot: string | undefined;
}

/** Notes the last moment of each boot that ends in a segment, and the first of each that begins. */
async function noteBoots(
  times: CorrectedTimes,
  { files, view, probe, nextBoot }: BootsOf,
): Promise<void> {
  const index = await indexOf(files, view, probe.info);
  const pages = [probe.info.header.pages, ...(index?.entries ?? []).map(({ page }) => page)];
  const seen = new Set<string>();
  let next: ClockReading | undefined = await probe.first();
  while (next !== undefined) {
    times.note(next);
    const { boot } = next;
    if (boot === nextBoot) return;
    seen.add(boot);
    // A page that can't be read counts as beyond: more is read then, and nothing missed.
    const at = await lastNotReached(pages, async (page) => {
      const clock = await probe.clockAt(page);
      return clock === undefined || !seen.has(clock.boot);
    });
    next = undefined;
    for await (const clock of probe.clocksFrom(pages[Math.max(0, at)] ?? 0)) {
      if (seen.has(clock.boot)) times.note(clock);
      else {
        next = clock;
        break;
      }
    }
  }
}
