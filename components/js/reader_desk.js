// Where the reader is and what she decides: the strip and the beat in hand, labels, noise, seeds, notes and R-peaks.
// Each decision goes to the channel at once; the screen is drawn from what is here, in the same frame.
import { labelLook } from "./paper_marks.js";
import { SAME_BEAT_MS, missedAfter, msOf, nearest, targetOf } from "./reader_state.js";

const NOISE = -1;
const UNLABELLED = -999;
const NUDGE_MS = 400; // steps of a sample at a time are one decision when the hand rests that long

export class Desk {
  /**
   * `on`: {changed(), say(text), undoElsewhere(), settings() → {scope, moveOn},
   * known() → {mine: ids of the reader's decisions that hold, version: of the store that they are of}}.
   */
  constructor(channel, look, shelf, on) {
    Object.assign(this, { channel, look, shelf, on, place: -1, anchor: null, listed: 0, nudge: null, placeOf: new Map() });
  }

  /** The strip in hand with all that is decided, null while it is on its way. */
  strip() {
    const strip = this.shelf.now(this.place);
    if (!strip) return null;
    this.placeOf.set(strip.hash, this.place);
    if (!this.nudge) return strip;
    const { anchor, time } = this.nudge;
    return { ...strip, beats: strip.beats.map((beat) => (beat.anchor === anchor ? { ...beat, time, peak: "moved" } : beat)) };
  }

  /** Place of the beat in hand within the strip, -1 if it has none. */
  at(strip = this.strip()) {
    if (!strip || !strip.beats.length) return -1;
    if (this.anchor === null) return 0;
    const found = strip.beats.findIndex((beat) => beat.anchor === this.anchor);
    return found >= 0 ? found : nearest(strip, this.anchor);
  }

  beat() {
    const strip = this.strip();
    return strip?.beats[this.at(strip)] ?? null;
  }

  // Moving.

  go(place, anchor = null) {
    this.settle();
    const at = this.shelf.places.indexOf(place);
    if (at >= 0) this.listed = at;
    this.place = place;
    this.anchor = anchor;
    this.on.changed();
  }

  /** The place before (-1) or after (1) in the list; a strip that has left the list still has its place there. */
  beside(step) {
    const { places } = this.shelf;
    const at = places.indexOf(this.place);
    return places[at >= 0 ? at + step : this.listed + Math.min(step, 0)];
  }

  step(step) {
    const place = this.beside(step);
    if (place === undefined) this.on.say(`This is the ${step > 0 ? "last" : "first"} strip of the list.`);
    else this.go(place);
  }

  stepBeat(step) {
    this.settle();
    const strip = this.strip();
    if (!strip) return;
    this.select(Math.min(strip.beats.length - 1, Math.max(0, this.at(strip) + step)));
  }

  select(at) {
    this.settle();
    const beat = this.strip()?.beats[at];
    if (!beat) return;
    this.anchor = beat.anchor;
    this.on.changed();
  }

  // Deciding.

  decide(beat, field, next, old) {
    const text = (value) => (value === null || value === undefined ? null : String(value));
    return this.channel.decide({ target: targetOf(this.strip(), beat), field, new: text(next), old: text(old) });
  }

  done(words, moveOn = false) {
    if (moveOn && this.on.settings().moveOn) {
      if (this.on.settings().scope === "strip") {
        const place = this.beside(1);
        if (place !== undefined) [this.place, this.anchor] = [place, null];
        this.listed = Math.max(this.shelf.places.indexOf(this.place), 0);
      } else {
        const strip = this.strip();
        const next = strip?.beats[this.at(strip) + 1];
        if (next) this.anchor = next.anchor;
      }
    }
    this.on.say(words);
    this.on.changed();
  }

  name(label) { return labelLook(this.look, label).name; }

  word(beat) { return `Beat ${this.strip().beats.findIndex((one) => one.anchor === beat.anchor) + 1}`; }

