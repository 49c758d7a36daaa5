// The buttons around the strip: moving, how it is printed, what is decided. Each button shows its key.
import { labelLook } from "./paper_marks.js";

const KEYCAPS = { Left: "←", Right: "→", Up: "↑", Down: "↓", Delete: "Del", Insert: "Ins" };

export const element = (tag, name = "", text = "") => {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
};

const keycap = (key) => {
  const cap = element("kbd", "", KEYCAPS[key] || key);
  cap.setAttribute("aria-hidden", "true");
  return cap;
};

export const button = (text, key, does, help = "") => {
  const made = element("button", "", text);
  made.type = "button";
  if (key) {
    made.append(keycap(key));
    made.setAttribute("aria-keyshortcuts", key.replace(/^(Left|Right)$/, "Arrow$1"));
  }
  if (help) made.title = help;
  made.onclick = (event) => does(event);
  return made;
};

// A row of choices of which one holds.
const choice = (name, options, does) => {
  const group = element("span", "choice");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", name);
  if (name) group.append(element("span", "name", name));
  const buttons = options.map(([value, text]) => {
    const made = button(text, "", () => does(value));
    made.setAttribute("aria-label", `${name} ${text}`.trim());
    group.append(made);
    return [value, made];
  });
  return {
    group,
    set: (now) => buttons.forEach(([value, made]) => made.setAttribute("aria-pressed", String(value === now))),
  };
};

const toggle = (text, help, does) => {
  const holder = element("label", "toggle");
  const box = element("input");
  box.type = "checkbox";
  box.onchange = () => does(box.checked);
  holder.append(box, document.createTextNode(text));
  holder.title = help;
  return { holder, set: (on) => { box.checked = on; } };
};

