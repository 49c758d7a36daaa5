// Where items come from: hundreds at a time, the next asked for at half; what is in hand stays leased to this tab.
import { PAGE } from "./queue_state.js";

const AGAIN = 1500; // ms before the server is asked again where it did not answer
const RENEW = 40_000; // a lease runs for two minutes
const POLL = 10_000; // where all that is left is in other hands

export class Supply {
  /** `changed()` is called when something came in; `lost(count)` when others hold items that were here. */
  constructor({ changed, lost }) {
    Object.assign(this, { changed, lost, queue: null, busy: false, anew: false, known: () => {}, error: "", shapes: { run: "", list: [] }, old: new Map(), again: "" });
    this.beat = setInterval(() => this.renew(), RENEW);
    this.poll = setInterval(() => {
      if (!this.queue || this.queue.more || this.queue.open().length) return;
      this.queue.more = true;
      this.fetch();
    }, POLL);
    this.onHide = () => this.letGo();
    window.addEventListener("pagehide", this.onHide);
  }

  /** Serve another queue, anew: what it held before may be settled or in other hands by now. Resolves when that is known. */
  open(channel, ask, queue) {
    Object.assign(this, { channel, ask, queue, anew: true });
    this.fetchShapes(ask.run);
    return new Promise((known) => {
      this.known = known;
      this.fetch();
    });
  }

  /** What stays ours: open items, and those whose answers the server has not kept yet. */
  held() { return this.queue ? this.queue.items.filter((item) => this.queue.mine(item.key)).map((item) => item.key) : []; }

  async fetch() {
    const { queue, channel, ask, anew } = this;
    if (!queue || !(queue.hungry || anew) || this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    const have = this.held().filter((key) => !anew || queue.settled(key));
    const strips = anew ? [] : [...queue.strips.keys()];
    try {
      const tab = (this.tab = await channel.tab);
      const frame = await channel.fetchFrame("items",
        { queue: ask, tab, count: PAGE, have, strips });
      const first = !queue.asked;
      queue.merge(frame);
      if (anew) queue.keepOnly(frame.header);
      this.error = "";
      queue.said(channel.since(frame.header.version));
      if (queue === this.queue) {
        if (anew) this.anew = false;
        this.changed(first);
        this.known();
      }
    } catch (error) {
      this.error = error.message;
      if (queue === this.queue) this.changed(false);
      this.timer = setTimeout(() => this.fetch(), AGAIN);
    } finally {
      this.busy = false;
    }
    if (queue !== this.queue) this.fetch();
  }

  async renew() {
    const { queue, channel } = this;
    const have = this.held();
    if (!have.length || this.anew) return;
    try {
      const { held } = await channel.fetchJson("leases", { tab: await channel.tab, have });
      // Items that came in meanwhile were not asked about.
      const asked = new Set(have);
      const count = queue.lost([...held, ...this.held().filter((key) => !asked.has(key))]);
      if (count && queue === this.queue) this.lost(count);
    } catch { /* the next one may go through */ }
  }

  /** Strips that show a word on a group which is undone now: what held before on each of its beats only the server knows. */
  readAgain(step, undos) {
    step.forEach((made, at) => {
      if (!made.target.startsWith("group:") || !this.queue) return;
      const members = made.payload?.members || this.queue.byKey.get(made.target)?.members;
      if (!members) this.again = undos[at].id; // which strips it is about is not known here
      for (const hash of Object.keys(members || {})) {
        const entry = this.queue.strips.get(hash);
        const shows = entry && (!Number.isFinite(made.kept) || made.kept <= entry.version);
        if (shows) this.old.set(hash, undos[at].id);
      }
    });
  }

  /** Fetch what waited for these decisions to be kept. */
  async kept(ids) {
    const { queue, channel, ask } = this;
    const there = new Set(ids);
    if (there.has(this.again)) {
      Object.assign(this, { again: "", anew: true });
      this.fetch();
    }
    const hashes = [...this.old].filter(([, id]) => there.has(id)).map(([hash]) => hash);
    if (!queue || !hashes.length) return;
    hashes.forEach((hash) => this.old.delete(hash));
    const blind = new Set(queue.items.filter((item) => item.blind).map((item) => item.strip)); // these show own words alone
    const places = hashes.filter((hash) => !blind.has(hash)).map((hash) => queue.strips.get(hash)?.header.place).filter(Number.isFinite);
    for (let at = 0; at < places.length; at += PAGE) {
      try {
        const frame = await channel.fetchFrame("strips", { run: ask.run, strips: places.slice(at, at + PAGE) });
        queue.takeStrips(frame);
        if (queue === this.queue) this.changed(false);
      } catch { /* they come anew when the queue is opened again */ }
    }
  }

  // At once: a page that goes does not wait for anything.
  letGo() {
    if (this.channel && this.tab) this.channel.tell("leases", { tab: this.tab, have: [] });
  }

  async fetchShapes(run) {
    if (this.shapes.run === run) return;
    this.shapes = { run, list: [] };
    try {
      const frame = await this.channel.fetchFrame("shapes", { run });
      if (this.shapes.run !== run) return;
      this.shapes.list = frame.header.shapes.map((shape) => ({ ...shape, wave: frame.trace(shape.trace) }));
      this.changed(false);
    } catch {
      this.shapes.run = "";
      setTimeout(() => { if (this.queue) this.fetchShapes(this.ask.run); }, 4 * AGAIN);
    }
  }

  end() {
    clearInterval(this.beat);
    clearInterval(this.poll);
    clearTimeout(this.timer);
    window.removeEventListener("pagehide", this.onHide);
    this.letGo();
    this.queue = null;
  }
}
