import { createHash } from 'node:crypto';
import type { LogRecord, MessageId, Reading } from '../base/reading.ts';
import type { Sighting } from './claim.ts';
import { IdWindow, type IdWindowOptions } from './id-window.ts';
import { SequenceWindow } from './sequence-window.ts';

/**
 * `auto`: a string id by the id window, a boot and a number by the sequence window, a number alone
 * by the number together with the payload, since it starts again when the device does. `id`:
 * whatever the device calls its id is one. `sequence`: a number alone never starts again.
 */
export type DedupMode = 'auto' | 'id' | 'sequence' | 'none';

export interface DedupOptions extends IdWindowOptions {
  readonly mode: DedupMode;
}

type Key =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'sequence'; readonly boot: string; readonly sequence: number };

function fingerprint(payload: Uint8Array): string {
  return createHash('sha1').update(payload).digest('base64').slice(0, 22);
}

/** Its number counts up from 0, one by one, and stands for this text and no other. */
function isCounted({ text, sequence }: { text: string; sequence: number }): boolean {
  return Number.isSafeInteger(sequence) && sequence >= 0 && String(sequence) === text;
}

function keyOf(mode: DedupMode, id: MessageId, payload: Uint8Array): Key | undefined {
  if (mode === 'none') return undefined;
  if (id.kind === 'counter' && (mode === 'auto' || !isCounted(id))) {
    return { kind: 'id', id: `${id.text} ${fingerprint(payload)}` };
  }
  if (mode === 'id' || id.kind === 'id') return { kind: 'id', id: id.text };
  const boot = id.kind === 'sequence' ? id.boot : '';
  return { kind: 'sequence', boot, sequence: id.sequence };
}

/**
 * Tells a device's retransmits from its new readings, for one stream. Answers at once: between
 * asking and the answer no other message can slip in.
 */
export class Dedup {
  readonly #mode: DedupMode;
  readonly #ids: IdWindow;
  readonly #sequences: SequenceWindow;

  constructor(options: DedupOptions) {
    this.#mode = options.mode;
    this.#ids = new IdWindow(options);
    this.#sequences = new SequenceWindow({ maxBoots: options.maxDevices });
  }

  /** undefined: a reading without an id that can be used; it is new. `runMs`: the run clock now. */
  claim(reading: Reading, runMs: number): Sighting | undefined {
    const { messageId, payload } = reading;
    const key = messageId === undefined ? undefined : keyOf(this.#mode, messageId, payload);
    if (key === undefined) return undefined;
    return key.kind === 'id'
      ? this.#ids.claim(reading, key.id, runMs)
      : this.#sequences.claim(reading.device, key.boot, key.sequence);
  }

  /**
   * Is a reading with this id durable? A look, which changes nothing: a claim makes room for what
   * it does not know, and to release it brings nothing back.
   */
  knows(reading: Pick<Reading, 'device' | 'topic' | 'messageId' | 'payload'>): boolean {
    const { device, messageId, payload } = reading;
    const key = messageId === undefined ? undefined : keyOf(this.#mode, messageId, payload);
    if (key === undefined) return false;
    return key.kind === 'id'
      ? this.#ids.has(reading, key.id)
      : this.#sequences.has(device, key.boot, key.sequence);
  }

  /**
   * Refills the windows: called for the log's last records, oldest first, before anything is
   * claimed.
   */
  remember(record: LogRecord): void {
    const { messageId, payload, runMs } = record;
    const key = messageId === undefined ? undefined : keyOf(this.#mode, messageId, payload);
    if (key === undefined) return;
    if (key.kind === 'id') this.#ids.remember(record, key.id, runMs);
    else this.#sequences.remember(record.device, key.boot, key.sequence);
  }

  /** Ids and devices remembered, for status. */
  size(): { readonly ids: number; readonly sequenceDevices: number } {
    return { ids: this.#ids.size, sequenceDevices: this.#sequences.size };
  }
}
