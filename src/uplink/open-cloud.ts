import { codeOf, HeadgateError } from '../base/errors.ts';
import type { OpenLink } from './cloud-link.ts';
import type { KafkaOptions } from './kafka-link.ts';
import { type CloudOptions, mqttCloud } from './mqtt-link.ts';
import { protocolOf } from './uplink-url.ts';

/**
 * The way to the far side of `options.url`, by its scheme. The clients of NATS and Kafka are
 * optional packages, and are loaded only where they are used: they cost memory.
 *
 * Throws UPLINK_CLIENT_MISSING when the package is not installed.
 */
export async function openCloud(options: CloudOptions & KafkaOptions): Promise<OpenLink> {
  switch (protocolOf(options.url)) {
    case 'nats': {
      const { natsCloud } = await orMissing('@nats-io/transport-node', import('./nats-link.ts'));
      return natsCloud(options);
    }
    case 'kafka': {
      const { kafkaCloud } = await orMissing('kafkajs', import('./kafka-link.ts'));
      return kafkaCloud(options);
    }
    default:
      return mqttCloud(options);
  }
}

/** What is loaded, or an error that says which package is missing. */
export async function orMissing<T>(name: string, loading: Promise<T>): Promise<T> {
  try {
    return await loading;
  } catch (error) {
    if (codeOf(error) !== 'ERR_MODULE_NOT_FOUND') throw error;
    const detail = `the package ${name} is not installed, and uplink.url needs it`;
    throw new HeadgateError('UPLINK_CLIENT_MISSING', detail, { cause: error });
  }
}
