// The beat in hand over its class template, its nearest prototypes and the strip's own median beat; what differs below.
// It follows the strip reader of the same page at once, through the reading bus.
import { curveNames, curvesIn } from "./beat_curves.js";
import { cutBeat, difference, medianBeat, nearestShapes } from "./beat_shapes.js";
import { isDark } from "./paper.js";
import { FONT, beatMark, labelLook, rateOf, reasonWords } from "./paper_marks.js";
import { element } from "./reader_bar.js";
import { readingBus } from "./reading_bus.js";

const TALL_PX = 270;
const NEAR = 2;
const ACCENT = "#058dd1";
const MEDIAN = "#0f8f80";
const SERIES = ["#b17d05", "#b14fc8"];
const SOURCES = {
  beat: "decided on this beat", group: "decided on its group", prototype: "decided on its prototype", model: "a suggestion accepted",
  strip: "the strip's label",
};
const PEAKS = { added: "R-peak added by hand", moved: "R-peak moved by hand" };
const DASHES = [[7, 3], [2, 3]];

class BeatPanel {
  constructor(root) {
    this.root = root;
    this.shapes = { run: "", version: -1, list: [] };
    this.head = element("div", "head");
    this.canvas = element("canvas");
    this.canvas.setAttribute("role", "img");
    this.legend = element("div", "legend");
    this.facts = element("dl");
    this.root.replaceChildren(this.head, this.canvas, this.legend, this.facts);
    this.off = readingBus().on((now) => this.later(now));
    this.sized = new ResizeObserver(() => this.draw());
    this.sized.observe(root);
  }

  // After the strip itself is on the screen.
  later(now) {
    this.now = now;
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.frame = requestAnimationFrame(() => { this.timer = setTimeout(() => this.draw(), 0); });
    if (now.run !== this.shapes.run) this.fetch(now);
  }

  async fetch({ channel, run }) {
    this.shapes = { run, list: [] };
    try {
      const frame = await channel.fetchFrame("shapes", { run });
      if (this.shapes.run !== run) return;
      this.shapes.list = frame.header.shapes.map((shape) => ({ ...shape, wave: frame.trace(shape.trace) }));
      this.draw();
    } catch {
      this.shapes.run = "";
    }
  }

  // What the beat is compared with: [{name, wave, colour, dash, wide, alpha}], the template first.
  compared(wave, strip, beat, look, window) {
    const lines = [];
    const template = this.shapes.list.find((one) => one.kind === "template" && one.label === beat.label);
    if (template) {
      const colour = labelLook(look, beat.label).colour;
      const name = `template of ${labelLook(look, beat.label).name}`;
      lines.push({ name, wave: template.wave, colour, dash: [], wide: 7, alpha: 0.32 });
    }
    const median = medianBeat(strip, window);
    const middle = "median beat of the strip";
    if (median) lines.push({ name: middle, wave: median, colour: MEDIAN, dash: [4, 3], wide: 1.6, alpha: 0.9 });
    const prototypes = this.shapes.list.filter((one) => one.kind === "prototype");
    nearestShapes(wave, prototypes, NEAR).forEach(({ shape, similarity }, at) => {
      const kind = labelLook(look, shape.label).name;
      const name = `prototype ${shape.id}, ${kind}, ${similarity.toFixed(2)}`;
      lines.push({ name, wave: shape.wave, colour: SERIES[at], dash: DASHES[at], wide: 1.3, alpha: 0.95 });
    });
    return { lines, template, median };
  }

  draw() {
    if (!this.now) return;
    const { strip, at, look, paper } = this.now;
    const beat = strip.beats[at];
    this.root.classList.toggle("empty", !beat);
    if (!beat) {
      const words = "No beat was found on this strip. It can still be labelled as a whole.";
      this.head.replaceChildren(element("span", "", words));
      return;
    }
    const wave = cutBeat(strip, beat, paper.window_sec);
    const found = wave ? this.compared(wave, strip, beat, look, paper.window_sec) : { lines: [] };
    const against = found.template ? found.template.wave : found.median;
    const left = wave && against ? difference(wave, against) : null;
    this.title(beat, at, look);
    this.chart(wave, found.lines, left, paper.window_sec, at);
    this.legendOf(wave, found, left);
    this.tell(strip, beat, at, found);
  }

  title(beat, at, look) {
    const mark = beatMark(beat, look);
    const letter = element("b", beat.noise ? "letter noise" : "letter", mark.letter);
    letter.style.setProperty("--mark", mark.colour);
    const name = labelLook(look, beat.label).name;
    const words = beat.noise && beat.label !== -1 ? `${name}, marked as noise` : name;
    const lines = element("span");
    const more = [SOURCES[beat.source], PEAKS[beat.peak]].filter(Boolean).join(" · ");
    lines.append(element("b", "", `Beat ${at + 1}: ${words}`), element("small", "", more));
    this.head.replaceChildren(letter, lines);
  }