  // The strip and, where a beat is meant, the beat; false where something is missing, and then it is told.
  ready(needsBeat) {
    this.settle();
    const strip = this.strip();
    if (!strip) {
      this.on.say("The strip is on its way: type the key again when it is here.");
      return false;
    }
    if (needsBeat && !this.beat()) {
      this.on.say("No beat was found on this strip. It can be labelled as a whole.");
      return false;
    }
    return true;
  }

  label(label) {
    const whole = this.on.settings().scope === "strip";
    if (!this.ready(!whole)) return;
    if (whole) {
      const strip = this.strip();
      const same = strip.decided && strip.label === label;
      if (!same) this.decide(null, "label", this.name(label), this.name(strip.label));
      this.done(`Strip ${strip.number}: ${this.name(label)}${same ? ", as before" : ""}`, true);
      return;
    }
    if (label === NOISE) {
      this.noise(1);
      return;
    }
    const beat = this.beat();
    const words = `${this.word(beat)}: ${this.name(label)}`;
    const same = beat.source === "beat" && beat.label === label && !beat.noise;
    if (!same) this.decide(beat, "label", this.name(label), this.name(beat.label));
    this.done(`${words}${same ? ", as before" : ""}`, true);
  }

  noise(noise) {
    if (!this.ready(true)) return;
    const beat = this.beat();
    const same = beat.source === "beat" && Boolean(beat.noise) === Boolean(noise);
    const words = `${this.word(beat)}: ${noise ? "noise" : "no noise"}`;
    if (!same) this.decide(beat, "noise", noise, beat.noise ? 1 : 0);
    this.done(`${words}${same ? ", as before" : ""}`, true);
  }

  seed() {
    if (!this.ready(true)) return;
    const beat = this.beat();
    if (!beat.seed && (beat.label === UNLABELLED || beat.label === NOISE)) {
      this.on.say("Label the beat first: a seed stands for a label.");
      return;
    }
    const seed = beat.seed ? null : this.name(beat.label);
    this.decide(beat, "seed", seed, beat.seed);
    this.done(seed ? `${this.word(beat)} is a seed for ${seed}` : `${this.word(beat)} is no seed any more`);
  }

  // What a note or a doubt is about: the beat, or the strip.
  subject() {
    const whole = this.on.settings().scope === "strip" || !this.beat();
    const strip = this.strip();
    return whole ? [null, strip, `Strip ${strip.number}`] : [this.beat(), this.beat(), this.word(this.beat())];
  }

  unsure() {
    if (!this.ready(false)) return;
    const [beat, about, words] = this.subject();
    this.decide(beat, "unsure", about.unsure ? 0 : 1, about.unsure ? 1 : 0);
    this.done(about.unsure ? `${words}: not unsure any more` : `${words}: unsure, for a second reader`);
  }

  note(text) {
    if (!this.ready(false)) return;
    const [beat, about, words] = this.subject();
    if ((about.note || "") === text) return;
    this.decide(beat, "note", text || null, about.note || null);
    this.done(text ? `${words}: note kept` : `${words}: note taken away`);
  }

  // R-peaks.

  add(ms) {
    if (!this.ready(false)) return;
    const strip = this.strip();
    const close = strip.beats[nearest(strip, ms)];
    if (close && Math.abs(close.time - ms) <= SAME_BEAT_MS / 2) {
      this.anchor = close.anchor;
      this.done(`There is an R-peak ${Math.abs(close.time - ms)} ms from there already.`);
      return;
    }
    const anchor = Math.round(ms);
    this.decide({ anchor }, "peak", "added", null);
    this.anchor = anchor;
    this.done(`R-peak added at ${(anchor / 1000).toFixed(3)} s. ${this.look.keys.undo} takes it back.`);
  }

  insert() {
    if (!this.ready(false)) return;
    const strip = this.strip();
    const ms = missedAfter(strip, this.at(strip));
    if (Number.isNaN(ms)) this.on.say("There is no room for a beat between this one and the next.");
    else this.add(ms);
  }

