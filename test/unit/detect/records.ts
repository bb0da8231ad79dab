import type { LogRecord } from '../../../src/base/reading.ts';

/** Records of one stream, one second apart: the n-th has offset n. */
export class Records {
  #offset = 0;

  /** Records from this offset on are made again. */
  goBack(offset: number): void {
    this.#offset = offset;
  }

  /** `payload`: text as it is, anything else as JSON. */
  next(payload: unknown, device = 'd1', topic = `sensors/${device}/temperature`): LogRecord {
    const offset = this.#offset;
    this.#offset += 1;
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    return {
      device,
      topic,
      payload: Buffer.from(text),
      monoMs: 5_000 + offset * 1_000,
      stream: 'readings',
      partition: 0,
      offset,
      receivedAtMs: 1_795_000_000_000 + offset * 1_000,
      boot: '00',
      runMs: offset * 1_000,
    };
  }
}
