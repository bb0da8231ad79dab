/**
 * What may not stand in a level of a topic that is published to. Wildcards and level marks, and the
 * code points for which a strict broker ends the connection [MQTT-1.5.4-1]: one such name would
 * stop an uplink for good.
 */
const UNSAFE = /[+#/\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/gu;

/** A name as one level that any broker takes. */
export function topicLevel(name: string): string {
  return name.replace(UNSAFE, '_') || '_';
}
