import * as v from 'valibot';
import { FORMATS } from '../decode/decoder.ts';
import { pointerFault } from '../decode/pointer.ts';
import { ID_SOURCES, idSourceFault } from '../ingest/id-source.ts';
import { choice, flag, optional, text, whole } from './config-kinds.ts';
import { RESERVED_STREAMS, streamNameFault, topicPatternFault } from './config-text.ts';

/** What can be set for each stream. */

const ID_SOURCE = { allowed: ID_SOURCES, fault: idSourceFault };

const dedupOfStream = v.nullish(
  v.strictObject({
    mode: choice(
      ['auto', 'id', 'sequence', 'payload', 'none'],
      'auto',
      'How a retransmit is told; see dedup.md. `auto` takes what each payload offers; `payload` ' +
        'is for devices that send no id; `none` stores everything.',
    ),
    windowMs: whole(
      86_400_000,
      1000,
      31_536_000_000,
      'How long the id of a reading is remembered (modes `auto` and `id`), in ms of running time.',
    ),
    windowIds: whole(
      1024,
      1,
      16_777_216,
      'How many ids are remembered for each device (modes `auto`, `id` and `payload`).',
    ),
    refresh: flag(
      false,
      'A repeat begins the time of its id anew, so that an id which is repeated again and again ' +
        'is never new.',
    ),
    payloadWindowMs: whole(
      60_000,
      1000,
      86_400_000,
      'How long a payload counts as the same reading on its topic (mode `payload`), in ms of ' +
        'running time. A value that is measured twice within it is stored once.',
    ),
    counterBits: v.nullish(
      v.pipe(
        v.picklist([0, 16, 32] as const),
        v.description(
          'Bits of the counter in `seq` (modes `auto` and `sequence`) where it starts again at 0 ' +
            'when they are used up; 0: it never does.',
        ),
      ),
      0,
    ),
    idFrom: text(
      'payload',
      ID_SOURCE,
      'Where the message id is. `payload`: where the format has it (payloads.md). Else a JSON ' +
        'pointer into the payload, a level of the topic from 1 on, or a user property of MQTT 5. ' +
        'A message without one has no id.',
    ),
    bootFrom: text(
      'payload',
      ID_SOURCE,
      'Where the name of the boot is in which an id that is a number counts.',
    ),
  }),
  {},
);

const streamName = v.pipe(
  v.string(),
  v.check(
    (name) => streamNameFault(name) === undefined,
    (issue) => streamNameFault(String(issue.input)) ?? '',
  ),
);

const topicPattern = v.pipe(
  v.string(),
  v.check(
    (pattern) => topicPatternFault(pattern) === undefined,
    (issue) => topicPatternFault(String(issue.input)) ?? '',
  ),
  v.metadata({ allowed: 'a topic pattern with one `<device>` level; `+` and `#` as in MQTT' }),
);

const metricPointer = v.pipe(
  v.string(),
  v.check(
    (pointer) => pointerFault(pointer) === undefined,
    (issue) => pointerFault(String(issue.input)) ?? '',
  ),
  v.metadata({ allowed: 'a JSON pointer; `*` stands for every element' }),
);

const stream = v.strictObject({
  topics: v.pipe(
    v.array(topicPattern),
    v.minLength(1),
    v.maxLength(32),
    v.description(
      'Topics whose messages are readings of this stream. `<device>` marks the device, whose ' +
        'name is taken for the same in all of them. Of ' +
        'several patterns that match a topic, the first one in the file takes it.',
    ),
  ),
  format: choice(
    FORMATS,
    'auto',
    'What a payload is; see payloads.md. `auto`: JSON or a plain number. `raw`: any bytes, which ' +
      'are stored and not looked into.',
  ),
  metrics: v.nullish(
    v.pipe(
      v.array(metricPointer),
      v.maxLength(64),
      v.description(
        'JSON pointers at the numbers that detection watches, `*` for every element, as in ' +
          '`/env/temperature` or `/samples/*/t` (formats `auto`, `json` and `cbor`). An empty ' +
          'list: the rule of the format.',
      ),
    ),
    [],
  ),
  partitions: whole(4, 1, 64, 'Parts with an order of their own; a device stays in one of them.'),
  lingerMs: optional(
    0,
    10_000,
    'How long a reading of this stream waits for company, in ms. None: `log.lingerMs`.',
  ),
  ack: choice(
    ['durable', 'received'],
    'durable',
    'When a reading is acknowledged. `durable`: once it is on flash. `received`: once it is in ' +
      'memory, so that a power cut or a kill loses the last of them; see guarantees.md.',
  ),
  dedup: dedupOfStream,
});

export const MAX_STREAMS = 32;

const KEPT_NAMES = RESERVED_STREAMS.map((name) => `\`${name}\``).join(', ');

export const streams = v.nullish(
  v.pipe(
    v.record(streamName, stream),
    v.minEntries(1),
    v.maxEntries(MAX_STREAMS),
    v.description(
      'The streams by name: 1 to 32 of a-z, 0-9 and -. Naming any replaces the default one. ' +
        `Headgate keeps these names for itself: ${KEPT_NAMES}.`,
    ),
  ),
  { readings: { topics: ['sensors/<device>/#'] } },
);
