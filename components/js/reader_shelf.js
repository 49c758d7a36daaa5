// The strips at hand: fetched by place in frames, neighbours ahead of time, so that the next one is there before its key.
import { stripOf } from "./paper.js";
import { withDecisions } from "./reader_state.js";

const AHEAD = 20;
const BACK = 5;
const KEPT = 160; // strips in memory: 160 of 10 s are about 5 MB
const PATIENCE = 1200; // ms between tries where the server does not answer

export class Shelf {
  constructor(channel, look, changed) {
    Object.assign(this, { channel, look, changed, run: "", places: [] });
    this.strips = new Map(); // place → {version, frame, header, strip} as the server sent it
    this.said = new Map(); // place → {base, mark, strip}: own decisions laid over it already
    this.asked = new Set();
    this.lost = new Map(); // target → beat whose R-peak was deleted here, for an undo
    this.trouble = "";
  }

  open(run, places) {
    if (run !== this.run) {
      this.strips.clear();
      this.said.clear();
      this.run = run;
    }
    this.places = places;
  }

  /** The strip of a place as it is now, or null while it is on its way. */
  now(place) {
    const base = this.strips.get(place);
    if (!base) return null;
    const mine = this.channel.since(base.version);
    const mark = mine.length ? mine[mine.length - 1].id + mine.length : "";
    const known = this.said.get(place);
    if (known && known.base === base && known.mark === mark) return known.strip;
    base.strip ??= stripOf(base.frame, base.header); // only now: twenty at once would hold up a key
    base.frame = null;
    const strip = withDecisions(base.strip, mine, this.look, this.lost);
    this.said.set(place, { base, mark, strip });
    return strip;
  }

  has(place) { return this.strips.has(place); }

  /** Ask again for a strip that is older than what the store has by now: when the hand rests, not at each key. */
  refresh(place) {
    const base = this.strips.get(place);
    if (base && base.version < this.channel.version && !this.asked.has(place)) this.fetch([place]);
  }

  /** Fetch what is missing around a place of the list; the one in hand first. */
  async around(place) {
    const at = this.places.indexOf(place);
    const before = this.places.slice(Math.max(0, at - BACK), Math.max(0, at));
    const beside = at < 0 ? [] : [...this.places.slice(at + 1, at + 1 + AHEAD), ...before];
    if (!this.strips.has(place) && !this.asked.has(place)) await this.fetch([place]);
    const missing = beside.filter((one) => !this.strips.has(one) && !this.asked.has(one));
    // Few at a time, and not for each step: half of what is kept ahead must be gone first.
    const near = this.places.slice(at + 1, at + 1 + AHEAD / 2).some((one) => !this.strips.has(one));
    if (missing.length && (near || missing.length > AHEAD / 2)) await this.fetch(missing);
  }

  async fetch(places) {
    const { run } = this;
    places.forEach((one) => this.asked.add(one));
    try {
      const frame = await this.channel.fetchFrame("strips", { run, strips: places, detail: "full" });
      if (run !== this.run) return;
      const version = frame.header.version ?? 0;
      for (const header of Object.values(frame.header.strips)) {
        const before = this.strips.get(header.place);
        if (before && before.version > version) continue;
        this.strips.delete(header.place);
        this.strips.set(header.place, { version, frame, header });
      }
      this.forget(places);
      this.trouble = "";
      this.changed(places);
    } catch (error) {
      if (run !== this.run) return;
      this.trouble = error.message;
      this.changed(places);
      clearTimeout(this.again);
      this.again = setTimeout(() => this.changed([]), PATIENCE);
    } finally {
      places.forEach((one) => this.asked.delete(one));
    }
  }

  forget(fresh) {
    for (const place of this.strips.keys()) {
      if (this.strips.size <= KEPT) return;
      if (fresh.includes(place)) continue;
      this.strips.delete(place);
      this.said.delete(place);
    }
  }
}
