/**
 * What falls due next: a binary heap, so that of 50,000 timers only those that are due cost
 * anything. Nothing is ever taken out of its middle; whoever pops asks whether it still holds.
 */
export class Deadlines<T> {
  readonly #heap: Array<{ readonly atMs: number; readonly item: T }> = [];

  get size(): number {
    return this.#heap.length;
  }

  add(atMs: number, item: T): void {
    const heap = this.#heap;
    const entry = { atMs, item };
    heap.push(entry);
    let at = heap.length - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.atMs <= atMs) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  /** Takes out what was due first, if it was due by then. */
  pop(untilMs: number): { readonly atMs: number; readonly item: T } | undefined {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.atMs > untilMs) return undefined;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(entry: { readonly atMs: number; readonly item: T }): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = heap[below];
      const other = heap[below + 1];
      if (child !== undefined && other !== undefined && other.atMs < child.atMs) {
        below += 1;
        child = other;
      }
      if (child === undefined || child.atMs >= entry.atMs) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = entry;
  }
}
