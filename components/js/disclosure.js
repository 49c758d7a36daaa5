// Full disclosure: all strips of a patient at once, one click or Enter from reading one. Drawn on one canvas that is as
// large as what is seen of it: two hundred strips cost no more than the thirty that are on the screen.
import { openChannel } from "./channel.js";
import { listen } from "./typing.js";
import { isDark } from "./paper.js";
import { labelLook } from "./paper_marks.js";
import { TILE, drawBorder, drawTile, layoutOf, smallStrip, tileWords } from "./disclosure_tiles.js";

const CHUNK = 40; // strips in one message
const NEAR_MS = 200; // a click this near to an R-peak opens the strip at that beat
const GAINS = [5, 10, 20];
const MOST_COLUMNS = 6;
const MOST_DRAWN = 300; // tiles whose pictures are kept
const MOVES = ["Left", "Right", "Up", "Down", "Home", "End", "PageUp", "PageDown"];

const kept = (name) => { try { return JSON.parse(localStorage.getItem(`disclosure.${name}`)); } catch { return null; } };
const keep = (name, value) => { try { localStorage.setItem(`disclosure.${name}`, JSON.stringify(value)); } catch { /* full */ } };

class Disclosure {
  constructor(holder) {
    this.holder = holder;
    this.part = (name) => holder.querySelector(`.${name}`);
    [this.box, this.field, this.canvas] = ["box", "field", "canvas"].map(this.part);
    this.context = this.canvas.getContext("2d");
    this.strips = new Map(); // place → strip
    this.failed = new Set();
    this.under = new Set(); // places that were asked for
    this.gain = GAINS.includes(kept("gain")) ? kept("gain") : 10;
    this.size = Number.isInteger(kept("size")) ? kept("size") : 0; // columns more or fewer than the width suggests
    this.drawn = new Map(); // place → picture of its tile
    this.ends = [];
    this.tokens = 0;
    this.cursor = 0;
    this.hover = -1;
    this.seconds = 10;
    this.begin();
  }

  begin() {
    const hear = (target, name, fn, options) => {
      target.addEventListener(name, fn, options);
      this.ends.push(() => target.removeEventListener(name, fn, options));
    };
    hear(this.box, "scroll", () => this.soon());
    hear(this.canvas, "pointermove", (event) => this.point(this.at(event)));
    hear(this.canvas, "pointerleave", () => this.point(-1));
    hear(this.canvas, "click", (event) => this.click(event));
    hear(this.box, "keydown", (event) => this.typed(event));
    hear(this.box, "focus", () => this.soon());
    hear(this.box, "blur", () => this.soon());
    hear(this.part("retry"), "click", () => this.again());
    hear(this.part("fewer"), "click", () => this.resize(1));
    hear(this.part("more"), "click", () => this.resize(-1));
    for (const button of this.holder.querySelectorAll(".gain")) hear(button, "click", () => this.amplify(Number(button.value)));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    hear(dark, "change", () => setTimeout(() => this.soon(), 200));
    const watch = new ResizeObserver(() => this.arrange());
    watch.observe(this.box);
    this.ends.push(() => watch.disconnect());
    this.ends.push(listen({ keys: MOVES, held: MOVES, root: this.holder, on: (key) => { this.box.focus({ preventScroll: true }); this.move(key); } }));
  }

  end() {
    this.stopped = true;
    for (const end of this.ends.splice(0)) end();
    this.flight?.abort();
    cancelAnimationFrame(this.frame);
  }

  show(data, send) {
    this.send = send;
    const channel = openChannel(data.channel);
    if (channel !== this.channel) {
      this.channel = channel;
      this.off?.();
      this.off = channel.on("stale", () => { this.tokens += 1; this.send("token", this.tokens); });
      this.ends.push(() => this.off());
    }
    const other = !this.data || this.data.run !== data.run || this.data.group !== data.group;
    const newer = !other && this.data.version !== data.version;
    this.data = data;
    this.look = data.look;
    this.entries = data.strips.map(([place, number, label]) => ({ place, number, label }));
    if (other) {
      this.flight?.abort();
      this.under.clear();
      this.failed.clear();
      this.strips.clear();
    } else if (newer) {
      this.under.clear(); // what is there stays until the new comes
      this.failed.clear();
    }
    if (other || data.current !== this.current) {
      const at = this.entries.findIndex((entry) => entry.place === data.current);
      this.cursor = Math.max(0, at);
      this.arrange();
      this.reveal(this.cursor, other);
    }
    this.current = data.current;
    this.part("who").textContent = data.words;
    this.arrange();
    if (!this.greeted) this.greet();
    this.fetch();
  }