  move(at, ms) {
    if (!this.ready(true)) return;
    const beat = this.strip().beats[at];
    const from = beat.time;
    this.anchor = beat.anchor;
    this.decide(beat, "peak", Math.round(ms), beat.peak === "moved" ? beat.time : beat.peak);
    this.done(`R-peak moved from ${(from / 1000).toFixed(3)} to ${(ms / 1000).toFixed(3)} s`);
  }

  remove() {
    if (!this.ready(true)) return;
    const strip = this.strip();
    const beat = this.beat();
    const at = this.at(strip);
    this.decide(beat, "peak", "deleted", beat.peak === "moved" ? beat.time : beat.peak);
    const beats = this.strip().beats;
    this.anchor = beats[Math.min(at, beats.length - 1)]?.anchor ?? null;
    this.done(`R-peak at ${(beat.time / 1000).toFixed(3)} s deleted. ${this.look.keys.undo} brings it back.`);
  }

  /** Move the R-peak by one sample; steps in a row are one decision. */
  nudgeBy(samples) {
    const strip = this.strip();
    const at = this.at(strip);
    const beat = strip?.beats[at];
    if (!beat) return;
    const time = msOf(strip, Math.round((beat.time / 1000) * strip.fs) + samples);
    const [before, after] = [strip.beats[at - 1], strip.beats[at + 1]];
    const [least, most] = [before ? before.time : -SAME_BEAT_MS / 2, after ? after.time : Infinity];
    if (time <= least + SAME_BEAT_MS / 2 || time >= most - SAME_BEAT_MS / 2) return;
    const from = this.nudge?.anchor === beat.anchor ? this.nudge : { was: beat, hash: strip.hash };
    clearTimeout(this.nudge?.timer);
    const timer = setTimeout(() => { this.settle(); this.on.changed(); }, NUDGE_MS);
    this.nudge = { ...from, anchor: beat.anchor, time, timer };
    this.anchor = beat.anchor;
    this.on.say(`R-peak at ${(time / 1000).toFixed(3)} s`);
    this.on.changed();
  }

  /** Keep what was nudged, before anything else happens. */
  settle() {
    if (!this.nudge) return;
    const { was, hash, anchor, time, timer } = this.nudge;
    clearTimeout(timer);
    this.nudge = null;
    if (time === was.time) return;
    const old = was.peak === "moved" ? String(was.time) : was.peak;
    this.channel.decide({ target: `beat:${hash}:${anchor}`, field: "peak", new: String(time), old });
  }

  // Undo: this window's last decision that holds; for older ones, the page is asked.

  // Whether one of this window's decisions holds. What Python's data knew of is as Python has it: it may have been undone,
  // or brought back, somewhere else; what is newer is as this window's log has it.
  holding() {
    const { log } = this.channel;
    const { mine, version } = this.on.known();
    const known = (made) => made.kept !== null && made.kept <= version;
    const undone = new Set(log.map((made) => made.undoes).filter(Boolean));
    const since = new Set(log.filter((made) => !known(made)).map((made) => made.undoes).filter(Boolean));
    return (made) => !made.undoes && (known(made) ? mine.has(made.id) && !since.has(made.id) : !undone.has(made.id));
  }

  undo() {
    this.settle();
    const { log } = this.channel;
    const holds = this.holding();
    const last = log.findLast(holds);
    if (!last) {
      this.on.undoElsewhere();
      return;
    }
    const batch = last.payload?.batch;
    const all = batch ? log.filter((made) => made.payload?.batch === batch && holds(made)) : [last];
    this.channel.undo(batch ? all : last);
    const [kind, hash, anchor] = last.target.split(":");
    const place = this.placeOf.get(hash);
    if (place !== undefined && place !== this.place) {
      this.place = place;
      this.anchor = null;
    }
    if (kind === "beat") this.anchor = Number(anchor);
    const what = last.field === "peak" ? "R-peak" : last.field;
    const value = last.new !== null && /^(label|seed)$/.test(last.field) ? ` ${last.new}` : "";
    this.on.say(`Undone: ${what}${value}${all.length > 1 ? `, ${all.length} at once` : ""}`);
    this.on.changed();
  }
}
