import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import { FolderView } from '../../../src/log/folder-view.ts';
import { BLOCK_DATA, encodeBlock, plainBody } from '../../../src/log/format.ts';
import { StreamCursor } from '../../../src/log/log-reader.ts';
import { BodyWriter } from '../../../src/log/record-codec.ts';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles, NO_POWER } from '../../support/fake-files.ts';
import {
  append,
  FOLDER,
  openTestJournal,
  readAll,
  reading,
  textOf,
} from '../../support/journals.ts';

const FOUR_KB = 'x'.repeat(4_000);

describe('a journal', () => {
  it('gives dense offsets per partition and reads back what was appended', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    const offsets = await Promise.all([
      append(journal, 0, reading('a', '1', { messageId: { kind: 'id', text: 'x' } })),
      append(journal, 1, reading('b', '2', { deviceTimeMs: 1_700_000_000_123 })),
      append(journal, 0, reading('a', '3')),
    ]);
    expect(offsets).toEqual([0, 0, 1]);
    const records = await readAll(files, journal);
    expect(records.map((r) => [r.partition, r.offset, r.device, textOf(r)])).toEqual([
      [0, 0, 'a', '1'],
      [1, 0, 'b', '2'],
      [0, 1, 'a', '3'],
    ]);
    expect(records[0]?.messageId).toEqual({ kind: 'id', text: 'x' });
    expect(records[1]?.deviceTimeMs).toBe(1_700_000_000_123);
    await journal.close();
  });

  it('goes on where it was after a restart, over many segments', async () => {
    const files = new FakeFiles();
    for (let life = 0; life < 4; life++) {
      const journal = await openTestJournal(files);
      for (let i = 0; i < 20; i++) {
        await append(journal, i % 2, reading('d', `${life}-${i}-${'x'.repeat(3_000)}`));
      }
      await journal.close();
    }
    const view = await FolderView.open(files, FOLDER);
    expect(view.segments().length).toBeGreaterThan(3);
    const records = await readAll(files, view);
    expect(records).toHaveLength(80);
    for (const p of [0, 1]) {
      const own = records.filter((r) => r.partition === p).map((r) => r.offset);
      expect(own).toEqual(Array.from({ length: 40 }, (_, i) => i));
    }
    const tail = await readAll(files, view, 'readings', [35, 38]);
    expect(tail.map((r) => [r.partition, r.offset])).toEqual(
      records
        .slice(70)
        .filter((r) => r.partition === 0 || r.offset >= 38)
        .map((r) => [r.partition, r.offset]),
    );
    expect(await verifyStore(files, FOLDER)).toMatchObject({
      records: 80,
      corruptBlocks: 0,
      lostOffsets: 0,
      tornBytes: 0,
    });
  });

  it('drops a torn tail and keeps all that was acknowledged', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    await append(journal, 0, reading('a', 'durable'));
    files.stopAt('sync');
    await expect(append(journal, 0, reading('a', 'y'.repeat(9_000)))).rejects.toThrow(
      'LOG_NOT_DURABLE',
    );
    files.fault = () => undefined;
    // Half of the sectors of the commit that failed reached the flash.
    files.powerCut((_, sector) => sector % 2 === 0);
    const again = await openTestJournal(files);
    expect((await readAll(files, again)).map(textOf)).toEqual(['durable']);
    expect(again.status().tornBytes).toBeGreaterThan(0);
    expect(await append(again, 0, reading('a', 'next'))).toBe(1);
    expect((await readAll(files, again)).map(textOf)).toEqual(['durable', 'next']);
    await again.close();
  });

  it('never acknowledges what a failed sync left, and offers its offsets again', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    await append(journal, 0, reading('a', 'first'));
    let failures = 2;
    files.fault = (operation) => (operation === 'sync' && failures-- > 0 ? 'EIO' : undefined);
    await expect(append(journal, 0, reading('a', 'ghost'))).rejects.toThrow('LOG_NOT_DURABLE');
    expect(journal.status()).toMatchObject({ state: 'stopped' });
    await expect(append(journal, 0, reading('a', 'refused'))).rejects.toThrow('EIO');
    await expect.poll(() => journal.status().state, { timeout: 3_000 }).toBe('durable');
    // What was written, what was not, and the try that went well.
    await expect.poll(() => journal.status()).toMatchObject({ attempts: 3, isCommitting: false });
    expect(await append(journal, 0, reading('a', 'second'))).toBe(1);
    expect((await readAll(files, journal)).map(textOf)).toEqual(['first', 'second']);
    await journal.close();
    const again = await openTestJournal(files);
    expect((await readAll(files, again)).map(textOf)).toEqual(['first', 'second']);
    expect(await verifyStore(files, FOLDER)).toMatchObject({ records: 2, lostOffsets: 0 });
    await again.close();
  });

  it('writes a batch once more, to a new segment, when one write fails', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    await append(journal, 0, reading('a', 'first'));
    let failures = 1;
    files.fault = (operation) => (operation === 'sync' && failures-- > 0 ? 'EIO' : undefined);
    expect(await append(journal, 0, reading('a', 'second'))).toBe(1);
    expect(journal.segments()).toHaveLength(2);
    expect((await readAll(files, journal)).map(textOf)).toEqual(['first', 'second']);
    await journal.close();
  });

  it('steps over a damaged block and names the offsets that are lost', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    for (let i = 0; i < 5; i++) await append(journal, 0, reading('a', `r${i}`));
    await journal.close();
    const path = `${FOLDER}/0000000000000001.segment`;
    const bytes = files.bytes(path);
    const at = Buffer.from(bytes).indexOf('r2');
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const again = await openTestJournal(files);
    expect((await readAll(files, again)).map(textOf)).toEqual(['r0', 'r1', 'r3', 'r4']);
    const lost = [{ stream: 'readings', partition: 0, offset: 2, count: 1 }];
    expect(again.status()).toMatchObject({ corruptBlocks: 1, lost });
    expect(await verifyStore(files, FOLDER)).toMatchObject({
      corruptBlocks: 1,
      lostOffsets: 1,
      lost,
    });
    expect(await append(again, 0, reading('a', 'r5'))).toBe(5);
    await again.close();
  });

  it('does not take bytes that a client sent for a block', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files, { compression: 'none' });
    await append(journal, 0, reading('a', 'honest'));
    // All of it right but the salt, which nobody outside knows.
    const body = new BodyWriter(100);
    body.add(reading('a', 'forged'), 0, 0);
    const runs = [{ stream: 1, partition: 0, records: 1, firstOffset: 1 }];
    const moment = { boot: new Uint8Array(8), monoMs: 0, wallMs: 0, runMs: 0 };
    const place = {
      kind: BLOCK_DATA,
      sequence: 1,
      number: 2,
      records: 1,
      moment,
      runs,
      before: [],
    };
    const forged = encodeBlock({ ...place, body: plainBody(body.bytes()) }, new Uint8Array(8));
    // The block begins at page 2 of the file; of its first page this much is not the payload's.
    const before = 112 + 19;
    const payload = Buffer.concat([Buffer.alloc(4096 - before, 'x'), forged]);
    files.stopAt('sync');
    const sent = append(journal, 0, { ...reading('a', ''), payload });
    await expect(sent).rejects.toThrow('LOG_NOT_DURABLE');
    files.fault = () => undefined;
    const file = Buffer.from(files.bytes(`${FOLDER}/0000000000000001.segment`));
    expect(file.indexOf('HGBK', 2 * 4096 + 1)).toBe(3 * 4096);
    // All of it reaches the flash but the sector with the header of the block.
    files.powerCut((_, sector) => sector !== 16);
    const again = await openTestJournal(files);
    expect((await readAll(files, again)).map(textOf)).toEqual(['honest']);
    // What is left of it says nothing: it may be of an earlier life of the file.
    expect(again.status().tornBytes).toBe(0);
    await again.close();
  });

  it('tells the others when one who is told throws', async () => {
    const files = new FakeFiles();
    const errors: string[] = [];
    const logger = {
      ...silentLogger,
      error: (_: unknown, message: string) => errors.push(message),
    };
    const journal = await openTestJournal(files, { logger });
    journal.onCommit(() => {
      throw new Error('a defect of a listener');
    });
    const stream = journal.stream('readings');
    journal.append(stream, 0, reading('a', '1'), () => {
      throw new Error('a defect of a sender');
    });
    expect(await append(journal, 0, reading('a', '2'))).toBe(1);
    expect(await append(journal, 0, reading('a', '3'))).toBe(2);
    expect(errors.filter((one) => one.includes('told'))).toHaveLength(3);
    await journal.close();
  });

  it('takes off what a commit that failed has left, so that smaller ones find room', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files, { segmentBytes: 1024 * 1024 });
    files.capacityBytes = 200 * 1024;
    files.partialWrites = true;
    const large = append(journal, 0, reading('a', 'x'.repeat(300_000)));
    await expect(large).rejects.toThrow('LOG_NOT_DURABLE');
    await expect.poll(() => journal.status().state, { timeout: 3_000 }).toBe('durable');
    expect(await append(journal, 0, reading('a', 'small'))).toBe(0);
    await journal.close();
  });

  it('refuses all that waits when a batch cannot be written, and gives the room back', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files, { maxPendingBytes: 200_000 });
    files.fault = (operation) => (operation === 'write' ? 'EIO' : undefined);
    // Two of them fill half a segment: the others wait in batches of their own. The flash is well
    // again once the first is refused, but what comes after it must not get in before it.
    const all = Array.from({ length: 7 }, () =>
      append(journal, 0, reading('a', 'x'.repeat(12_000))).finally(() => {
        files.fault = () => undefined;
      }),
    );
    const ended = await Promise.allSettled(all);
    for (const one of ended) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'LOG_NOT_DURABLE' } });
    }
    expect(journal.status()).toMatchObject({ state: 'stopped', pendingBytes: 0 });
    await expect.poll(() => journal.status().state, { timeout: 3_000 }).toBe('durable');
    expect(await append(journal, 0, reading('a', 'y'))).toBe(0);
    await journal.close();
  });

  it('shows readers nothing before it is committed', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    await append(journal, 0, reading('a', 'first'));
    const [active] = journal.segments();
    const end = journal.endOf(active?.sequence ?? -1);
    expect(end).toBeGreaterThan(0);
    // As a reader sees it in the moment between the next write and its sync.
    const then = {
      look: async () => {},
      segments: () => journal.segments(),
      endOf: () => end,
      indexOf: () => undefined,
    };
    await append(journal, 0, reading('a', 'second'));
    expect((await readAll(files, then)).map(textOf)).toEqual(['first']);
    expect((await readAll(files, journal)).map(textOf)).toEqual(['first', 'second']);
    await journal.close();
  });

  it('does not linger with a batch that is large enough', async () => {
    const journal = await openTestJournal(new FakeFiles(), {
      lingerMs: 3_600_000,
      segmentBytes: 1024 * 1024,
    });
    const large = Array.from({ length: 13 }, () => append(journal, 0, reading('a', FOUR_KB)));
    expect(await Promise.all(large)).toHaveLength(13);
    expect(journal.status().commits).toBeLessThan(3);
    const small = append(journal, 0, reading('a', 'x'));
    await journal.close();
    expect(await small).toBe(13);
  });

  it('makes what it finds durable before anybody relies on it', async () => {
    const files = new FakeFiles();
    const life = files.live();
    const journal = await openTestJournal(life.files);
    await append(journal, 0, reading('a', 'r0'));
    // The sync fails, so the kernel takes the page for clean; then the process is killed.
    let hasFailed = false;
    files.fault = (operation) => {
      if (hasFailed) return NO_POWER;
      hasFailed = operation === 'sync';
      return hasFailed ? 'EIO' : undefined;
    };
    const sent = append(journal, 0, reading('a', 'r1')).catch(() => 'refused');
    await expect.poll(() => hasFailed).toBe(true);
    life.kill();
    files.fault = () => undefined;
    await sent;
    // A start finds it, and would acknowledge a repeat of it.
    const again = await openTestJournal(files);
    const found = (await readAll(files, again)).map(textOf);
    expect(found).toEqual(['r0', 'r1']);
    files.powerCut(() => false);
    const last = await openTestJournal(files);
    expect((await readAll(files, last)).map(textOf)).toEqual(found);
    await last.close();
  });

  it('finds an offset by the index, without reading what is before it', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files, { segmentBytes: 1024 * 1024 });
    for (let i = 0; i < 480; i++) await append(journal, i % 2, reading('a', FOUR_KB));
    const sealed = journal.segments().slice(0, -1);
    expect(sealed.length).toBeGreaterThan(1);
    const folder = await FolderView.open(files, FOLDER);
    for (const [view, offset] of [
      [folder, 120],
      [journal, 185],
      [journal, 238],
    ] as const) {
      files.bytesRead = 0;
      const cursor = new StreamCursor({ files, view, stream: 'readings', from: [offset, offset] });
      const [record] = (await cursor.next()) ?? [];
      expect(record?.offset).toBe(offset);
      expect(files.bytesRead).toBeLessThan(600 * 1024);
      await cursor.close();
    }
    await journal.close();
  });

  it('starts again where the highest segment never became whole', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    await append(journal, 0, reading('a', 'kept'));
    await journal.close();
    const handle = await files.open(`${FOLDER}/0000000000000002.segment`, 'write');
    await handle.write(new Uint8Array(100), 0);
    const again = await openTestJournal(files);
    expect(await append(again, 0, reading('a', 'next'))).toBe(1);
    expect((await readAll(files, again)).map(textOf)).toEqual(['kept', 'next']);
    await again.close();
  });

  it('reads on when the header of a segment is damaged', async () => {
    const files = new FakeFiles();
    const journal = await openTestJournal(files);
    for (let i = 0; i < 60; i++)
      await append(journal, 0, reading('a', `${i} ${'x'.repeat(3_000)}`));
    await journal.close();
    for (const number of ['2', '4']) {
      files.bytes(`${FOLDER}/000000000000000${number}.segment`).fill(7, 0, 64);
    }
    const again = await openTestJournal(files);
    const offsets = (await readAll(files, again)).map((r) => r.offset);
    expect(offsets).toEqual(Array.from({ length: 60 }, (_, i) => i));
    expect(await append(again, 0, reading('a', 'on'))).toBe(60);
    await again.close();
  });
});
