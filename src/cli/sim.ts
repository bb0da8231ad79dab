import { setMaxListeners } from 'node:events';
import { isIPv6 } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { SimulatedSensor } from '../../firmware-bridge/device/simulated-sensor.ts';
import { systemClock } from '../base/clock.ts';
import { HeadgateError } from '../base/errors.ts';
import { unlessAborted } from '../base/unless-aborted.ts';
import { type Command, textValue, type Values, whole } from './command.ts';

interface Plan {
  readonly url: string;
  readonly devices: number;
  readonly everyMs: number;
  /** Messages per device; 0: until interrupted. */
  readonly count: number;
  readonly repeatShare: number;
  readonly anomalies: readonly number[];
  readonly seed: number;
  /** How long a gateway is waited for. */
  readonly patienceMs: number;
}

/** Throws USAGE. */
function planOf(values: Values): Plan {
  const number = (name: string, byDefault: number, least = 0, most = Number.MAX_SAFE_INTEGER) => {
    const text = textValue(values, name);
    return text === undefined ? byDefault : whole(name, text, least, most);
  };
  const repeats = number('repeats', 5);
  if (repeats > 100) throw new HeadgateError('USAGE', '--repeats is a percentage');
  const host = textValue(values, 'host') ?? '127.0.0.1';
  const anomaly = textValue(values, 'anomaly');
  return {
    // An IPv6 address needs brackets before a port.
    url: `mqtt://${isIPv6(host) ? `[${host}]` : host}:${number('port', 1883, 1, 65_535)}`,
    devices: number('devices', 5, 1),
    everyMs: number('every', 1_000),
    count: number('count', 0),
    repeatShare: repeats / 100,
    anomalies: anomaly === undefined ? [] : [whole('anomaly', anomaly)],
    seed: number('seed', 1),
    patienceMs: 1_000 * number('wait', number('count', 0) === 0 ? 0 : 10, 0, 86_400),
  };
}

interface Simulated {
  acked: number;
  repeated: number;
}

interface Simulation {
  readonly seen: Simulated;
  readonly signal: AbortSignal;
  onTrouble(why: string): void;
  onConnected(): void;
}

async function simulate(plan: Plan, index: number, simulation: Simulation) {
  const { seen, signal, onTrouble, onConnected } = simulation;
  const device = `sim-${index + 1}`;
  const boot = `${plan.seed}-${Math.round(systemClock.wallMs()).toString(36)}`;
  const { repeatShare, anomalies } = plan;
  const seed = plan.seed + index;
  const sensor = new SimulatedSensor({ device, seed, repeatShare, anomalies, boot });
  const clientId = `headgate-${device}`;
  const { DeviceClient } = await import('../../firmware-bridge/device/device-client.ts');
  const client = new DeviceClient({ url: plan.url, clientId, onTrouble, onConnected });
  try {
    for (let i = 0; (plan.count === 0 || i < plan.count) && !signal.aborted; i++) {
      const message = sensor.next(systemClock.wallMs());
      await unlessAborted(client.publish(message.topic, message.payload), signal);
      if (signal.aborted) return;
      seen.acked += 1;
      if (message.repeated) {
        await unlessAborted(client.repeat(message.topic, message.payload), signal);
        seen.repeated += 1;
      }
      await wait(plan.everyMs, undefined, { signal }).catch(() => {
        // Interrupted: the loop ends.
      });
    }
  } finally {
    await client.close();
  }
}

export const sim: Command = {
  name: 'sim',
  usage:
    'headgate sim [--host HOST] [--port N] [--devices N] [--every MS] [--count N]\n' +
    '             [--repeats PERCENT] [--anomaly STEP] [--seed N] [--wait SECONDS]',
  summary: 'simulated sensors that publish to a gateway until interrupted',
  optionHelp: {
    port: "the gateway's MQTT port; 1883 by default",
    wait: 'how long a gateway is waited for; 10 with --count, else 0: for ever',
  },
  options: {
    host: { type: 'string' },
    port: { type: 'string' },
    devices: { type: 'string' },
    every: { type: 'string' },
    count: { type: 'string' },
    repeats: { type: 'string' },
    anomaly: { type: 'string' },
    seed: { type: 'string' },
    wait: { type: 'string' },
  },
  positionals: [0, 0],
  async run(values, _, io) {
    const plan = planOf(values);
    const abort = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => abort.abort());
    // Each sensor listens, twice.
    setMaxListeners(0, abort.signal);
    const seen: Simulated = { acked: 0, repeated: 0 };
    io.complain(`${plan.devices} sensors publish to ${plan.url}; seed ${plan.seed}`);
    const troubles = new Set<string>();
    const onTrouble = (why: string) => {
      if (troubles.has(why)) return;
      troubles.add(why);
      io.complain(`${plan.url}: ${why}; trying again`);
    };
    const patience = plan.patienceMs === 0 ? undefined : setTimeout(giveUp, plan.patienceMs);
    function giveUp() {
      io.complain(`no gateway answered at ${plan.url}: is it running, and are --host, --port its?`);
      abort.abort();
    }
    const onConnected = () => clearTimeout(patience);
    const simulation = { seen, signal: abort.signal, onTrouble, onConnected };
    const all = Array.from({ length: plan.devices }, (_, i) => simulate(plan, i, simulation));
    await Promise.all(all);
    clearTimeout(patience);
    io.print(`acknowledged ${seen.acked}, sent twice ${seen.repeated}`);
    return seen.acked > 0 ? 0 : 1;
  },
};
