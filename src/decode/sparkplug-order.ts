import type { PayloadValue } from '../base/reading.ts';
import type { SparkplugPayload } from './sparkplug-payload.ts';
import { type SparkplugTopic, sparkplugTopic } from './sparkplug-topic.ts';

/**
 * Every message of an edge node but its death has a `seq` that counts from 0 to 255 and round, and
 * each of its connections a `bdSeq` that does so too. So what is missing can be told.
 */

const ROUND = 256;
/** As far behind, it is one that came late, or again. */
const LATE_WITHIN = 16;
/** A connection so far ahead is one of a node that has begun to count afresh. */
const BIRTHS_WITHIN = 128;
/** Beyond it, the node that was heard of first is forgotten: its next message begins anew. */
export const MAX_NODES = 10_000;

/** What a message says of its place in the order. */
export interface Heard extends SparkplugTopic {
  readonly seq: number | undefined;
  readonly bdSeq: number | undefined;
}

/** Messages of an edge node that did not come. */
export interface SparkplugGap {
  readonly group: string;
  readonly node: string;
  /** What counts them: births by bdSeq, all other messages by seq. */
  readonly by: 'seq' | 'bdSeq';
  /** The first and the last number that is missing: the last is lower if they went round. */
  readonly from: number;
  readonly to: number;
  readonly missing: number;
  /** Of this node, since the gateway listens. */
  readonly missingInAll: number;
}

interface NodeState {
  /** The seq that comes next. */
  next: number | undefined;
  bdSeq: number | undefined;
  missing: number;
}

const after = (number: number, by = 1) => (number + by + ROUND) % ROUND;
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < ROUND;

/** Follows the edge nodes of a stream. Pure: it is told of each message as it is stored. */
export class SparkplugOrder {
  readonly #nodes = new Map<string, NodeState>();

  /** Small, to be kept until the message is stored; undefined: it has no place in the order. */
  heard(topic: string, value: PayloadValue): Heard | undefined {
    const about = sparkplugTopic(topic);
    if (about === undefined || about.type.endsWith('CMD')) return undefined;
    const { seq, metrics } = value as SparkplugPayload;
    const isOfConnection = about.type === 'NBIRTH' || about.type === 'NDEATH';
    const bdSeq = isOfConnection ? metrics.find(({ name }) => name === 'bdSeq')?.value : undefined;
    return {
      ...about,
      seq: isCount(seq) ? seq : undefined,
      bdSeq: isCount(bdSeq) ? bdSeq : undefined,
    };
  }

  /** The message is stored. Returns what is missing before it. */
  stored(heard: Heard): SparkplugGap | undefined {
    const state = this.#stateOf(heard);
    if (heard.type === 'NBIRTH') return this.#born(heard, state);
    if (heard.type === 'NDEATH') return this.#died(heard, state);
    const { seq } = heard;
    if (seq === undefined) return undefined;
    const { next = seq } = state;
    const ahead = after(seq, -next);
    if (ahead >= ROUND - LATE_WITHIN) return undefined;
    state.next = after(seq);
    return this.#gap(heard, 'seq', next, ahead);
  }

  #stateOf({ group, node }: Heard): NodeState {
    const key = `${group}/${node}`;
    let state = this.#nodes.get(key);
    if (state === undefined) {
      state = { next: undefined, bdSeq: undefined, missing: 0 };
      const [first] = this.#nodes.keys();
      if (this.#nodes.size >= MAX_NODES && first !== undefined) this.#nodes.delete(first);
      this.#nodes.set(key, state);
    }
    return state;
  }

  /** The seq begins again. A birth that is asked for is of the same connection. */
  #born(heard: Heard, state: NodeState): SparkplugGap | undefined {
    state.next = heard.seq === undefined ? undefined : after(heard.seq);
    const { bdSeq = state.bdSeq } = heard;
    const before = state.bdSeq;
    state.bdSeq = bdSeq;
    if (bdSeq === undefined || before === undefined) return undefined;
    const ahead = after(bdSeq, -before);
    const missing = ahead > 1 && ahead < BIRTHS_WITHIN ? ahead - 1 : 0;
    return this.#gap(heard, 'bdSeq', after(before), missing);
  }

  /** A new connection begins with a birth, whose seq is 0. */
  #died(heard: Heard, state: NodeState): SparkplugGap | undefined {
    const { bdSeq } = heard;
    const before = state.bdSeq;
    if (bdSeq === undefined || before === undefined) {
      state.bdSeq = bdSeq;
      return undefined;
    }
    const ahead = after(bdSeq, -before);
    // The will of a connection before this one: it comes when the broker notices.
    if (ahead >= BIRTHS_WITHIN) return undefined;
    state.bdSeq = bdSeq;
    state.next = 0;
    return this.#gap(heard, 'bdSeq', after(before), ahead);
  }

  #gap(heard: Heard, by: 'seq' | 'bdSeq', from: number, missing: number): SparkplugGap | undefined {
    if (missing === 0) return undefined;
    const { group, node } = heard;
    const state = this.#stateOf(heard);
    state.missing += missing;
    const to = after(from, missing - 1);
    return { group, node, by, from, to, missing, missingInAll: state.missing };
  }
}
