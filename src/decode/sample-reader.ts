import type { LogRecord, PayloadValue, Sample } from '../base/reading.ts';
import type { Decoder, DecoderMemory } from './decoder.ts';

/** What the topic says after the device: `sensors/d1/room/temperature` → `room.temperature`. */
function placeOf(topic: string, device: string): string {
  const levels = topic.split('/');
  return levels.slice(levels.indexOf(device) + 1).join('.');
}

const MAX_PLACES = 10_000;

/** The samples of a stream's records, which are to come in the order of their offsets. */
export class SampleReader {
  readonly #decoder: Decoder;
  #memory: DecoderMemory | undefined;
  /** Places of topics seen; emptied when full. */
  readonly #places = new Map<string, string>();

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
    this.#memory = decoder.newMemory?.();
  }

  /** What is to be stored of it goes with the checkpoint of whoever reads. */
  get memory(): DecoderMemory | undefined {
    return this.#memory;
  }

  /** Takes up what the memory's snapshots gave, in place of all that it has. */
  restore(entries: ReadonlyMap<string, string>): void {
    this.#memory = this.#decoder.newMemory?.();
    this.#memory?.restore(entries);
  }

  /** None for a record that says nothing. */
  read(record: LogRecord): readonly Sample[] {
    const value = this.#valueOf(record);
    if (value === undefined) return [];
    const { topic } = record;
    const meant = this.memory === undefined ? value : this.memory.see(value, topic);
    return this.#decoder.samples(meant, this.#place(record), topic);
  }

  #valueOf({ value, payload }: LogRecord): PayloadValue | undefined {
    if (value !== undefined) return value;
    const parsed = this.#decoder.parse(payload);
    return parsed.ok ? parsed.value : undefined;
  }

  #place({ topic, device }: LogRecord): string {
    let place = this.#places.get(topic);
    if (place === undefined) {
      place = placeOf(topic, device);
      if (this.#places.size >= MAX_PLACES) this.#places.clear();
      this.#places.set(topic, place);
    }
    return place;
  }
}
