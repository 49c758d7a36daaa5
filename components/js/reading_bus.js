// What the strip reader tells the other components of the page: the strip and the beat in hand, as they are this moment.
export const readingBus = () => (globalThis.ecgReading ??= {
  now: null,
  listeners: new Set(),
  tell(now) {
    this.now = now;
    for (const fn of this.listeners) fn(now);
  },
  on(fn) {
    this.listeners.add(fn);
    if (this.now) fn(this.now);
    return () => this.listeners.delete(fn);
  },
});