  /** Who has just chosen this view goes on with the arrows; a field that somebody types into keeps the focus. */
  greet() {
    this.greeted = true;
    const active = document.activeElement;
    const idle = !active || active === document.body || active.matches('[role="radio"],[data-testid^="stBaseButton"]');
    if (idle) this.box.focus({ preventScroll: true });
  }

  // Strips come in the order in which they are seen.

  async fetch() {
    if (this.fetching || this.stopped) return;
    this.fetching = true;
    try {
      for (let wanted = this.wanted(); wanted.length && !this.stopped; wanted = this.wanted()) await this.chunk(wanted);
    } finally { this.fetching = false; }
    this.tell();
  }

  wanted() {
    const [first, last] = this.seen();
    const missing = (from, to) => this.entries.slice(Math.max(0, from), to).map((entry) => entry.place)
      .filter((place) => !this.under.has(place));
    const near = missing(first, last);
    return (near.length ? near : missing(0, this.entries.length)).slice(0, CHUNK);
  }

  async chunk(places) {
    const { run, group, version } = this.data;
    for (const place of places) this.under.add(place);
    const flight = new AbortController();
    this.flight = flight;
    try {
      const frame = await this.channel.fetchFrame("strips", { run, strips: places, detail: "small" }, { signal: flight.signal });
      if (this.data.run !== run || this.data.group !== group) return;
      for (const strip of Object.values(frame.header.strips)) this.strips.set(strip.place, smallStrip(frame, strip));
      for (const place of places) {
        this.failed.delete(place);
        if (!this.strips.has(place)) this.failed.add(place);
      }
      const longest = Math.max(...[...this.strips.values()].map((strip) => ((strip.values.length >> 1) * strip.step) / 1000));
      if (this.strips.size && Math.abs(longest - this.seconds) > 0.1) { this.seconds = Math.max(1, longest); this.arrange(); }
    } catch (error) {
      if (flight.signal.aborted || this.data.run !== run || this.data.group !== group) return;
      for (const place of this.entries.map((entry) => entry.place)) {
        if (this.strips.has(place) && this.data.version === version) continue;
        this.under.add(place);
        this.failed.add(place);
      }
      this.trouble = error.message;
    }
    this.tell();
    this.soon();
  }

  again() {
    this.failed.clear();
    this.under.clear();
    this.trouble = "";
    this.tell();
    this.fetch();
  }

  // Where things lie.

  arrange() {
    if (!this.data || this.stopped) return;
    const width = this.box.clientWidth;
    if (!width) return;
    const usual = width >= 1450 ? 4 : width >= 1000 ? 3 : 2;
    this.usual = usual;
    const columns = Math.min(MOST_COLUMNS, Math.max(1, usual + this.size));
    const before = this.layout;
    this.layout = layoutOf({ width, columns, seconds: this.seconds, gain: this.gain, count: this.entries.length });
    this.field.style.height = `${this.layout.total}px`;
    if (before && (before.columns !== columns || before.height !== this.layout.height)) this.reveal(this.cursor, true);
    const scale = (100 * this.layout.perMillimetre) / (96 / 25.4);
    this.part("scale").textContent = `25 mm/s, ${this.gain} mm/mV${this.data.assumed ? " (gain assumed)" : ""}, at ${scale.toFixed(0)} %`;
    for (const button of this.holder.querySelectorAll(".gain")) button.setAttribute("aria-pressed", String(Number(button.value) === this.gain));
    this.part("fewer").disabled = columns >= MOST_COLUMNS;
    this.part("more").disabled = columns <= 1;
    this.soon();
    this.tell();
  }