/** Build the bars. `keys`: action → key; `does`: what each button does. Returns {top, bottom, labels, show}. */
export const createBars = (look, keys, does) => {
  const top = element("div", "bar");
  const moves = element("span", "group");
  const stripBack = button("‹ Strip", keys.previous, () => does.step(-1), "Previous strip of the list");
  const stripNext = button("Strip ›", keys.next, () => does.step(1), "Next strip of the list");
  const beatBack = button("‹ Beat", keys.beat_back, () => does.stepBeat(-1), "Previous beat");
  const beatNext = button("Beat ›", keys.beat_next, () => does.stepBeat(1), "Next beat");
  moves.append(stripBack, stripNext, beatBack, beatNext);
  const position = element("span", "position");
  const speed = choice("mm/s", [[12.5, "12.5"], [25, "25"], [50, "50"]], (value) => does.set({ speed: value }));
  const gain = choice("mm/mV", [[5, "5"], [10, "10"], [20, "20"]], (value) => does.set({ gain: value }));
  const trace = choice("", [[false, "As recorded"], [true, "Filtered"]], (value) => does.set({ filtered: value }));
  const size = button("Tall", "", () => does.set({ tall: size.getAttribute("aria-pressed") !== "true" }), "Taller paper");
  trace.group.setAttribute("aria-label", "Trace");
  const print = button("Print", "", () => globalThis.print(), "Print this page in light ink");
  const prints = element("span", "group right");
  prints.append(speed.group, gain.group, trace.group, size, print);
  top.append(moves, position, prints);

  const bottom = element("div", "bar");
  const scope = choice("", [["beat", "Beat"], ["strip", "Whole strip"]], (value) => does.set({ scope: value }));
  scope.group.setAttribute("aria-label", "What is labelled");
  const valid = button("No noise", keys.valid, does.valid, "It is a beat; its class stays as it is");
  const seed = button("Seed", keys.seed, does.seed, "Add the beat to the seeds, or take it out");
  const unsure = button("Unsure", keys.unsure, does.unsure, "For a second reader");
  const note = button("Note", keys.note, does.note);
  const undo = button("Undo", keys.undo, does.undo, "Undo your last step");
  const peaks = element("span", "group peaks");
  peaks.setAttribute("role", "group");
  peaks.setAttribute("aria-label", "R-peak");
  const where = "Between this beat and the next, where the trace is tallest. Or click on the trace";
  const add = button("Add", keys.insert, does.insert, where);
  add.setAttribute("aria-label", "Add R-peak");
  const earlier = button("◂", "", () => does.nudge(-1), "R-peak one sample earlier (Shift ←)");
  const later = button("▸", "", () => does.nudge(1), "R-peak one sample later (Shift →)");
  earlier.setAttribute("aria-label", "R-peak one sample earlier");
  later.setAttribute("aria-label", "R-peak one sample later");
  const remove = button("Delete", keys.remove, does.remove, "This is no beat");
  remove.setAttribute("aria-label", "Delete R-peak");
  peaks.append(element("span", "name", "R-peak"), add, earlier, later, remove);
  const measure = "From this beat to the next. Or drag on the paper; Shift keeps them level";
  const calipers = button("Calipers", keys.calipers, does.calipers, measure);
  const march = toggle("March", "March out: repeat the interval along the strip", (on) => does.set({ march: on }));
  const onwards = "After labelling, to the next beat, or to the next strip when whole strips are labelled";
  const moveOn = toggle("Move on", onwards, (on) => does.set({ moveOn: on }));
  bottom.append(scope.group, moveOn.holder, valid, seed, unsure, note, undo, peaks, calipers, march.holder);

  const labels = element("div", "labels");
  labels.setAttribute("role", "group");
  labels.setAttribute("aria-label", "Labels");
  const given = look.labels.filter((one) => one.key).map((one) => {
    const made = button("", "", () => does.label(one.id));
    const letter = element("span", "letter", one.letter);
    letter.style.setProperty("--mark", one.colour);
    made.append(letter, document.createTextNode(one.name), keycap(one.key));
    made.setAttribute("aria-keyshortcuts", one.key);
    made.dataset.label = String(one.id);
    labels.append(made);
    return [one.id, made];
  });

  /** Bring the buttons up to date: {settings, strip, at, back, forth, position, total, span}. */
  const show = ({ settings, strip, at, back, forth, words, span }) => {
    const beat = strip?.beats[at] ?? null;
    const whole = settings.scope === "strip";
    stripBack.disabled = !back;
    stripNext.disabled = !forth;
    beatBack.disabled = at <= 0;
    beatNext.disabled = !beat || at >= strip.beats.length - 1;
    position.textContent = words;
    speed.set(settings.speed);
    gain.set(settings.gain);
    trace.set(settings.filtered);
    size.setAttribute("aria-pressed", String(settings.tall));
    scope.set(settings.scope);
    moveOn.set(settings.moveOn);
    march.set(settings.march);
    march.holder.hidden = !span;
    valid.disabled = whole || !beat;
    seed.disabled = !beat;
    seed.setAttribute("aria-pressed", String(Boolean(beat?.seed)));
    const about = whole ? strip : beat;
    unsure.disabled = note.disabled = !strip;
    unsure.setAttribute("aria-pressed", String(Boolean(about?.unsure)));
    note.setAttribute("aria-pressed", String(Boolean(about?.note)));
    add.disabled = !strip;
    earlier.disabled = later.disabled = remove.disabled = !beat;
    calipers.disabled = !strip;
    calipers.setAttribute("aria-pressed", String(Boolean(span)));
    const now = whole ? strip?.label : beat ? (beat.noise ? -1 : beat.label) : undefined;
    given.forEach(([label, made]) => {
      made.setAttribute("aria-pressed", String(label === now));
      made.disabled = !strip || (!whole && !beat);
    });
  };

  return { top, bottom, labels, show };
};

/** What holds of a strip, as its title. */
export const titleOf = (strip, look) => {
  const who = /^(patient|unknown)/i.test(strip.patient) ? strip.patient : `patient ${strip.patient || "unknown"}`;
  const marks = [strip.unsure ? "unsure" : "", strip.note ? `“${strip.note}”` : ""].filter(Boolean);
  const label = `${labelLook(look, strip.label).name}${strip.decided ? ", as decided" : ""}`;
  return [`Strip ${strip.number}`, who, label, ...marks].join(" · ");
};
