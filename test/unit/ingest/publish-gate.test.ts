import { describe, expect, it } from 'vitest';
import { AckQueue } from '../../../src/ingest/ack-queue.ts';
import { LeftWills } from '../../../src/ingest/left-wills.ts';
import { OpenMessages, type Settle } from '../../../src/ingest/open-messages.ts';
import { PublishGate } from '../../../src/ingest/publish-gate.ts';
import type { Persistence, Will } from '../../../src/ingest/session-store.ts';
import { LineLogger } from './broker-fixture.ts';

function noRefusal(): never {
  throw new Error('nothing is refused here');
}

describe('AckQueue', () => {
  it('answers in the order of arrival, however many wait at a time', () => {
    const queue = new AckQueue(noRefusal);
    const answered: number[] = [];
    const waiting: Array<[number: number, settle: Settle]> = [];
    for (let n = 0; n < 5_000; n++) {
      waiting.push([n, queue.add(() => answered.push(n))]);
      // Pairs are accepted the wrong way round, so the queue is never empty meanwhile.
      if (n % 2 === 0 || n < 2) continue;
      const [early, late] = waiting.splice(0, 2);
      late?.[1](undefined);
      early?.[1](undefined);
    }
    expect(queue.isWaiting).toBe(true);
    for (const [, settle] of waiting) settle(undefined);
    expect(answered).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
    expect(queue.isWaiting).toBe(false);
  });

  it('answers nothing after the first that was refused', () => {
    const told: string[] = [];
    const queue = new AckQueue((error) => told.push(error.message));
    const settles = ['a', 'b', 'c'].map((name) => queue.add(() => told.push(name)));
    settles[2]?.(undefined);
    settles[1]?.(new Error('b refused'));
    expect(queue.isRefusing).toBe(true);
    expect(told).toEqual([]);
    settles[0]?.(undefined);
    expect(told).toEqual(['a', 'b refused']);
  });
});

describe('OpenMessages', () => {
  it('leave an id alone that is another message’s by now', () => {
    const open = new OpenMessages();
    const first = open.open('c', 1);
    open.forget('c');
    const second = open.open('c', 1);
    open.ended('c', 1, first, new Error('not stored'));
    expect(open.find('c', 1)).toBe(second);
    open.ended('c', 1, second, new Error('not stored'));
    expect(open.find('c', 1)).toBeUndefined();
  });
});

describe('PublishGate', () => {
  const client = { id: 'c', version: 4, disconnect: () => {} };
  const packet = {
    cmd: 'publish',
    topic: 's/a',
    payload: Buffer.from('1'),
    qos: 2,
    retain: false,
    dup: false,
    messageId: 7,
  } as const;

  it('answers a QoS 2 message that starts over once the old note is out of the store', async () => {
    const open = new OpenMessages();
    open.open('c', 7).end(undefined);
    let dropped = () => {};
    const gate = new PublishGate({
      open,
      drop: () =>
        new Promise<void>((resolve) => {
          dropped = resolve;
        }),
      logger: new LineLogger(),
      accept: (_, settle) => {
        settle(undefined);
        return true;
      },
    });
    let isAnswered = false;
    gate.authorize(client, packet, () => {
      isAnswered = true;
    });
    await new Promise(setImmediate);
    expect(isAnswered).toBe(false);
    dropped();
    await new Promise(setImmediate);
    expect(isAnswered).toBe(true);
  });
});

describe('LeftWills', () => {
  const will: Will = {
    clientId: 'c',
    topic: 'gone/c',
    payload: Buffer.from('gone'),
    qos: 1,
    retain: false,
  };

  async function left(): Promise<LeftWills> {
    const persistence = {
      async *streamWill() {
        yield will;
      },
      getWill: async () => will,
      delWill: async () => undefined,
    };
    const wills = new LeftWills(persistence as unknown as Persistence, new LineLogger());
    await wills.load();
    return wills;
  }

  it('are published after the grace period', async () => {
    const published: string[] = [];
    const publish = async ({ topic }: Will) => void published.push(topic);
    await (await left()).publishAfter(0, new AbortController().signal, publish);
    expect(published).toEqual(['gone/c']);
  });

  it('stay for the next run when the broker stops meanwhile', async () => {
    const published: string[] = [];
    const stopping = new AbortController();
    const publish = async ({ topic }: Will) => void published.push(topic);
    const done = (await left()).publishAfter(60_000, stopping.signal, publish);
    stopping.abort();
    await done;
    expect(published).toEqual([]);
  });
});
