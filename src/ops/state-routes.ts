import { setImmediate as turn } from 'node:timers/promises';
import { HeadgateError } from '../base/errors.ts';
import type { StateJson } from '../windows/state-json.ts';
import { type Call, type Handler, sendJson } from './control-call.ts';

/** Who knows the last values and windows. */
export interface StateSource {
  readonly isRebuilding: boolean;
  nowMs(): number;
  states(device?: string, metric?: string): Iterable<StateJson>;
}

/** How much of a series' warm-up is over, 0 to 1; undefined where nobody knows just now. */
export type LearnedOf = (device: string, metric: string) => number | undefined;

const STATES_PER_TURN = 50;

/** `/state` and below: docs/state.md. */
export function stateRoutes(of: StateSource | undefined, learnedOf: LearnedOf): Handler {
  const source = of === undefined ? undefined : withLearned(of, learnedOf);
  return async (call) => {
    const [root, device, metric, ...more] = call.path;
    if (root !== 'state' || call.method !== 'GET' || more.length > 0) return false;
    if (source === undefined) {
      throw new HeadgateError(
        'STATE_UNKNOWN',
        'there are none: windows.enabled or detect.enabled is false',
      );
    }
    const [first, ...others] = device === undefined ? [] : source.states(device, metric);
    if (device === undefined) await sendAll(call, source);
    else if (first === undefined) {
      const of = metric === undefined ? device : `${metric} of ${device}`;
      const detail = `there is no last value of ${of}: none came, or there was no room for it`;
      throw new HeadgateError('STATE_UNKNOWN', detail);
    } else if (metric === undefined) {
      sendJson(call, { ...headOf(source), series: [first, ...others] });
    } else sendJson(call, { ...headOf(source), ...first });
    return true;
  };
}

function withLearned(source: StateSource, learnedOf: LearnedOf): StateSource {
  return {
    get isRebuilding() {
      return source.isRebuilding;
    },
    nowMs: () => source.nowMs(),
    *states(device, metric) {
      for (const state of source.states(device, metric)) {
        const learned = learnedOf(state.device, state.metric);
        yield learned === undefined ? state : { ...state, learned };
      }
    },
  };
}

function headOf(source: StateSource) {
  return { asOf: source.nowMs(), rebuilding: source.isRebuilding };
}

/** These may be megabytes: a part at a time, as the client takes them. */
async function sendAll(call: Call, source: StateSource): Promise<void> {
  const { answer, signal } = call;
  answer.writeHead(200, { 'content-type': 'application/json' });
  const head = JSON.stringify(headOf(source));
  let text = `${head.slice(0, -1)},"series":[`;
  let made = 0;
  for (const state of source.states()) {
    text += `${made === 0 ? '' : ','}${JSON.stringify(state)}`;
    made += 1;
    if (made % STATES_PER_TURN > 0) continue;
    if (!answer.write(text)) await call.drained();
    text = '';
    await turn();
    if (signal.aborted) return;
  }
  answer.end(`${text}]}\n`);
}
