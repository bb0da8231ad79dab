import { describe, expect, it } from 'vitest';
import { MAX_NODES, SparkplugOrder } from '../../../src/decode/sparkplug-order.ts';

function metricsOf(bdSeq: number | undefined) {
  return bdSeq === undefined ? [] : [{ name: 'bdSeq', value: bdSeq }];
}

/** Tells of messages, and answers what is missing before each. */
class Node {
  readonly #order: SparkplugOrder;
  readonly #name: string;

  constructor(order = new SparkplugOrder(), name = 'edge') {
    this.#order = order;
    this.#name = name;
  }

  say(type: string, seq?: number, bdSeq?: number) {
    const device = type.startsWith('D') ? '/pump' : '';
    const value = { ...(seq === undefined ? {} : { seq }), metrics: metricsOf(bdSeq) };
    const heard = this.#order.heard(`spBv1.0/plant/${type}/${this.#name}${device}`, value);
    return heard === undefined ? 'not heard' : this.#order.stored(heard);
  }
}

type Count = number;
function gap(...[by, from, to, missing, inAll]: [string, Count, Count, Count, Count?]) {
  const missingInAll = inAll ?? missing;
  return { group: 'plant', node: 'edge', by, from, to, missing, missingInAll };
}

describe('the order of an edge node', () => {
  it('has no gap while numbers go up, round and begin again at a birth', () => {
    const node = new Node();
    const seqs = Array.from({ length: 600 }, (_, i) => (i + 1) % 256);
    expect(node.say('NBIRTH', 0, 4)).toBeUndefined();
    expect(node.say('DBIRTH', 1)).toBeUndefined();
    for (const seq of seqs.slice(1)) expect(node.say('DDATA', seq), String(seq)).toBeUndefined();
    expect(node.say('NBIRTH', 0, 4)).toBeUndefined();
    expect(node.say('NDATA', 1)).toBeUndefined();
    expect(node.say('NDEATH', undefined, 4)).toBeUndefined();
    expect(node.say('NBIRTH', 0, 5)).toBeUndefined();
    expect(node.say('NDATA', 1)).toBeUndefined();
  });

  it('names and counts what is missing, of all its devices together', () => {
    const node = new Node();
    node.say('NBIRTH', 0, 4);
    expect(node.say('NDATA', 2)).toEqual(gap('seq', 1, 1, 1));
    expect(node.say('DDATA', 6)).toEqual(gap('seq', 3, 5, 3, 4));
    expect(node.say('DDATA', 240)).toEqual(gap('seq', 7, 239, 233, 237));
  });

  it('goes round', () => {
    const node = new Node();
    node.say('NDATA', 254);
    expect(node.say('NDATA', 1)).toEqual(gap('seq', 255, 0, 2));
  });

  it('begins where it is first heard of', () => {
    expect(new Node().say('NDATA', 77)).toBeUndefined();
    expect(new Node().say('NBIRTH', 0, 9)).toBeUndefined();
    expect(new Node().say('NDEATH', undefined, 9)).toBeUndefined();
  });

  it('takes one that is a little behind for late, and goes on', () => {
    const node = new Node();
    node.say('NBIRTH', 0, 0);
    expect(node.say('NDATA', 2)).toMatchObject({ missing: 1 });
    expect(node.say('NDATA', 1)).toBeUndefined();
    expect(node.say('NDATA', 2)).toBeUndefined();
    expect(node.say('NDATA', 3)).toBeUndefined();
    expect(node.say('NDATA', 4)).toBeUndefined();
  });

  it('misses births by their bdSeq', () => {
    const node = new Node();
    node.say('NBIRTH', 0, 254);
    expect(node.say('NBIRTH', 0, 1)).toEqual(gap('bdSeq', 255, 0, 2));
    // A death of a connection whose birth never came.
    expect(node.say('NDEATH', undefined, 3)).toEqual(gap('bdSeq', 2, 3, 2, 4));
    // A will that is late is about nothing that goes on.
    node.say('NBIRTH', 0, 4);
    node.say('NDATA', 1);
    expect(node.say('NDEATH', undefined, 3)).toBeUndefined();
    expect(node.say('NDATA', 2)).toBeUndefined();
    // The node counts afresh.
    expect(node.say('NBIRTH', 0, 0)).toBeUndefined();
  });

  it('misses the birth after a death, and what came between', () => {
    const node = new Node();
    node.say('NBIRTH', 0, 0);
    node.say('NDATA', 1);
    node.say('NDEATH', undefined, 0);
    expect(node.say('NDATA', 2)).toEqual(gap('seq', 0, 1, 2));
  });

  it('is each node’s own, and says nothing of commands and other topics', () => {
    const order = new SparkplugOrder();
    const [a, b] = [new Node(order, 'edge'), new Node(order, 'other')];
    a.say('NDATA', 1);
    b.say('NDATA', 7);
    expect([a.say('NDATA', 2), b.say('NDATA', 8)]).toEqual([undefined, undefined]);
    expect([a.say('NCMD', 9), a.say('DCMD', 9)]).toEqual(['not heard', 'not heard']);
    expect(order.heard('sensors/edge', { metrics: [] })).toBeUndefined();
    // Numbers that are none of its kind.
    expect([a.say('NDATA'), a.say('NDATA', 256), a.say('NDATA', 1.5)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(a.say('NDATA', 3)).toBeUndefined();
  });

  it('is followed for a limited number of nodes', () => {
    const order = new SparkplugOrder();
    const first = new Node(order, 'edge');
    first.say('NDATA', 1);
    for (let i = 0; i < MAX_NODES; i++) new Node(order, `n${i}`).say('NDATA', 1);
    expect(first.say('NDATA', 9)).toBeUndefined();
    expect(first.say('NDATA', 11)).toMatchObject({ missing: 1 });
  });
});
