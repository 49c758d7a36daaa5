// What the queue looks like: built once, then brought up to date item by item, so that nothing moves under the hand.
import { createPaper } from "./paper.js";
import { labelLook } from "./paper_marks.js";
import { createShape } from "./queue_shape.js";
import { button, element, titleOf } from "./reader_bar.js";
import { countsOf } from "./reader_state.js";

const NOISE = -1;
const METERS = [["confidence", "Confidence"], ["noise", "Noise"], ["similarity", "Similarity"]];
const SOURCES = { beat: "decided on this beat", group: "decided on its group", prototype: "decided on its prototype", model: "a suggestion accepted", strip: "the strip's label" };

const percent = (value) => `${Math.round(value * 100)} %`;
const number = (value) => Math.round(value).toLocaleString("en");
const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

const minutes = (value) => {
  if (value < 1) return "under a minute";
  if (value < 90) return `${Math.round(value)} min`;
  return value < 48 * 60 ? `${(value / 60).toFixed(1)} h` : `${Math.round(value / 1440)} days`;
};

const createMeters = (holder) => {
  const rows = METERS.map(([name, title]) => {
    const bar = element("span", "track");
    const fill = element("i");
    const tick = element("u");
    bar.append(fill, tick);
    const [value, rule] = [element("span", "value"), element("span", "rule")];
    holder.append(element("span", "name", title), bar, value, rule);
    return { name, all: [...holder.children].slice(-4), bar, fill, tick, value, rule };
  });
  return (item, limits) => {
    holder.hidden = !limits || item.suggestion === null;
    if (holder.hidden) return;
    for (const { name, all, bar, fill, tick, value, rule } of rows) {
      const now = item[name];
      const known = now !== null && now !== undefined;
      // What a model does not test at all, or not on groups, takes no room.
      const absent = !Number.isFinite(limits[name]) || (item.kind === "group" && !known);
      all.forEach((part) => { part.hidden = absent; });
      if (absent) continue;
      const bad = item.kind === "group" ? now < limits[name] : item.reasons.includes(name);
      const shown = name === "similarity" ? (v) => v.toFixed(2) : percent;
      bar.classList.toggle("unknown", !known);
      bar.classList.toggle("bad", bad);
      fill.style.width = known ? `${100 * Math.min(Math.max(now, 0), 1)}%` : "0";
      tick.style.left = `${100 * Math.min(Math.max(limits[name], 0), 1)}%`;
      value.textContent = known ? `${shown(now)} ${bad ? "!" : "✓"}` : "–";
      value.classList.toggle("bad", bad);
      rule.textContent = known ? `${name === "noise" ? "at most" : "at least"} ${shown(limits[name])}${bad ? ", failed" : ""}` : "not tested";
    }
  };
};

const createLabels = (look, does) => {
  const holder = element("div", "labels");
  const whose = element("b", "whose");
  holder.append(whose);
  holder.setAttribute("role", "group");
  holder.setAttribute("aria-label", "Labels");
  const buttons = look.labels.filter((one) => one.key).map((one) => {
    const made = button("", one.key, () => does.label(one.id));
    const letter = element("span", "letter", one.letter);
    letter.style.setProperty("--mark", one.colour);
    made.prepend(letter, document.createTextNode(one.name));
    made.dataset.label = String(one.id);
    holder.append(made);
    return [one.id, made];
  });
  return { holder, whose, set: (now) => buttons.forEach(([id, made]) => made.setAttribute("aria-pressed", String(id === now))) };
};

const factsOf = (strip, findings) => {
  const { beats, noise, rate } = countsOf(strip);
  if (!beats) return "No beat was found on this strip.";
  const spoiled = noise ? `, ${noise === beats ? "all" : noise} of them flagged as noise` : "";
  return `${plural(beats, "beat")}${spoiled}${Number.isNaN(rate) ? "" : `; ${Math.round(rate)} a minute on average`}.${findings ? ` The rules read: ${findings}.` : ""}`;
};

const createNote = (key, does) => {
  const note = element("input", "note");
  Object.assign(note, { type: "text", placeholder: `Note (${key} to write, Enter keeps, Esc leaves)`, maxLength: 500 });
  note.setAttribute("aria-label", "Note");
  note.setAttribute("aria-keyshortcuts", key);
  note.onkeydown = (event) => {
    event.stopPropagation();
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    if (event.key === "Enter") does.note(note.value.trim());
    else note.value = note.dataset.kept || "";
    note.blur();
  };
  note.onblur = () => { note.value = note.dataset.kept || ""; };
  return note;
};

// The other beats of the group on the strip: a line below each, so that it is plain what a key speaks of.
const markOthers = (context, geometry, strip, item, beat) => {
  const anchors = item.kind === "group" ? item.members[strip.hash] || [] : [];
  context.fillStyle = "#058dd1";
  for (const one of strip.beats) {
    if (one === beat || !anchors.includes(one.anchor)) continue;
    const [left, right] = [geometry.x(one.time - 120), geometry.x(one.time + 120)];
    context.fillRect(left, geometry.bottom - 3 * geometry.dpr, right - left, 3 * geometry.dpr);
  }
};

