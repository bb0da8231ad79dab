import { nearestName } from '../ops/nearest-name.ts';
import { plain } from './record-text.ts';

/** As many as are looked through for the one that was meant. */
const MAX_NAMES = 1_000;
const SHOWN_NAMES = 8;

/** Names that were met, as many as are kept, and whether there are more. */
class NameSet {
  readonly #names = new Set<string>();
  #isFull = false;

  add(name: string): void {
    if (this.#names.size < MAX_NAMES) this.#names.add(name);
    else if (!this.#names.has(name)) this.#isFull = true;
  }

  /** `did you mean boiler?`, or `there are boiler, pump and 7 more`. */
  instead(name: string): string {
    const near = nearestName(name, [...this.#names]);
    if (near !== undefined) return `did you mean ${plain(near)}?`;
    const first = [...this.#names].slice(0, SHOWN_NAMES).map(plain);
    const left = this.#names.size - first.length;
    const more = this.#isFull ? ' and many more' : ` and ${left} more`;
    return `there ${first.length === 1 ? 'is' : 'are'} ${first.join(', ')}${left > 0 ? more : ''}`;
  }
}

interface Asked {
  readonly device: string | undefined;
  readonly metric: string | undefined;
}

/** Devices and metrics that a replay met: for who asked for one that is not there. */
export class ReplayNames {
  readonly #asked: Asked;
  readonly #devices = new NameSet();
  #hasDevice = false;
  #hasMetric = false;
  /** Of the device that is asked for, if one is. */
  readonly #metrics = new NameSet();

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  note({ device, metric }: { readonly device: string; readonly metric: string }): void {
    this.#devices.add(device);
    if (this.#asked.device !== undefined && this.#asked.device !== device) return;
    this.#hasDevice = true;
    this.#metrics.add(metric);
    if (metric === this.#asked.metric) this.#hasMetric = true;
  }

  /** Once nothing was found: what was asked for, and what there is. undefined: all was there. */
  hint(): string | undefined {
    const { device, metric } = this.#asked;
    if (device !== undefined && !this.#hasDevice) {
      return `no value is of device ${plain(device)}; ${this.#devices.instead(device)}`;
    }
    if (metric === undefined || this.#hasMetric) return undefined;
    const of = device === undefined ? '' : ` of device ${plain(device)}`;
    return `no value is of metric ${plain(metric)}${of}; ${this.#metrics.instead(metric)}`;
  }
}
