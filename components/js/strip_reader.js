// The strip reader: strips on paper, R-peaks and beats read and corrected by key and by hand. What is typed is answered
// here, in the same frame; Python hears where the reader is when the hand rests.
import { openChannel } from "./channel.js";
import { pageAtRest } from "./page_at_rest.js";
import { createPaper } from "./paper.js";
import { button, createBars, element, titleOf } from "./reader_bar.js";
import { Desk } from "./reader_desk.js";
import { KeyLine } from "./reader_keys.js";
import { keepSettings, readSettings } from "./reader_settings.js";
import { Shelf } from "./reader_shelf.js";
import { countsOf } from "./reader_state.js";
import { createTools } from "./reader_tools.js";
import { readingBus } from "./reading_bus.js";
import { createTachogram } from "./tachogram.js";
import { bringRow, leaveList } from "./strip_rows.js";
import { listen } from "./typing.js";

const REST_MS = 700; // without a key or a click, before Python is told
const LONGEST_MS = 4000; // that what is decided may wait for the store before Python is told all the same
const NORMAL_MM = 75;
const TALL_MM = 120;

class StripReader {
  constructor(root) {
    this.root = root;
    this.life = Math.random().toString(36).slice(2, 12);
    this.settings = readSettings();
    this.serial = null;
    this.asked = { undos: 0, tokens: 0 };
    this.sent = "";
    this.from = 0;
    this.offs = [];
  }

  begin(data, channel) {
    this.look = data.look;
    this.channel = channel;
    this.seen = this.brought = undefined;
    this.shelf = new Shelf(this.channel, this.look, (places) => this.arrived(places));
    this.desk = new Desk(this.channel, this.look, this.shelf, {
      changed: () => this.changed(),
      say: (text) => this.say(text),
      settings: () => this.settings,
      undoElsewhere: () => this.undoElsewhere(),
      known: () => ({ mine: new Set(this.data.mine), version: this.data.channel.version }),
    });
    this.offs.push(leaveList(() => this.data.list, () => this.line.hold())); // it hears keys before they are taken
    this.build(data);
    const hear = (event, fn) => this.offs.push(this.channel.on(event, fn));
    hear("kept", () => { this.state(); this.rest(); });
    hear("waiting", () => this.state());
    hear("trouble", () => this.state());
    hear("refused", () => { this.draw(); this.state(); });
    hear("adopted", () => { this.draw(); this.rest(); });
    hear("stale", () => { this.asked.tokens += 1; this.report(); });
    const leave = () => this.desk.settle();
    addEventListener("pagehide", leave, true);
    this.offs.push(() => removeEventListener("pagehide", leave, true));
  }

