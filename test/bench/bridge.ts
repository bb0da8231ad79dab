/** Debian's mosquitto with its own bridge, set up as on a gateway that keeps everything. */
import { Mosquitto } from '../support/mosquitto.ts';

export interface BridgeSettings {
  /** QoS 1 publishes on their way at one time; 0: no limit. 20 is what mosquitto ships with. */
  readonly inflight: number;
  readonly persistence: boolean;
}

interface Ports {
  readonly port: number;
  readonly farPort: number;
}

/** Queues have no limit, small packets leave at once, and a new try comes each second. */
export function bridge(folder: string, { port, farPort }: Ports, settings: BridgeSettings) {
  return new Mosquitto(folder, port, [
    // The later of two lines counts.
    `persistence ${settings.persistence}`,
    `max_inflight_messages ${settings.inflight}`,
    'max_queued_bytes 0',
    'set_tcp_nodelay true',
    'connection far',
    `address 127.0.0.1:${farPort}`,
    'topic # out 1',
    'cleansession false',
    'notifications false',
    'try_private false',
    'restart_timeout 1',
  ]);
}
