// The queue as a reader has it in hand: items in order, what she settled, where she is, how fast she goes.
// Nothing here knows of the screen or of the server.

export const PAGE = 100; // items asked for at a time
const PACE_MS = 10 * 60_000; // pace is over this much of the time before now
const PACE_LEAST = 3;
const STRIPS_KEPT = 400;

// Waves of a group's members, one after the other in a trace: [{wave, step}], where a step is that many samples of the strip.
const wavesIn = (trace, { each, step }) => Array.from({ length: Math.floor(trace.length / each) },
  (_, at) => ({ wave: trace.slice(at * each, (at + 1) * each), step }));

export class Queue {
  constructor() {
    this.items = []; // in order of position
    this.byKey = new Map();
    this.strips = new Map(); // hash → {header, frame, version}
    this.steps = new Map(); // key of an item → {decisions, words}: what settled it here
    this.at = null; // key of the item in hand
    this.last = null; // of the one settled before
    this.total = 0;
    this.left = 0;
    this.version = 0; // of total and left
    this.asked = 0; // answers of the server so far
    this.more = true; // the server may have items that are not here
    this.times = []; // when items were settled here
  }

  /** Take in what the server sent. Items keep their place; what is here already is only brought up to date. */
  merge(frame) {
    const { header } = frame;
    let fresh = 0;
    for (const item of header.items || []) {
      const known = this.byKey.get(item.key);
      if (item.waves) item.alike = wavesIn(frame.trace(item.waves), item.waves);
      if (known) {
        Object.assign(known, item, { position: known.position });
        // Settled here, and open again at the server: undone elsewhere, or in another tab.
        if (this.steps.get(item.key)?.kept <= header.version) this.steps.delete(item.key);
      } else {
        fresh += 1;
        this.byKey.set(item.key, item);
        this.items.push(item);
      }
    }
    if (fresh) this.items.sort((a, b) => a.position - b.position || (a.key < b.key ? -1 : 1));
    this.takeStrips(frame);
    this.forget();
    this.count(header.total, header.left, header.version);
    this.asked += 1;
    this.more = (header.items || []).length >= PAGE;
    if (!this.current) this.at = this.firstOpen()?.key ?? null;
    return fresh;
  }

  takeStrips(frame) {
    for (const [hash, strip] of Object.entries(frame.header.strips || {})) {
      this.strips.delete(hash);
      this.strips.set(hash, { header: strip, frame, version: frame.header.version });
    }
  }

  /** Items from an earlier visit that the server no longer gives us are gone: settled or taken by others meanwhile. */
  keepOnly(header) {
    const given = new Set((header.items || []).map((item) => item.key));
    const at = this.at;
    this.items = this.items.filter((item) => given.has(item.key) || this.settled(item.key));
    this.byKey = new Map(this.items.map((item) => [item.key, item]));
    // What was settled here, and stands open at the server again, was undone elsewhere; merge() has opened it.
    this.at = this.byKey.has(at) && !this.settled(at) ? at : this.firstOpen()?.key ?? null;
  }

  forget() {
    if (this.strips.size <= STRIPS_KEPT) return;
    const needed = new Set(this.items.filter((item) => !this.settled(item.key)).map((item) => item.strip));
    for (const hash of [...this.strips.keys()]) {
      if (this.strips.size <= STRIPS_KEPT) return;
      if (!needed.has(hash) && hash !== this.current?.strip) this.strips.delete(hash);
    }
  }

  /** Counts of a version; older ones than those known are passed over. */
  count(total, left, version) {
    if (!Number.isFinite(total) || version < this.version) return;
    Object.assign(this, { total, left, version });
  }

  get current() { return this.byKey.get(this.at) || null; }

  settled(key) { return this.steps.has(key); }

  /** Whether it is this tab's to answer still: open, or its answer is not in the store yet. */
  mine(key) { return !this.steps.has(key) || this.steps.get(key).kept === null; }

  open() { return this.items.filter((item) => !this.settled(item.key)); }

  firstOpen() { return this.items.find((item) => !this.settled(item.key)) || null; }

  /** The next open item after the one in hand, from the start again if need be; null if there is none. */
  next() {
    const place = this.items.findIndex((item) => item.key === this.at);
    const open = (item) => !this.settled(item.key) && item.key !== this.at;
    return this.items.slice(place + 1).find(open) || this.items.slice(0, Math.max(place, 0)).find(open) || null;
  }

  /** The item before the one in hand, settled or not. */
  before() {
    if (this.at === null) return this.byKey.get(this.last) || this.items.at(-1) || null;
    const place = this.items.findIndex((item) => item.key === this.at);
    return place > 0 ? this.items[place - 1] : null;
  }

  /** The item after the one in hand that `skip` leads to: the next open one, else simply the next. */
  after() {
    const place = this.items.findIndex((item) => item.key === this.at);
    return this.next() || this.items[place + 1] || null;
  }

  go(item) {
    if (item) this.at = item.key;
    return this.current;
  }

