import { createHash } from 'node:crypto';
import type { Gap } from '../base/gap.ts';
import type { LogRecord, MessageId, Reading } from '../base/reading.ts';
import type { Sighting } from './claim.ts';
import { Devices, type DevicesOptions } from './devices.ts';
import { IdWindow, type IdWindowOptions } from './id-window.ts';
import { SequenceWindow } from './sequence-window.ts';
import type { StoredIds } from './stored-ids.ts';

/**
 * `auto`: a string id by the id window, a boot and a number by the sequence window, a number alone
 * by the number together with the payload, since it starts again when the device does. `id`:
 * whatever the device calls its id is one. `sequence`: a number alone counts up and is kept over a
 * reboot. `payload`: for devices that send no id, topic and payload are one, for a short while.
 */
export type DedupMode = 'auto' | 'id' | 'sequence' | 'payload' | 'none';

export interface DedupOptions extends IdWindowOptions, Omit<DevicesOptions, 'counting'> {
  readonly mode: DedupMode;
  /** Bits of a counter that starts again at 0; 0: it does not. */
  readonly counterBits?: number;
  /** What is not in memory. Default: nothing. */
  readonly stored?: StoredIds | undefined;
}

type Key =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'sequence'; readonly boot: string; readonly sequence: number };

type Named = Pick<Reading, 'device' | 'topic' | 'messageId' | 'payload'>;

function fingerprint(payload: Uint8Array): string {
  return createHash('sha1').update(payload).digest('base64').slice(0, 22);
}

/** Nobody counts so far, and sums with numbers up to here are exact. */
const MAX_COUNT = 2 ** 52;

/** It counts up from 0, one by one, and has not come to the end of what its counter can say. */
function isCount(sequence: number, wrapAt: number): boolean {
  const most = wrapAt === 0 ? MAX_COUNT : wrapAt - 1;
  return Number.isSafeInteger(sequence) && sequence >= 0 && sequence <= most;
}

/**
 * Tells a device's retransmits from its new readings, for one stream. Answers at once: between
 * asking and the answer no other message can slip in.
 */
export class Dedup {
  readonly devices: Devices;
  readonly ids: IdWindow;
  readonly #mode: DedupMode;
  readonly #wrapAt: number;
  readonly #sequences: SequenceWindow;

  constructor(options: DedupOptions) {
    this.#mode = options.mode;
    const bits = options.mode === 'id' ? 0 : (options.counterBits ?? 0);
    this.#wrapAt = bits === 0 ? 0 : 2 ** bits;
    this.devices = new Devices({ ...options, counting: `${options.mode} ${bits}` });
    this.ids = new IdWindow(options, this.devices, options.stored);
    this.#sequences = new SequenceWindow(this.devices, { wrapAt: this.#wrapAt });
  }

  /** It stores everything. */
  get isOff(): boolean {
    return this.#mode === 'none';
  }

  /** undefined: a reading without an id that can be used; it is new. `runMs`: the run clock now. */
  claim(reading: Named, runMs: number): Sighting | undefined {
    const key = this.#keyOf(reading);
    if (key === undefined) return undefined;
    return key.kind === 'id'
      ? this.ids.claim(reading, key.id, runMs)
      : this.#sequences.claim(reading.device, key.boot, key.sequence);
  }

  /**
   * Is a reading with this id durable? A look, which changes nothing: a claim makes room for what
   * it does not know, and to release it brings nothing back.
   */
  knows(reading: Named, runMs: number): boolean {
    const key = this.#keyOf(reading);
    if (key === undefined) return false;
    return key.kind === 'id'
      ? this.ids.has(reading, key.id, runMs)
      : this.#sequences.has(reading.device, key.boot, key.sequence);
  }

  /**
   * Refills the windows: called for records of the log, oldest first, before anything is claimed.
   */
  remember(record: LogRecord): void {
    const key = this.#keyOf(record);
    if (key === undefined) return;
    if (key.kind === 'id') this.ids.remember(record, key.id, record.runMs);
    else this.#sequences.remember(record.device, key.boot, key.sequence);
  }

  /** Numbers of devices in memory that have not come. */
  gaps(): Iterable<Gap> {
    return this.#sequences.gaps();
  }

  /** Ids and devices in memory, and counters that started again, for status. */
  size(): { readonly ids: number; readonly devices: number; readonly resets: number } {
    return { ids: this.ids.size, devices: this.devices.size, resets: this.#sequences.resets };
  }

  #keyOf({ messageId, payload }: Named): Key | undefined {
    if (this.#mode === 'none') return undefined;
    if (this.#mode === 'payload') return { kind: 'id', id: fingerprint(payload) };
    return messageId === undefined ? undefined : this.#keyOfId(messageId, payload);
  }

  #keyOfId(id: MessageId, payload: Uint8Array): Key {
    if (id.kind === 'id') return { kind: 'id', id: id.text };
    const { text, sequence } = id;
    const isBare = id.kind === 'counter';
    if (this.#mode === 'id' && !isBare) return { kind: 'id', id: text };
    const isUsable = isCount(sequence, this.#wrapAt) && (!isBare || String(sequence) === text);
    if (!isUsable || (isBare && this.#mode === 'auto')) {
      return { kind: 'id', id: `${text} ${fingerprint(payload)}` };
    }
    if (this.#mode === 'id') return { kind: 'id', id: text };
    return { kind: 'sequence', boot: isBare ? '' : id.boot, sequence };
  }
}
