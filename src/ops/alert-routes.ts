import * as v from 'valibot';
import { HeadgateError } from '../base/errors.ts';
import type { RecordPosition } from '../base/reading.ts';
import { type Handler, sendJson } from './control-call.ts';

/** An alert that lasts, or that has ended and is latched. */
export interface AlertRow {
  readonly alert: string;
  readonly severity: string;
  readonly fault: string;
  readonly source: string;
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  /** null: no bound. */
  readonly expected: readonly [low: number | null, high: number | null];
  readonly score: number;
  readonly cause: RecordPosition;
  /** ms since 1970. */
  readonly since: number;
  readonly reason: string;
  /** Alerts that it stands for by now, and how many of them last. */
  readonly count: number;
  readonly open: number;
  /** When a person has seen it, ms since 1970. */
  readonly acknowledged?: number;
  /** Of one that is latched: when it has ended, ms since 1970. */
  readonly ended?: number;
}

/** What became of an acknowledgement. */
export interface AckRow {
  readonly alert: string;
  readonly outcome: 'acknowledged' | 'already' | 'not-active' | 'not-stored';
}

/** Who knows the alerts that last. */
export interface Alerts {
  list(): readonly AlertRow[];
  /** undefined: all. Rejects if that could not be made durable. */
  acknowledge(alerts: readonly string[] | undefined): Promise<readonly AckRow[]>;
}

const MAX_ACKS = 1_000;

const REQUEST = v.strictObject({
  alerts: v.optional(v.pipe(v.array(v.string()), v.minLength(1), v.maxLength(MAX_ACKS))),
});

/** `GET /alerts` and `POST /alerts/ack`: docs/alerts.md. */
export function alertRoutes(alerts: Alerts): Handler {
  return async (call) => {
    const path = call.path.join('/');
    if (path === 'alerts' && call.method === 'GET') sendJson(call, alerts.list());
    else if (path === 'alerts/ack' && call.method === 'POST') {
      const request = v.safeParse(REQUEST, await call.body());
      if (!request.success) {
        const detail = `the body is {"alerts": ["begin:…"]}, 1 to ${MAX_ACKS}, or {} for all`;
        throw new HeadgateError('REQUEST_INVALID', detail);
      }
      sendJson(call, await alerts.acknowledge(request.output.alerts));
    } else return false;
    return true;
  };
}