  /** Settle items, and go to the next open one. Returns it, or null where that was the last. */
  settle(keys, decisions, words, now = Date.now()) {
    const fresh = keys.filter((key) => !this.settled(key));
    for (const key of keys) this.steps.set(key, { decisions, words, kept: null });
    for (let n = 0; n < fresh.length; n += 1) this.times.push(now);
    const following = this.next();
    this.last = this.at;
    this.at = following?.key ?? null; // null: nothing is left here
    return following;
  }

  /** Settle what own decisions settle that the server did not know of when it sent the items: from before a reload, say. */
  said(decisions) {
    const undone = new Set(decisions.map((made) => made.undoes).filter(Boolean));
    let inHand = false;
    for (const made of decisions) {
      if (made.undoes || undone.has(made.id) || made.new === null) continue;
      for (const item of this.about(made)) {
        const settles = item.kind === "strip" ? ["label", "unsure"] : ["label", "noise", "refined", "unsure"];
        if (this.settled(item.key) || !settles.includes(made.field)) continue;
        this.steps.set(item.key, { decisions: [made], words: "", kept: made.kept });
        inHand ||= item.key === this.at;
      }
    }
    if (inHand) this.at = this.next()?.key ?? null;
  }

  /** The items that a decision speaks of: its target's and, where it is a verdict on a group, those of its beats. */
  about(made) {
    const item = this.byKey.get(made.target);
    const members = made.field === "unsure" ? null : made.payload?.members;
    return [...(item ? [item] : []), ...(members ? this.among(members) : [])];
  }

  /** Items of beats that are among some members: {strip hash: [anchor in ms]}. */
  among(members) {
    return this.items.filter((item) => item.kind === "beat"
      && members[item.strip]?.includes(Number(item.key.split(":")[2])));
  }

  /** Open again what some decisions settled. Returns the keys. */
  reopen(ids) {
    const undone = new Set(ids);
    const keys = [...this.steps].filter(([, step]) => step.decisions.some((made) => undone.has(made.id)))
      .map(([key]) => key);
    for (const key of keys) {
      this.steps.delete(key);
      this.times.pop();
    }
    return keys;
  }

  /** Note which version of the study has some decisions. */
  kept(ids, version) {
    const there = new Set(ids);
    for (const step of this.steps.values()) {
      if (step.kept === null && step.decisions.every((made) => there.has(made.id) || made.kept)) step.kept = version;
      for (const made of step.decisions) if (there.has(made.id)) made.kept = version;
    }
  }

  /** Drop items that another tab holds now, unless they are settled. Returns how many. */
  lost(held) {
    const mine = new Set(held);
    const gone = this.items.filter((item) => !mine.has(item.key) && !this.settled(item.key));
    if (!gone.length) return 0;
    const following = gone.some((item) => item.key === this.at) ? this.next() : null;
    for (const item of gone) this.byKey.delete(item.key);
    this.items = this.items.filter((item) => this.byKey.has(item.key));
    if (!this.current) this.at = (following && this.byKey.has(following.key) ? following : this.firstOpen())?.key ?? null;
    this.more = true;
    return gone.length;
  }

  /** Whether to ask for more: half of the last hundred is settled. */
  get hungry() {
    if (!this.asked) return true;
    if (!this.more) return false;
    const open = this.open().length;
    return open < PAGE / 2 && open < this.remaining();
  }

  /** Open items by the server's count and what was done here since: settled ones off, reopened ones on. */
  remaining() {
    let here = 0;
    for (const [key, step] of this.steps) {
      if (this.byKey.has(key) && (step.kept === null || step.kept > this.version)) here += 1;
    }
    return Math.max(this.left - here, this.open().length, 0);
  }

  progress(now = Date.now()) {
    const left = this.remaining();
    const total = Math.max(this.total, left);
    this.times = this.times.filter((time) => now - time < PACE_MS);
    const span = this.times.length ? Math.min(PACE_MS, now - this.times[0]) : 0;
    const pace = this.times.length >= PACE_LEAST && span > 5000 ? (this.times.length * 3_600_000) / span : null;
    return { left, total, settled: total - left, pace, minutes: pace ? (left / pace) * 60 : null };
  }

  /** Open items on the strip in hand with the same suggestion, the one in hand among them. */
  alike() {
    const item = this.current;
    if (!item || item.kind !== "beat" || item.suggestion === null) return item ? [item] : [];
    return this.items.filter((other) => other.key === item.key || (other.strip === item.strip
      && other.kind === item.kind && other.suggestion === item.suggestion && !this.settled(other.key)));
  }
}

/** The queue of one set of order and filters in this window: it outlives the page's visits. */
export const queueFor = (name) => {
  const all = (globalThis.ecgQueues ??= new Map());
  const known = all.get(name) || new Queue();
  all.delete(name);
  all.set(name, known);
  for (const old of [...all.keys()].slice(0, -4)) all.delete(old);
  return known;
};