  resize(step) {
    const columns = Math.min(MOST_COLUMNS, Math.max(1, this.usual + this.size)) + step;
    this.size = columns - this.usual;
    keep("size", this.size);
    this.arrange();
  }

  amplify(gain) {
    this.gain = gain;
    keep("gain", gain);
    this.arrange();
  }

  /** From and to which entry anything is seen. */
  seen() {
    const { layout, box } = this;
    if (!layout) return [0, CHUNK];
    const pitch = layout.height + TILE.GAP;
    const first = Math.floor(box.scrollTop / pitch) * layout.columns;
    const last = Math.ceil((box.scrollTop + box.clientHeight) / pitch) * layout.columns;
    return [Math.max(0, first), Math.min(this.entries.length, last)];
  }

  reveal(at, middle) {
    const { layout, box } = this;
    if (!layout) return;
    const top = layout.top(at);
    if (middle) box.scrollTop = top - Math.max(0, (box.clientHeight - layout.height) / 2);
    else if (top < box.scrollTop) box.scrollTop = top - TILE.GAP;
    else if (top + layout.height > box.scrollTop + box.clientHeight) box.scrollTop = top + layout.height - box.clientHeight + TILE.GAP;
  }

  at(event) {
    const { layout } = this;
    if (!layout) return -1;
    const area = this.canvas.getBoundingClientRect();
    const x = event.clientX - area.left;
    const y = event.clientY - area.top + this.box.scrollTop;
    const column = Math.floor(x / (layout.tile + TILE.GAP));
    const row = Math.floor(y / (layout.height + TILE.GAP));
    const at = row * layout.columns + column;
    if (column < 0 || column >= layout.columns || at >= this.entries.length) return -1;
    return x - layout.left(at) <= layout.tile && y - layout.top(at) <= layout.height ? at : -1;
  }

  // What the hand does.

  point(at) {
    if (at === this.hover) return;
    this.hover = at;
    this.canvas.style.cursor = at >= 0 ? "pointer" : "default";
    this.canvas.title = at >= 0 ? tileWords(this.entries[at], this.strips.get(this.entries[at].place), this.look) : "";
    this.soon();
  }

  click(event) {
    const at = this.at(event);
    if (at < 0) return;
    this.cursor = at;
    const strip = this.strips.get(this.entries[at].place);
    const x = event.clientX - this.canvas.getBoundingClientRect().left - this.layout.left(at) - TILE.PAD;
    const ms = (1000 * x) / this.layout.perSecond;
    const near = (strip ? strip.beats : []).filter((beat) => beat.id !== null && Math.abs(beat.time - ms) <= NEAR_MS)
      .sort((a, b) => Math.abs(a.time - ms) - Math.abs(b.time - ms))[0];
    this.open(at, near ? near.id : null);
  }

  open(at, beat = null) {
    this.soon();
    this.send("opened", { place: this.entries[at].place, beat });
  }

  typed(event) {
    if (event.key !== "Enter" || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.entries.length) this.open(this.cursor);
  }