  chart(wave, lines, left, [before, after], at) {
    const dpr = globalThis.devicePixelRatio || 1;
    const wide = Math.max(240, this.root.clientWidth);
    const { canvas } = this;
    canvas.width = Math.round(wide * dpr);
    canvas.height = Math.round(TALL_PX * dpr);
    canvas.style.width = `${wide}px`;
    canvas.style.height = `${TALL_PX}px`;
    const context = canvas.getContext("2d");
    context.scale(dpr, dpr);
    const dark = isDark(this.root);
    const ink = dark ? "#a9aeb8" : "#5d636c";
    const text = (words, x, y, align = "left") => {
      context.font = `11px ${FONT}`;
      context.textAlign = align;
      context.textBaseline = "middle";
      context.fillStyle = ink;
      context.fillText(words, x, y);
    };
    if (!wave) {
      text("The beat lies too near to the strip's end to be compared.", 8, TALL_PX / 2);
      canvas.setAttribute("aria-label", "The beat lies too near to the strip's end to be compared.");
      return;
    }
    const [start, end, high, low] = [38, wide - 8, 8, 176];
    const { y, least, most, line, shade } = curvesIn(context, wave, lines, [start, end, high, low]);
    // Milliseconds from the R-peak, and strip SD.
    context.lineWidth = 1;
    const rule = (x0, y0, x1, y1, alpha) => {
      context.strokeStyle = `rgba(125,130,138,${alpha})`;
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      context.stroke();
    };
    const span = before + after;
    for (let ms = -Math.floor(before * 10) * 100; ms <= after * 1000; ms += 100) {
      const across = Math.round(start + ((ms / 1000 + before) / span) * (end - start)) + 0.5;
      rule(across, high, across, TALL_PX - 20, ms === 0 ? 0.55 : 0.18);
      if (across < end - 18) text(ms === 0 ? "R" : String(ms), across, TALL_PX - 10, "center");
      else text("ms", end, TALL_PX - 10, "right");
    }
    const step = most - least > 8 ? 4 : most - least > 3 ? 2 : 1;
    for (let value = Math.ceil(least / step) * step; value <= most; value += step) {
      rule(start, Math.round(y(value)) + 0.5, end, Math.round(y(value)) + 0.5, value === 0 ? 0.4 : 0.15);
      text(String(value), start - 6, y(value), "right");
    }
    text("SD", 2, high + 4);
    lines.forEach((one) => line(one.wave, y, one));
    line(wave, y, { colour: ACCENT, wide: 2.3 });
    if (left) {
      const middle = 216;
      const reach = Math.max(1, ...left.wave.map(Math.abs));
      const below = (value) => middle - (value / reach) * 30;
      shade(left.wave, below, middle, "rgba(125,130,138,0.28)");
      line(left.wave, below, { colour: ink, wide: 1.2 });
      rule(start, middle + 0.5, end, middle + 0.5, 0.4);
      text(`±${reach.toFixed(1)}`, start - 6, middle, "right");
    }
    const differs = left ? `; they differ by ${left.rms.toFixed(2)} SD` : "";
    canvas.setAttribute("aria-label", `Beat ${at + 1} over ${lines.map((one) => one.name).join(", ") || "nothing"}${differs}`);
  }

  legendOf(wave, found, left) {
    const parts = wave ? [{ name: "this beat", colour: ACCENT, dash: [], wide: 2.3 }, ...found.lines] : [];
    this.legend.replaceChildren(...curveNames(parts));
    if (left) {
      const what = found.template ? "this beat − template" : "this beat − median";
      this.legend.append(element("span", "", `below: ${what}, rms ${left.rms.toFixed(2)} SD`));
    }
  }

  tell(strip, beat, at, found) {
    const { beats } = strip;
    const before = at > 0 ? beat.time - beats[at - 1].time : NaN;
    const after = at < beats.length - 1 ? beats[at + 1].time - beat.time : NaN;
    const ms = (value, none) => (Number.isNaN(value) ? `– (${none})` : `${Math.round(value)} ms`);
    const rate = rateOf(beats, at);
    const facts = [
      ["Time", `${(beat.time / 1000).toFixed(3)} s`],
      ["RR before", `${ms(before, "first beat")}${Number.isNaN(rate) ? "" : `, ${Math.round(rate)}/min`}`],
      ["RR after", ms(after, "last beat")],
      ["Before ÷ after", before && after ? (before / after).toFixed(2) : ""],
      ["Like its template", found.template && found.lines.length ? this.like(strip, beat, found.template) : ""],
      ["Belongs to prototype", this.prototype(beat)],
      ["Noise", beat.noise ? reasonWords(beat) || "yes" : "no"],
      ["Seed for", beat.seed || ""],
      ["Note", beat.note || ""],
      ["Marked", beat.unsure ? "unsure, for a second reader" : ""],
    ];
    const known = facts.filter(([, value]) => value);
    this.facts.replaceChildren(...known.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]));
  }

  like(strip, beat, template) {
    const wave = cutBeat(strip, beat, this.now.paper.window_sec);
    return wave ? nearestShapes(wave, [template], 1)[0].similarity.toFixed(2) : "";
  }

  prototype(beat) {
    if (beat.id === null) return "none yet: the R-peak was added since";
    if (!(beat.prototype >= 0)) return beat.noise ? "none (noise)" : "none";
    const shape = this.shapes.list.find((one) => one.kind === "prototype" && one.id === beat.prototype);
    return shape ? `${beat.prototype} (${shape.size.toLocaleString("en")} beats)` : String(beat.prototype);
  }

  end() {
    this.off();
    this.sized.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".beat-panel");
  root.panel ??= new BeatPanel(root);
  return () => {
    root.panel?.end();
    root.panel = undefined;
  };
}
