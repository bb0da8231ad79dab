import { topicLevel } from '../../src/base/topic-level.ts';

/** Where a reading of the line goes. Pure. */

const MAX_DEVICE_BYTES = 128;
const MAX_TOPIC_BYTES = 255;
/** What the gateway takes by default; above it a broker ends the connection, again and again. */
const MAX_LEVELS = 16;

/** One level of a topic, which any broker takes. */
export function isDeviceName(name: string): boolean {
  const isLong = Buffer.byteLength(name) > MAX_DEVICE_BYTES;
  return name !== '' && !isLong && topicLevel(name) === name;
}

/** `topic` is what follows the device, and may be empty. undefined: no broker would take it. */
export function readingTopic(prefix: string, device: string, topic: string): string | undefined {
  const whole = topic === '' ? `${prefix}/${device}` : `${prefix}/${device}/${topic}`;
  if (Buffer.byteLength(topic) > MAX_TOPIC_BYTES) return undefined;
  const levels = whole.split('/');
  const isSafe = levels.every((level) => level === '' || topicLevel(level) === level);
  return isSafe && levels.length <= MAX_LEVELS ? whole : undefined;
}
