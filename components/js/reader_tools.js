// The hand on the paper: a click near an R-peak takes it, a click elsewhere adds one, a drag of a marker moves its peak,
// any other drag measures. `desk` is the reader: strip(), select(place), add(ms), move(place, ms), say(text), scroll(s).
import { gripOf, measuredWords, paintCalipers } from "./calipers.js";
import { FONT, MARKS } from "./paper_marks.js";
import { SAME_BEAT_MS, snapped } from "./reader_state.js";

const CURSORS = { from: "ew-resize", to: "ew-resize", both: "move", mark: "grab", inside: "crosshair", outside: "default" };
const STILL_PX = 4; // a hand that moves less than that has clicked

export const createTools = (paper, desk) => {
  let span = null; // the calipers, {from, to, march, flat}
  let drag = null;
  let ghost = null; // where a click would add a peak, in ms
  let march = true;

  const ghostMark = (context, geometry, ink, ms, words) => {
    const { top, bottom, dpr } = geometry;
    const x = geometry.x(ms);
    const y = top + MARKS.ROW_PX * dpr;
    context.save();
    context.strokeStyle = context.fillStyle = ink.trace;
    context.setLineDash([3 * dpr, 3 * dpr]);
    context.lineWidth = 1.2 * dpr;
    context.globalAlpha = 0.8;
    context.beginPath();
    context.arc(x, y, MARKS.RADIUS_PX * dpr, 0, 7);
    context.moveTo(x, y + MARKS.RADIUS_PX * dpr);
    context.lineTo(x, bottom - 2 * dpr);
    context.stroke();
    context.globalAlpha = 1;
    context.font = `700 ${12 * dpr}px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(words, x, y);
    context.restore();
  };

  const plate = (context, geometry, ink, ms, words) => {
    const { top, right, origin, dpr } = geometry;
    context.save();
    context.font = `600 ${12 * dpr}px ${FONT}`;
    const wide = context.measureText(words).width + 12 * dpr;
    const x = Math.min(Math.max(geometry.x(ms) + 16 * dpr, origin), right - wide - 2 * dpr);
    const y = top + 32 * dpr;
    context.fillStyle = ink.trace;
    context.beginPath();
    context.roundRect(x, y, wide, 19 * dpr, 4 * dpr);
    context.fill();
    context.fillStyle = ink.paper;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(words, x + 6 * dpr, y + 10 * dpr);
    context.restore();
  };

  const paint = () => paper.overlay((context, geometry, ink) => {
    if (span) paintCalipers(context, geometry, ink, { ...span, march });
    if (drag?.kind === "move") {
      ghostMark(context, geometry, ink, drag.ms, "↔");
      plate(context, geometry, ink, drag.ms, drag.words);
    } else if (ghost !== null && !drag) ghostMark(context, geometry, ink, ghost, "+");
  });

  // A peak that is moved stays between its neighbours.
  const within = (strip, place, ms) => {
    const [before, after] = [strip.beats[place - 1], strip.beats[place + 1]];
    const low = before ? before.time + SAME_BEAT_MS / 2 : 0;
    const high = after ? after.time - SAME_BEAT_MS / 2 : ((strip.z.length - 1) / strip.fs) * 1000;
    return Math.min(Math.max(ms, low), high);
  };

  const onMove = (event) => {
    const strip = desk.strip();
    if (!strip) return;
    const at = paper.hit(event);
    if (!drag) {
      const grip = gripOf(span, paper.geometry(), at);
      const adds = at.inside && at.near > SAME_BEAT_MS && !grip;
      const next = adds ? snapped(strip, at.ms) : null;
      const free = next !== null && strip.beats.every((beat) => Math.abs(beat.time - next) > SAME_BEAT_MS / 2);
      paper.canvas.style.cursor = CURSORS[grip || (at.mark ? "mark" : at.inside ? "inside" : "outside")];
      if (ghost === (free ? next : null)) return;
      ghost = free ? next : null;
      paint();
      return;
    }
    if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < STILL_PX && !drag.moved) return;
    drag.moved = true;
    if (drag.kind === "move") {
      const wanted = within(strip, drag.place, at.ms);
      const free = event.altKey ? Math.round((wanted / 1000) * strip.fs) / strip.fs * 1000 : snapped(strip, wanted);
      drag.ms = Math.round(within(strip, drag.place, free));
      const by = drag.ms - strip.beats[drag.place].time;
      drag.words = `${(drag.ms / 1000).toFixed(3)} s, ${by >= 0 ? "+" : "−"}${Math.abs(by)} ms`;
      paper.canvas.style.cursor = "grabbing";
    } else if (drag.kind === "measure") {
      span = { from: drag.from, to: { ms: at.ms, mv: at.mv }, flat: event.shiftKey };
    } else {
      const by = { ms: at.ms - drag.from.ms, mv: at.mv - drag.from.mv };
      const shift = (end) => ({ ms: end.ms + by.ms, mv: end.mv + by.mv });
      const { was } = drag;
      if (drag.kind === "from") span = { ...was, from: { ...was.from, ms: was.from.ms + by.ms } };
      else if (drag.kind === "to") span = { ...was, to: was.flat ? { ...was.to, ms: was.to.ms + by.ms } : shift(was.to) };
      else span = { ...was, from: shift(was.from), to: shift(was.to) };
    }
    paint();
  };

  const onDown = (event) => {
    if (event.button !== 0 || !desk.strip()) return;
    const at = paper.hit(event);
    if (!at.inside) return;
    const grip = gripOf(span, paper.geometry(), at);
    const strip = desk.strip();
    drag = { x: event.clientX, y: event.clientY, from: { ms: at.ms, mv: at.mv }, was: span, moved: false };
    if (grip) drag.kind = grip;
    else if (at.mark) Object.assign(drag, { kind: "move", place: at.beat, ms: strip.beats[at.beat].time, words: "" });
    else drag.kind = "measure";
    ghost = null;
    paper.canvas.setPointerCapture(event.pointerId);
    desk.focus();
    event.preventDefault();
  };

  const onUp = (event) => {
    if (!drag) return;
    const was = drag;
    drag = null;
    const strip = desk.strip();
    const at = paper.hit(event);
    if (!strip) return;
    if (was.moved) {
      if (was.kind === "move" && was.ms !== strip.beats[was.place]?.time) desk.move(was.place, was.ms);
      else if (was.kind !== "move") desk.say(`Calipers: ${measuredWords(span)}`);
    } else if (was.kind === "move" || (was.kind === "measure" && at.near <= SAME_BEAT_MS)) desk.select(at.beat);
    else if (was.kind === "measure") desk.add(snapped(strip, at.ms));
    ghost = null;
    paint();
    desk.changed();
  };

  const onLeave = () => {
    if (ghost === null) return;
    ghost = null;
    paint();
  };

  const onCancel = () => {
    if (drag) span = drag.was;
    drag = null;
    paint();
  };

  const onWheel = (event) => {
    const by = event.deltaX || (event.shiftKey ? event.deltaY : 0);
    if (by && desk.scroll(by / 100)) event.preventDefault();
  };

  const { canvas } = paper;
  canvas.style.touchAction = "pan-y";
  for (const [name, does] of Object.entries({ move: onMove, down: onDown, up: onUp, cancel: onCancel, leave: onLeave })) {
    canvas.addEventListener(`pointer${name}`, does);
  }
  canvas.addEventListener("wheel", onWheel, { passive: false });

  return {
    /** The calipers as they stand, or null. */
    span: () => span,
    clear: () => {
      const there = Boolean(span || drag);
      span = drag = ghost = null;
      paint();
      return there;
    },
    /** Put calipers between two moments, marched out along the strip. */
    between: (from, to) => {
      const mv = paper.geometry().mv(paper.geometry().bottom - 30 * paper.geometry().dpr);
      span = { from: { ms: from, mv }, to: { ms: to, mv }, flat: true };
      paint();
      return measuredWords(span);
    },
    march: (on) => {
      march = on;
      paint();
    },
    paint,
  };
};
