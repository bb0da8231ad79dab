/**
 * Where offsets go on after a restore. What was stored after the backup was made is gone here, but
 * the cloud may have it: an offset that it knows must not be given to another record, which it
 * would take for a repeat and drop. So every partition jumps ahead, further than it can have come
 * meanwhile: to a place that the wall clock names. Pure.
 */

/** Offsets a second: no partition takes so many records (4.2 million), so none gets ahead of it. */
export const JUMP = 4_194_304;
/** 2026-01-01: with 53 bits for an offset, it lasts until 2094. */
const EPOCH_MS = 1_767_225_600_000;

/**
 * The next offset after a restore, a multiple of `JUMP`: beyond all that was given out before the
 * backup or, if the clock is right, after it, also if the same backup is restored again and again.
 */
export function jumpTarget(next: number, wallMs: number): number {
  const seconds = Math.floor((wallMs - EPOCH_MS) / 1000);
  return JUMP * Math.max(seconds, Math.floor(next / JUMP) + 2);
}

/** True for what lies before a jump: nothing was ever there, so nothing of it is lost. */
export function isJump(from: number, to: number): boolean {
  return to % JUMP === 0 && to - from > JUMP;
}

/**
 * Where a stream begins in a log whose offsets have come so far: 0, or after a restore at the last
 * jump. The gateway that was lost may have had such a stream after its backup was made.
 */
export function beginningOf(offsets: readonly number[]): number {
  const jumped = JUMP * Math.floor(Math.max(0, ...offsets) / JUMP);
  return isJump(0, jumped) ? jumped : 0;
}