  build(data) {
    this.keys = { ...this.look.keys, ...data.keys };
    const { desk } = this;
    this.does = {
      step: (by) => desk.step(by),
      stepBeat: (by) => desk.stepBeat(by),
      label: (label) => desk.label(label),
      valid: () => this.settings.scope === "beat" ? desk.noise(0) : this.say("Whole strips are labelled: choose Beat first."),
      seed: () => desk.seed(),
      unsure: () => desk.unsure(),
      note: () => this.openNote(),
      undo: () => desk.undo(),
      insert: () => desk.insert(),
      remove: () => desk.remove(),
      nudge: (by) => desk.nudgeBy(by),
      calipers: () => this.calipers(),
      set: (what) => this.set(what),
    };
    this.bars = createBars(this.look, this.keys, this.does);
    this.sheet = element("div", "sheet");
    this.under = element("div", "tachogram");
    this.noteLine = element("form", "note");
    this.noteLine.hidden = true;
    const field = element("input");
    Object.assign(field, { type: "text", maxLength: 2000, placeholder: "Note: Enter keeps it, Escape leaves it as it was" });
    field.setAttribute("aria-label", "Note");
    this.noteLine.append(field, Object.assign(button("Keep", "", () => {}), { type: "submit" }));
    this.noteLine.onsubmit = (event) => {
      event.preventDefault();
      this.closeNote();
      desk.note(field.value.trim());
    };
    field.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.closeNote();
    };
    this.said = element("div", "said");
    this.said.setAttribute("role", "status");
    this.said.setAttribute("aria-live", "polite");
    this.wait = element("div", "wait");
    const lines = element("div", "lines");
    lines.append(this.said, this.wait);
    const { top, bottom, labels } = this.bars;
    this.root.replaceChildren(top, this.sheet, this.under, bottom, this.noteLine, labels, lines);
    this.paper = createPaper(this.sheet, this.look);
    this.tachogram = createTachogram(this.under, this.look, (at) => desk.select(at));
    this.tools = createTools(this.paper, {
      strip: () => desk.strip(),
      select: (at) => desk.select(at),
      add: (ms) => desk.add(ms),
      move: (at, ms) => desk.move(at, ms),
      say: (text) => this.say(text),
      changed: () => this.draw(),
      scroll: (by) => this.scroll(by),
      focus: () => this.closeNote(),
    });
    this.tools.march(this.settings.march);
    // Who has just chosen this view goes on with keys: they are not the choice's any more.
    if (document.activeElement?.closest(`.st-key-${data.view_key}`)) document.activeElement.blur();
    const print = () => this.draw();
    for (const event of ["beforeprint", "afterprint"]) {
      addEventListener(event, print);
      this.offs.push(() => removeEventListener(event, print));
    }
    const drawn = new ResizeObserver(() => this.draw());
    drawn.observe(this.sheet);
    this.offs.push(() => drawn.disconnect(), () => this.paper.destroy());
    this.listen();
  }

  listen() {
    const { keys, does, look } = this;
    const actions = new Map([
      [keys.previous, () => does.step(-1)],
      [keys.next, () => does.step(1)],
      ["ArrowLeft", (event) => (event.shiftKey ? does.nudge(-1) : does.stepBeat(-1))],
      ["ArrowRight", (event) => (event.shiftKey ? does.nudge(1) : does.stepBeat(1))],
      ["Home", () => this.desk.select(0)],
      ["End", () => this.desk.select((this.desk.strip()?.beats.length ?? 0) - 1)],
      ...["Delete", "Backspace"].map((key) => [key, does.remove]),
      ...["Insert", "+"].map((key) => [key, does.insert]),
      ["Escape", () => this.escape()],
      ...["valid", "seed", "unsure", "note", "undo", "calipers"].map((name) => [keys[name], does[name]]),
      ...look.labels.filter((one) => one.key).map((one) => [one.key, () => does.label(one.id)]),
    ]);
    const held = [keys.previous, keys.next, "ArrowLeft", "ArrowRight"];
    const watched = [...actions.keys()].filter(Boolean);
    this.line = new KeyLine({
      here: () => Boolean(this.desk.strip()),
      act: (key, event) => actions.get(key)(event),
      free: [keys.previous, keys.next],
      say: (text) => this.say(text),
    });
    const on = (key, event) => this.line.take(key, event);
    this.offs.push(listen({ keys: watched, held, root: this.root, on }), () => this.line.end());
  }

  /** New data from Python: the browser leads, unless Python has chosen another strip since. */
  update(data, tell) {
    const channel = openChannel(data.channel);
    const looks = JSON.stringify([data.look, data.keys]);
    if (this.desk && (channel !== this.channel || looks !== this.looks)) this.end(); // another reader, or her keys
    this.tell = tell;
    this.data = data;
    if (!this.desk) this.begin(data, channel);
    this.looks = looks;
    const { serial, place, beat } = data.at;
    this.shelf.open(data.run, data.places);
    if (serial !== this.serial) {
      this.serial = serial;
      const kept = globalThis.ecgReaderWas;
      // The page was left before Python heard where the reader went on to.
      if (kept && kept.serial === serial && kept.run === data.run) this.desk.go(kept.place, kept.anchor);
      else this.desk.go(place, beat);
      this.line.answered();
    } else this.draw();
    this.shelf.around(this.desk.place);
    this.shelf.refresh(this.desk.place);
    this.bring();
  }

  /** Show the row of the strip in hand, once Streamlit has drawn its list; a list scrolled by hand stays as it is. */
  bring(tries = 12) {
    const { place } = this.desk;
    if (this.brought === place) return;
    clearTimeout(this.bringing);
    this.bringing = setTimeout(() => {
      if (bringRow(this.data.list, this.shelf.places.indexOf(place))) this.brought = place;
      else if (tries > 0) this.bring(tries - 1);
    }, 250);
  }

  set(what) {
    Object.assign(this.settings, what);
    keepSettings(this.settings);
    this.tools.march(this.settings.march);
    this.draw();
  }

  escape() {
    if (this.tools.clear()) this.say("Calipers put away");
    this.draw();
  }

  calipers() {
    if (this.tools.clear()) this.say("Calipers put away");
    else {
      const strip = this.desk.strip();
      // From the beat in hand to the next; at the last beat, from the one before it.
      const at = Math.min(this.desk.at(strip), (strip?.beats.length ?? 0) - 2);
      if (at < 0) this.say("Drag on the paper to measure.");
      else this.say(`Calipers: ${this.tools.between(strip.beats[at].time, strip.beats[at + 1].time)}`);
    }
    this.draw();
  }

  openNote() {
    if (!this.desk.strip()) return;
    this.noteLine.hidden = false;
    const field = this.noteLine.querySelector("input");
    field.value = this.desk.subject()[1].note || "";
    field.focus();
    field.select();
  }

  closeNote() {
    if (this.noteLine.hidden) return;
    this.noteLine.hidden = true;
    this.root.querySelector("input:focus, button:focus")?.blur();
  }

  undoElsewhere() {
    this.asked.undos += 1;
    this.say("Asking for your last decision before this visit …");
    this.report();
  }

  // Drawing.

  changed() {
    const strip = this.desk.strip();
    if (this.seen !== this.desk.place) {
      this.seen = this.desk.place;
      this.from = 0;
      this.tools.clear();
    }
    const anchor = strip ? this.desk.beat()?.anchor ?? null : this.desk.anchor;
    globalThis.ecgReaderWas = { run: this.data?.run, serial: this.serial, place: this.desk.place, anchor };
    this.draw(true);
    this.rest();
    this.bring();
    this.shelf.around(this.desk.place);
  }

  arrived(places) {
    if (!places.length) this.shelf.around(this.desk.place);
    else if (places.includes(this.desk.place)) {
      this.draw(true);
      this.line.go();
    }
  }

  scroll(by) {
    const { seen, seconds } = this.paper.geometry() || {};
    if (!(seconds > seen + 0.01)) return false;
    this.from = Math.min(Math.max(0, this.from + by), Math.max(0, seconds - seen + 0.1));
    this.draw();
    return true;
  }

  view(strip, at) {
    const { settings, data } = this;
    const { beats, share, rate } = countsOf(strip);
    const aside = [`${beats} beats`, `${Math.round(100 * share)} % noise`];
    if (rate) aside.push(`${Math.round(rate)}/min`);
    return {
      ...settings,
      selected: at,
      from: this.from,
      title: titleOf(strip, this.look),
      aside: aside.join(" · "),
      span: data.paper.span_mv,
      most: settings.tall ? TALL_MM : NORMAL_MM,
      stretch: settings.tall ? 1.5 : 1,
      filter: data.paper.filter_hz,
      assumed: data.paper.assumed,
      window: data.paper.window_sec,
    };
  }

  draw(follow = false) {
    if (!this.data) return;
    const { desk, shelf } = this;
    const strip = desk.strip();
    const at = desk.at(strip);
    const back = desk.beside(-1) !== undefined;
    const forth = desk.beside(1) !== undefined;
    const place = shelf.places.indexOf(desk.place);
    const total = shelf.places.length.toLocaleString("en");
    const words = place >= 0 ? `Strip ${(place + 1).toLocaleString("en")} of ${total}` : `not among the ${total} shown`;
    this.bars.show({ settings: this.settings, strip, at, back, forth, words, span: this.tools.span() });
    this.root.classList.toggle("waiting", !strip);
    this.root.dataset.place = String(desk.place);
    if (!strip) {
      this.state();
      return;
    }
    this.root.dataset.strip = String(strip.number);
    this.root.dataset.beat = at >= 0 ? String(strip.beats[at].anchor) : "";
    this.paper.draw(strip, this.view(strip, at));
    const beat = strip.beats[at];
    if (follow && beat) {
      const from = this.paper.show(beat.time, this.from);
      if (from !== this.from) {
        this.from = from;
        this.paper.draw(strip, this.view(strip, at));
      }
    }
    this.tachogram.draw(strip, { selected: at }, this.paper.geometry(), this.paper.ink());
    readingBus().tell({ strip, at, look: this.look, channel: this.channel, run: this.data.run, paper: this.data.paper });
    this.state();
  }

  say(text) { this.said.textContent = text; }

  // What stands between the reader and the store, in words.
  state() {
    const waiting = this.channel.waiting();
    const { trouble } = this.channel;
    const refused = this.channel.refusals();
    const parts = [];
    if (!this.desk.strip()) parts.push(this.shelf.trouble || "The strip is on its way …");
    if (trouble?.code) parts.push(trouble.sentence);
    if (waiting) parts.push(waiting === 1 ? "1 decision on its way" : `${waiting} decisions on their way`);
    if (!this.channel.stored()) parts.push("This browser keeps nothing: do not close it while decisions are on their way.");
    const words = parts.join(" ");
    const mark = `${words}|${refused.map((one) => one.id).join()}`;
    if (mark === this.shown) return;
    this.shown = mark;
    this.wait.replaceChildren(element("span", trouble?.code ? "trouble" : "", words));
    for (const one of refused.slice(0, 3)) {
      const line = element("span", "trouble", `Not kept (${one.decision?.field ?? "decision"}): ${one.why}`);
      line.append(button("Dismiss", "", () => { this.channel.dismiss(one.id); this.state(); }));
      this.wait.append(line);
    }
  }

  // Telling Python.

  rest() {
    clearTimeout(this.timer);
    this.since ??= performance.now();
    this.timer = setTimeout(() => this.report(), REST_MS);
  }

  report() {
    clearTimeout(this.timer);
    if (!this.tell) return;
    // Python is to see what was decided: it waits for the store, but not for ever; and until it can listen.
    if (!pageAtRest() || (this.channel.waiting() && performance.now() - this.since < LONGEST_MS)) {
      this.timer = setTimeout(() => this.report(), 200);
      return;
    }
    this.since = undefined;
    const { life, serial, desk } = this;
    this.shelf.refresh(desk.place);
    const beat = desk.strip() ? desk.beat()?.anchor ?? null : desk.anchor;
    const where = { life, serial, place: desk.place, beat, version: this.channel.version, ...this.asked };
    const text = JSON.stringify(where);
    if (text === this.sent) return;
    this.sent = text;
    this.tell("where", where);
  }

  end() {
    this.desk?.settle();
    [this.timer, this.bringing, this.shelf?.again].forEach(clearTimeout);
    this.offs.splice(0).forEach((off) => off());
    this.tell = this.desk = this.serial = null;
  }
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".reader");
  root.reader ??= new StripReader(root);
  root.reader.update(data, setStateValue);
  return () => {
    root.reader?.end();
    root.reader = undefined;
  };
}
