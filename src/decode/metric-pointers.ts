import type { PayloadValue, Sample } from '../base/reading.ts';
import { MAX_SAMPLES } from './decoder.ts';
import { deviceTimeOf, fieldsOf, measured, metricOf, NOT_MEASURED } from './fields.ts';
import { below, type Pointer, pointerOf } from './pointer.ts';

/** The numbers that `streams.<name>.metrics` points at. Pure. */

/** Stands for every element of a list, and every field of an object but those of no measure. */
const EVERY = '*';
const IS_NUMBER = /^\d+$/;
/** Elements and fields looked at in one message, over all pointers. */
const MAX_VISITS = 16 * MAX_SAMPLES;

/** One look through one message. */
class Look {
  readonly samples: Sample[] = [];
  readonly #place: string;
  #pointer: Pointer = [];
  #visits = 0;

  constructor(place: string) {
    this.#place = place;
  }

  follow(pointer: Pointer, value: PayloadValue): void {
    this.#pointer = pointer;
    this.#visit(value, 0, '', undefined);
  }

  /**
   * `at`: levels of the pointer that are behind us, and `name` what of them names the metric.
   * `timeMs`: of the nearest object around us that has one.
   */
  #visit(value: unknown, at: number, name: string, timeMs: number | undefined): void {
    this.#visits += 1;
    if (this.#visits > MAX_VISITS || this.samples.length >= MAX_SAMPLES) return;
    const next = this.#pointer[at];
    if (next === undefined) {
      this.#add(value, name, timeMs);
      return;
    }
    const fields = fieldsOf(value);
    const time = (fields === undefined ? undefined : deviceTimeOf(fields)) ?? timeMs;
    if (next !== EVERY) {
      const found = below(value, next);
      if (found !== undefined) this.#visit(found, at + 1, joined(name, next), time);
    } else if (fields !== undefined) {
      for (const field in fields) {
        if (NOT_MEASURED.has(field)) continue;
        this.#visit(fields[field], at + 1, joined(name, field), time);
      }
    } else if (Array.isArray(value)) {
      for (const element of value as readonly unknown[]) this.#visit(element, at + 1, name, time);
    }
  }

  #add(found: unknown, name: string, timeMs: number | undefined): void {
    const value = measured(found);
    if (value === undefined) return;
    const metric = metricOf(this.#place, name);
    this.samples.push(timeMs === undefined ? { metric, value } : { metric, value, timeMs });
  }
}

/** Numbers of elements are no part of a name: the third sample is of the same metric. */
function joined(name: string, next: string): string {
  if (IS_NUMBER.test(next)) return name;
  return name === '' ? next : `${name}.${next}`;
}

// `/env/temperature` is the metric `env.temperature`, and `/samples/*/t` is `samples.t`.
export function pointedSamples(
  metrics: readonly string[],
): (value: PayloadValue, place: string) => Sample[] {
  const pointers = metrics.map(pointerOf);
  return (value, place) => {
    const look = new Look(place);
    for (const pointer of pointers) look.follow(pointer, value);
    return look.samples;
  };
}
