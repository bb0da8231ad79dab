import * as v from 'valibot';
import { HeadgateError } from '../base/errors.ts';
import type { RedrivenPage } from '../log/redriven-notes.ts';
import { wholeIn } from '../log/start-position.ts';
import { type Call, type Handler, sendJson } from './control-call.ts';

/** What became of a message that went through the pipeline again. */
export type Redriven =
  /** It is a reading now: durable, or the repeat of one that is. */
  | { readonly outcome: 'stored' | 'duplicate' }
  /** Its topic is no stream's any more. */
  | { readonly outcome: 'no-stream' }
  /** It is no reading now either. `reason` is an error code, as `detail` goes with it. */
  | { readonly outcome: 'no-reading'; readonly reason: string }
  /** It is a reading that could not be made durable. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly detail?: string };

/** What became of one offset. */
export type RedriveRow = { readonly offset: number; readonly topic?: string } & (
  | Redriven
  /** With success, before; nothing was done now. */
  | { readonly outcome: 'already-redriven' }
  /** There is no such dead letter: OFFSET_GONE or OFFSET_BEYOND_END. */
  | { readonly outcome: 'not-there'; readonly reason: string }
);

export interface RedriveAnswer {
  /** The log that the offsets belong to. */
  readonly log: string;
  readonly dryRun: boolean;
  /** One for each offset, ascending. */
  readonly rows: readonly RedriveRow[];
}

export interface RedriveOptions {
  /** Also what was redriven before. */
  readonly again: boolean;
  /** Says what would become of them, and changes nothing. */
  readonly dryRun: boolean;
  /** Whoever asked is gone: what is not begun is left. */
  readonly signal: AbortSignal;
}

/** Who can send dead letters through again. */
export interface Redriver {
  redrive(offsets: readonly number[], options: RedriveOptions): Promise<RedriveAnswer>;
  /** Which were, from an offset on. */
  redriven(from: number): Promise<RedrivenPage>;
}

export const MAX_REDRIVE_OFFSETS = 100;

const REQUEST = v.strictObject({
  offsets: v.pipe(
    v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
    v.minLength(1),
    v.maxLength(MAX_REDRIVE_OFFSETS),
  ),
  again: v.optional(v.boolean(), false),
  dryRun: v.optional(v.boolean(), false),
});

/** `/dead-letters/redrive` and `/dead-letters/redriven`: docs/dead-letters.md. */
export function deadLetterRoutes(redriver: Redriver): Handler {
  return async (call) => {
    const [root, what, ...more] = call.path;
    if (root !== 'dead-letters' || more.length > 0) return false;
    if (what === 'redrive' && call.method === 'POST') {
      const { offsets, ...options } = await requestIn(call);
      sendJson(call, await redriver.redrive(offsets, { ...options, signal: call.signal }));
    } else if (what === 'redriven' && call.method === 'GET') {
      sendJson(call, await redriver.redriven(fromIn(call.query)));
    } else return false;
    return true;
  };
}

/** Throws REQUEST_INVALID. */
async function requestIn(call: Call) {
  const request = v.safeParse(REQUEST, await call.body());
  if (request.success) return request.output;
  const most = `1 to ${MAX_REDRIVE_OFFSETS} offsets`;
  const detail = `the body is {"offsets": [0, 7], "again": false, "dryRun": false}, with ${most}`;
  throw new HeadgateError('REQUEST_INVALID', detail);
}

/** Throws REQUEST_INVALID. */
function fromIn(query: URLSearchParams): number {
  const names = [...query.keys()];
  if (names.length > 1 || (names.length === 1 && names[0] !== 'from')) {
    throw new HeadgateError('REQUEST_INVALID', 'there is from, once');
  }
  return wholeIn('from', query.get('from') ?? '0');
}
