// Keys in the order in which they were typed. They wait where they would be about another strip than the one meant:
// after a click in the list until Python has said which strip it is, and for a strip that is on its way.
const ANSWER_MS = 1500; // that keys wait for Python at most; then they are about the strip on the screen
const ARRIVES_MS = 20_000; // and for a strip; then they are given up, and it is told

export class KeyLine {
  /** `here()`: the strip in hand is on the screen; `act(key, event)`; `free`: keys that need no strip; `say(text)`. */
  constructor({ here, act, free, say }) {
    Object.assign(this, { here, act, free: new Set(free), say, waiting: null, known: true, timer: 0 });
  }

  take(key, { shiftKey }) {
    if (!this.waiting && !this.free.has(key) && !this.here()) this.hold(ARRIVES_MS, true);
    if (this.waiting) this.waiting.push([key, { shiftKey }]);
    else this.act(key, { shiftKey });
  }

  /** Keep keys back; `known`: which strip they are about is known, it is only not here yet. */
  hold(ms = ANSWER_MS, known = false) {
    this.waiting ??= [];
    this.known = known;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.here() ? this.release() : this.giveUp()), ms);
  }

  /** Python has said which strip it is. */
  answered() {
    this.known = true;
    if (this.waiting) this.hold(ARRIVES_MS, true);
    this.go();
  }

  /** Something has changed: go on if the strip is here. */
  go() {
    if (this.waiting && this.known && this.here()) this.release();
  }

  release() {
    const { waiting } = this;
    this.end();
    waiting.forEach(([key, event]) => this.take(key, event));
  }

  giveUp() {
    const count = this.waiting.length;
    this.end();
    if (count) this.say(`The strip did not arrive: ${count === 1 ? "a key was" : `${count} keys were`} not used.`);
  }

  end() {
    clearTimeout(this.timer);
    this.waiting = null;
    this.known = true;
  }
}