/** Build the queue in an element. `does`: name of an action → what it does. Returns {show, progress, wait, say, paper}. */
export const createView = (root, look, does) => {
  const { keys } = look;
  root.classList.add("queue");
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", "Review queue");

  const line = element("div", "line");
  const meter = element("span", "meter");
  const done = element("i");
  meter.append(done);
  meter.setAttribute("role", "progressbar");
  const counts = element("span", "counts");
  const wait = element("span", "wait");
  line.append(meter, counts, wait);

  const bar = element("div", "bar");
  const accept = button("Accept", keys.accept, () => does.accept());
  accept.classList.add("primary");
  const acceptWords = accept.firstChild;
  const alike = button("All alike on this strip", keys.accept_strip, () => does.acceptStrip(),
    "Accept it for all open beats of this strip that have the same suggestion");
  const alikeWords = alike.firstChild;
  const back = button("Back", keys.previous, () => does.back());
  const skip = button("Skip", keys.next, () => does.skip());
  const undo = button("Undo", keys.undo, () => does.undo(), "Undo your last step");
  const open = button("Open strip", keys.open_strip, () => does.openStrip());
  const moves = element("span", "group right");
  moves.append(back, skip, undo, open);
  bar.append(accept, alike, moves);

  const sheet = element("div", "sheet");
  const labels = createLabels(look, does);
  const valid = button("No noise", keys.valid, () => does.valid(), "It is a beat; its class stays as it is now");
  const unsure = button("Unsure", keys.unsure, () => does.unsure(), "Leave it for a second reader");
  const seed = button("Seed", keys.seed, () => does.seed(), "Add the beat to the seeds, or take it out");
  const note = createNote(keys.note, does);
  labels.holder.append(element("span", "break"), valid, unsure, seed, note);

  const panels = element("div", "panels");
  const thinks = element("section", "thinks");
  const said = element("div", "said");
  said.setAttribute("role", "status");
  said.setAttribute("aria-live", "polite");
  const words = element("section", "words");
  const shape = element("section", "shape");
  panels.append(thinks, words, shape);

  const head = element("div", "head");
  const badge = element("b", "badge");
  const [who, name] = [element("small"), element("strong")];
  const title = element("span");
  title.append(who, name);
  head.append(badge, title);
  const meters = element("div", "meters");
  const showMeters = createMeters(meters);
  const facts = element("div", "facts");
  thinks.append(head, meters, facts);

  const why = element("ul", "why");
  const now = element("div", "now");
  words.append(why, now, said);

  const idle = element("div", "idle");
  const heard = element("div", "heard");
  heard.setAttribute("aria-live", "polite");
  root.replaceChildren(line, bar, sheet, labels.holder, panels, idle, heard);
  const paper = createPaper(sheet, look);
  const shapes = createShape(shape, look);

  const think = (item, data) => {
    const label = item.suggestion;
    const look1 = label === null ? null : labelLook(look, label);
    badge.textContent = look1 ? look1.letter : "?";
    badge.style.setProperty("--mark", look1 ? look1.colour : "currentColor");
    const strip = item.kind === "strip";
    const all = item.kind === "group" ? number(item.count) : "";
    who.textContent = look1 ? `${(item.confidence !== null && data.model) || "The run"} suggests` : item.blind ? "A second reader's" : strip ? "A whole strip" : all ? "Beats that look alike" : "No suggestion";
    name.textContent = look1 ? look1.name : strip ? "Label the strip" : all ? "Label the group" : "Label the beat";
    labels.whose.textContent = all ? `Label all ${all}: one key, one decision` : strip ? "Label the strip" : "Label the beat";
    labels.whose.classList.toggle("all", Boolean(all));
    showMeters(item, strip || item.confidence === null ? null : data.limits);
    why.replaceChildren(...item.why.map((sentence) => element("li", "", sentence)));
    acceptWords.textContent = look1 ? `Accept ${look1.name}${all ? ` for all ${all}` : ""}` : "Accept";
    accept.disabled = !look1;
  };

  const tellNow = (item, strip, beat, done, written) => {
    const about = beat || strip;
    const label = beat && beat.noise ? NOISE : about?.label;
    const known = Number.isFinite(label) ? labelLook(look, label).name : "–";
    const flagged = beat && beat.noise && beat.source === "strip" && strip?.label !== NOISE;
    const source = flagged ? "flagged by preprocessing" : beat ? SOURCES[beat.source] || "" : strip?.decided ? "decided on the strip" : "as in the file";
    const settled = done ? "settled here" : "";
    const text = item.blind && !done ? "Not shown: you are the second reader." : [known, source, settled].filter(Boolean).join(", ");
    now.replaceChildren(element("span", "quiet", item.kind === "group" ? "This one now: " : "Now: "), element("b", "", text));
    labels.set(item.blind && !done ? undefined : label);
    seed.disabled = !beat;
    valid.disabled = !beat || item.kind === "group";
    seed.setAttribute("aria-pressed", String(Boolean(beat && beat.seed !== null && beat.seed !== undefined)));
    unsure.setAttribute("aria-pressed", String(Boolean(about?.unsure) && !item.blind && item.kind !== "group"));
    if (root.getRootNode().activeElement !== note) note.value = written;
    note.dataset.kept = written;
  };

  /** Show one item: {item, strip, beat, alike, settled, first, known, note, ready, data}. */
  const show = ({ item, strip, beat, alike: count, settled, first, known, note: written, ready, data }) => {
    root.classList.remove("nothing");
    root.dataset.item = item.key;
    root.dataset.kind = item.kind;
    think(item, data);
    const more = item.kind === "group";
    alike.disabled = more ? item.blind || item.others.length < 2 : count < 2;
    alikeWords.textContent = more ? "Show another of them" : count < 2 ? "All alike on this strip" : `All ${count} alike on this strip`;
    alike.title = more ? "Another beat of the group, on its own strip" : "Accept it for all open beats of this strip that have the same suggestion";
    back.disabled = first;
    tellNow(item, strip, beat, settled, written);
    root.classList.toggle("waiting", !strip || !ready);
    facts.textContent = item.kind === "group" ? `${plural(item.count, "beat")} on ${plural(item.strips, "strip")}.`
      : strip && item.kind === "strip" ? factsOf(strip, item.findings) : "";
    if (strip) {
      const at = beat ? strip.beats.indexOf(beat) : -1;
      const alone = item.kind === "group" ? `, 1 of ${number(item.count)} alike` : "";
      const here = beat ? `beat ${at + 1} of ${strip.beats.length}${alone}` : "the whole strip";
      const view = { ...data.paper, selected: at, title: `${titleOf(strip, look)} · ${here}` };
      paper.draw(strip, view);
      const label = item.suggestion ?? (beat ? beat.label : null);
      shapes.draw(strip, beat, label, known, data.paper.window, item.kind === "group" ? item : null);
      paper.overlay((context, geometry) => markOthers(context, geometry, strip, item, beat));
    }
  };

  /** Say that there is no item in hand; `actions`: [text, key, does]. */
  const empty = (title1, text, actions = []) => {
    root.classList.add("nothing");
    root.dataset.item = "";
    const buttons = element("div", "bar");
    buttons.append(...actions.map(([words, key, act]) => button(words, key, act)));
    const mark = `${title1}|${text}|${actions.length}`;
    if (idle.dataset.mark === mark) return;
    idle.dataset.mark = mark;
    idle.replaceChildren(element("strong", "", title1), element("p", "", text), buttons);
  };

  const progress = ({ left, total, settled, pace, minutes: rest }) => {
    const share = total ? settled / total : 0;
    done.style.width = `${100 * share}%`;
    meter.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    meter.setAttribute("aria-label", "Settled");
    const parts = [`${number(settled)} of ${number(total)} settled`, `${number(left)} left`];
    parts.push(pace ? `${number(pace)} an hour` : "pace after a few answers");
    if (pace && left) parts.push(`${minutes(rest)} to go`);
    counts.replaceChildren(element("b", "", parts[0]), document.createTextNode(` · ${parts.slice(1).join(" · ")}`));
  };

  /** What waits, what was refused, and what is wrong, in words. */
  const showWait = ({ count, long, stored, trouble, refused, dismiss }) => {
    const mark = JSON.stringify([long ? count : 0, stored, trouble, refused.map((one) => one.id)]);
    if (wait.dataset.mark === mark) return;
    wait.dataset.mark = mark;
    const bad = Boolean(trouble) || refused.length > 0 || !stored;
    wait.className = bad ? "wait trouble" : "wait";
    const parts = [];
    if (refused.length) parts.push(`${plural(refused.length, "decision was", "decisions were")} refused: ${refused[0].why}`);
    if (count && long) {
      const kept = stored ? "kept in this browser" : "in this tab's memory only, so do not close it";
      parts.push(`${plural(count, "decision waits", "decisions wait")} for the server; ${count === 1 ? "it is" : "they are"} ${kept}.`);
      if (trouble) parts.push(trouble);
    } else if (trouble) parts.push(trouble);
    else if (!stored) parts.push("This browser keeps nothing: what waits would be lost with the tab.");
    else if (!refused.length) parts.push("Every answer is kept.");
    wait.replaceChildren(element("span", "", parts.join(" ")));
    wait.title = parts.join(" ");
    if (refused.length) wait.append(button("Dismiss", "", dismiss));
  };

  return {
    show, empty, progress, showWait, paper, note,
    say: (words) => { said.textContent = words; },
    hear: (words) => { heard.textContent = words; },
  };
};