  move(key) {
    const { columns, height } = this.layout;
    const page = Math.max(1, Math.floor(this.box.clientHeight / (height + TILE.GAP))) * columns;
    const last = this.entries.length - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page, Home: -last, End: last }[key];
    let at = this.cursor + step;
    if ((key === "ArrowUp" || key === "ArrowDown") && (at < 0 || at > last)) {
      // From a full row into the last one that is not: to its end.
      at = key === "ArrowDown" && Math.floor(last / columns) > Math.floor(this.cursor / columns) ? last : this.cursor;
    }
    this.cursor = Math.min(last, Math.max(0, at));
    this.reveal(this.cursor, false);
    const entry = this.entries[this.cursor];
    this.part("spoken").textContent = `${tileWords(entry, this.strips.get(entry.place), this.look)}. ${this.cursor + 1} of ${this.entries.length}`;
    this.soon();
  }

  // Drawing.

  tell() {
    if (!this.data) return;
    const there = this.entries.filter((entry) => this.strips.has(entry.place)).length;
    const lost = this.entries.filter((entry) => this.failed.has(entry.place)).length;
    const all = this.entries.length;
    let words = there < all ? `${there} of ${all} strips loaded` : "";
    if (lost) words = `${lost} of ${all} strips could not be loaded${this.trouble ? `. ${this.trouble}` : ""}`;
    this.part("state").textContent = words;
    this.part("retry").hidden = !lost;
  }

  inks() {
    const style = getComputedStyle(this.holder);
    const of = (name) => style.getPropertyValue(name).trim();
    const dark = isDark(this.holder);
    const ink = this.look.inks[dark ? "dark" : "light"];
    return {
      paper: ink.paper, grid: ink.small, second: ink.large, trace: ink.trace, text: of("--st-text-color") || ink.text,
      quiet: "#7d828a", accent: of("--st-primary-color"), border: of("--st-border-color") || "#7d828a55",
      noise: dark ? "rgba(160,166,174,0.22)" : "rgba(125,130,138,0.16)",
      hatch: dark ? "rgba(160,166,174,0.35)" : "rgba(125,130,138,0.30)",
    };
  }

  soon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
    this.fetch();
  }

  /** A tile as it was drawn before, or drawn now: scrolling only copies. */
  picture(entry, ink, dpr) {
    const { layout, drawn } = this;
    const strip = this.strips.get(entry.place);
    const failed = this.failed.has(entry.place);
    const known = drawn.get(entry.place);
    drawn.delete(entry.place); // the newest come last
    if (known && known.strip === strip && known.label === entry.label && known.failed === failed) {
      drawn.set(entry.place, known);
      return known.canvas;
    }
    const canvas = known ? known.canvas : document.createElement("canvas");
    canvas.width = Math.round(layout.tile * dpr);
    canvas.height = Math.round(layout.height * dpr);
    const context = canvas.getContext("2d");
    context.setTransform(canvas.width / layout.tile, 0, 0, canvas.height / layout.height, 0, 0);
    drawTile(context, entry, strip, this.look, layout, this.seconds, 0, 0, failed, ink);
    drawn.set(entry.place, { canvas, strip, failed, label: entry.label });
    if (drawn.size > MOST_DRAWN) drawn.delete(drawn.keys().next().value);
    return canvas;
  }

  draw() {
    const { layout, box, canvas, context } = this;
    if (!layout || this.stopped) return;
    const dpr = window.devicePixelRatio || 1;
    const [width, height] = [box.clientWidth, Math.min(box.clientHeight, layout.total)];
    if (canvas.width !== Math.round(width * dpr) || canvas.height !== Math.round(height * dpr)) {
      canvas.width = Math.round(width * dpr);
      canvas.height = Math.round(height * dpr);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.clearRect(0, 0, width, height);
    const ink = this.inks();
    const [first, last] = this.seen();
    const scrolled = Math.round(box.scrollTop * dpr) / dpr; // on whole pixels, so that nothing blurs
    const focused = this.holder.getRootNode().activeElement === box;
    const now = JSON.stringify([layout.tile, layout.height, this.seconds, this.gain, dpr, ink]);
    if (now !== this.drawnWith) this.drawn.clear(); // size or colours have changed
    this.drawnWith = now;
    for (let at = first; at < last; at += 1) {
      const entry = this.entries[at];
      const [left, top] = [layout.left(at), layout.top(at) - scrolled];
      context.drawImage(this.picture(entry, ink, dpr), left, top, layout.tile, layout.height);
      drawBorder(context, layout, left, top, { current: entry.place === this.current, cursor: at === this.cursor && focused, hover: at === this.hover }, ink);
    }
    this.box.setAttribute("aria-label", `Strips of ${this.data.words}; arrows move, Enter opens. Now: strip ${this.entries[this.cursor]?.number}, ${labelLook(this.look, this.entries[this.cursor]?.label).name}`);
  }
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const holder = parentElement.querySelector(".disclosure");
  holder.disclosure ??= new Disclosure(holder);
  holder.disclosure.show(data, setTriggerValue);
  return () => {
    holder.disclosure?.end();
    holder.disclosure = undefined;
  };
}
