import type { ErrorCode } from '../base/errors.ts';
import { countedId, ownId, sequenceOf } from '../base/message-id.ts';
import type { MessageId, PayloadValue } from '../base/reading.ts';
import type { Decoder } from '../decode/decoder.ts';
import { fieldsOf } from '../decode/fields.ts';
import { lookUp, type Pointer, pointerFault, pointerOf } from '../decode/pointer.ts';
import type { ReadingRules, StreamMessage } from './parse-reading.ts';

/**
 * Where the id of a message stands, and the boot that it counts in: `dedup.idFrom` and
 * `dedup.bootFrom` of a stream. Pure.
 */

export type IdSource =
  /** Where the format has it. */
  | { readonly kind: 'payload' }
  | { readonly kind: 'pointer'; readonly pointer: Pointer }
  /** A level of the topic, counted from 1. */
  | { readonly kind: 'topic'; readonly level: number }
  /** A user property of MQTT 5. */
  | { readonly kind: 'property'; readonly name: string };

export const ID_SOURCES = 'payload, pointer:/meta/uid, topic:3 or property:msg-id';
const MAX_TOPIC_LEVEL = 100;
const MAX_PROPERTY_CHARS = 128;

/** `pointer:/a/b` as its parts; the whole text is the kind if there is no colon. */
function partsOf(text: string): readonly [kind: string, rest: string | undefined] {
  const colon = text.indexOf(':');
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** What is wrong with such a setting, in words. */
export function idSourceFault(text: string): string | undefined {
  const [kind, rest] = partsOf(text);
  if (kind === 'payload' && rest === undefined) return undefined;
  if (rest === undefined) return `allowed: ${ID_SOURCES}`;
  switch (kind) {
    case 'pointer':
      return pointerFault(rest);
    case 'topic': {
      const isLevel = /^[1-9]\d{0,2}$/.test(rest) && Number(rest) <= MAX_TOPIC_LEVEL;
      return isLevel ? undefined : `a level of the topic is a number from 1 to ${MAX_TOPIC_LEVEL}`;
    }
    case 'property':
      return rest !== '' && rest.length <= MAX_PROPERTY_CHARS
        ? undefined
        : `the name of a user property has 1 to ${MAX_PROPERTY_CHARS} characters`;
    default:
      return `allowed: ${ID_SOURCES}`;
  }
}

/** What a sound text says. */
export function idSourceOf(text: string): IdSource {
  const [kind, rest = ''] = partsOf(text);
  if (kind === 'pointer') return { kind, pointer: pointerOf(rest) };
  if (kind === 'topic') return { kind, level: Number(rest) };
  return kind === 'property' ? { kind, name: rest } : { kind: 'payload' };
}

/** Is it in a user property, which no log keeps? */
export function isProperty(text: string): boolean {
  return idSourceOf(text).kind === 'property';
}

/** undefined: it is not there. Of a property that comes more than once the first one counts. */
function find(
  source: Exclude<IdSource, { kind: 'payload' }>,
  { topic, userProperties }: StreamMessage,
  value: PayloadValue,
): unknown {
  switch (source.kind) {
    case 'pointer':
      return lookUp(value, source.pointer);
    case 'topic':
      return topic.split('/')[source.level - 1];
    case 'property': {
      const { name } = source;
      if (userProperties === undefined || !Object.hasOwn(userProperties, name)) return undefined;
      const text = userProperties[name];
      return typeof text === 'string' ? text : text?.[0];
    }
  }
}

/** What the format says is the id, counted in a boot that stands elsewhere. */
function inBoot(id: MessageId | undefined, boot: unknown): MessageId | undefined | ErrorCode {
  if (id === undefined || id.kind === 'id' || sequenceOf(id.sequence) === undefined) return id;
  return countedId(id.sequence, boot);
}

/**
 * How the ids of a stream are found. One that is not there makes a reading without an id; one that
 * can't be an id is PAYLOAD_ID_INVALID. With a boot, a number counts in it; without one, what is at
 * `idFrom` is taken for unique, or, where `bootFrom` says that there should be a boot, a number is
 * taken for a counter.
 */
export function messageIdRule(
  idFrom: string,
  bootFrom: string,
  decoder: Decoder,
): ReadingRules['messageId'] {
  const idSource = idSourceOf(idFrom);
  const bootSource = idSourceOf(bootFrom);
  if (idSource.kind === 'payload') {
    if (bootSource.kind === 'payload') return (_, value) => decoder.messageId(value);
    return (message, value) => {
      const id = decoder.messageId(value);
      return typeof id === 'string' ? id : inBoot(id, find(bootSource, message, value));
    };
  }
  if (bootSource.kind === 'payload') {
    return (message, value) => {
      const found = find(idSource, message, value);
      const boot = fieldsOf(value)?.['boot'] ?? undefined;
      return boot === undefined ? ownId(found) : idIn(found, boot);
    };
  }
  return (message, value) => idIn(find(idSource, message, value), find(bootSource, message, value));
}

/** A name that is no number is unique by itself. */
function idIn(found: unknown, boot: unknown): MessageId | undefined | ErrorCode {
  const isName = typeof found === 'string' && !/^\d+$/.test(found);
  return isName ? ownId(found) : countedId(found, boot);
}
