// What stands on a strip's paper: beats by letter and colour above the trace, noise with its reason, the window of the
// beat in hand, RR intervals, rates and numbers. Drawn by paper.js.
export const FONT = "'Source Sans', 'Source Sans Pro', system-ui, -apple-system, 'Segoe UI', sans-serif";

export const MARKS = {
  ROW_PX: 18, // from the paper's upper edge to the middle of the markers
  RR_PX: 40, // middle of the row of rates, or of RR intervals where there is no room between markers
  THIRD_PX: 54,
  RADIUS_PX: 11,
  ACCENT: "5,141,209",
  NOISE: "125,130,138",
};

// Name, letter and colour of a label, by what Python sends of the looks.
export const labelLook = (look, label) => {
  const known = Array.isArray(look.labels) ? look.labels.find((one) => one.id === label) : look.labels[label];
  return known || { id: label, name: String(label), letter: String(label), colour: "#7d828a" };
};

export const beatMark = (beat, look) => labelLook(look, beat.noise ? -1 : beat.label);

const REASONS = {
  small_cluster: "small cluster", morphology: "shape", reader: "marked by reader", rr: "RR",
  content: "noise over waves", baseline: "baseline wanders", lost: "lost lead",
};

/** Why a beat is noise, in words that fit above it. */
export const reasonWords = (beat) =>
  String(beat.reasons || "").split(/[,;]\s*/).filter(Boolean).map((one) => REASONS[one] || one).join(", ");

// The reasons as far as there is room for them: all, the first, or its first word.
const fitting = (context, beat, room, dpr) => {
  const words = reasonWords(beat);
  const first = words.split(", ")[0];
  const more = first === words ? "" : "…";
  context.font = `600 ${11.5 * dpr}px ${FONT}`;
  const shorter = [words, `${first}${more}`, first.replace("marked by ", "").split(" ")[0]];
  return shorter.find((one) => context.measureText(one).width <= room) ?? shorter[2];
};

// Rate of a beat: by the interval before it.
export const rateOf = (beats, at) => (at > 0 ? 60000 / (beats[at].time - beats[at - 1].time) : NaN);

// Shading below the trace: noise, and the reach of the beat in hand and of its neighbours.
export const drawWindows = (context, geometry, strip, view) => {
  const { top, bottom, right, origin, dpr } = geometry;
  const [before, after] = view.window || [0.25, 0.4];
  const band = (time, fill) => {
    const left = Math.max(origin, geometry.x(time - 1000 * before));
    const end = Math.min(right, geometry.x(time + 1000 * after));
    if (end <= left) return null;
    context.fillStyle = fill;
    context.fillRect(left, top, end - left, bottom - top);
    return [left, end];
  };
  strip.beats.forEach((beat, at) => {
    if (!beat.noise) return;
    const reach = band(beat.time, `rgba(${MARKS.NOISE},0.15)`);
    if (!reach || at === view.selected) return;
    // Hatched as well, so that grey is not the only sign.
    context.save();
    context.beginPath();
    context.rect(reach[0], top, reach[1] - reach[0], bottom - top);
    context.clip();
    context.strokeStyle = `rgba(${MARKS.NOISE},0.22)`;
    context.lineWidth = dpr;
    context.beginPath();
    for (let x = reach[0] - (bottom - top); x < reach[1]; x += 9 * dpr) {
      context.moveTo(x, bottom);
      context.lineTo(x + bottom - top, top);
    }
    context.stroke();
    context.restore();
  });
  const chosen = strip.beats[view.selected];
  if (!chosen) return;
  const thick = Math.max(1, Math.round(dpr));
  for (const beside of [view.selected - 1, view.selected + 1]) {
    const beat = strip.beats[beside];
    const reach = beat && band(beat.time, `rgba(${MARKS.ACCENT},0.05)`);
    if (!reach) continue;
    // A bracket at the foot says whose reach it is.
    context.fillStyle = `rgba(${MARKS.ACCENT},0.55)`;
    context.fillRect(reach[0], bottom - thick, reach[1] - reach[0], thick);
    for (const edge of reach) context.fillRect(Math.round(edge), bottom - 5 * dpr, thick, 5 * dpr);
  }
  const reach = band(chosen.time, `rgba(${MARKS.ACCENT},0.17)`);
  if (!reach) return;
  context.fillStyle = `rgba(${MARKS.ACCENT},0.75)`;
  for (const edge of reach) context.fillRect(Math.round(edge), top, thick, bottom - top);
};

// A label's colour as it is read best: on dark paper a little nearer to the trace.
const readable = (colour, ink) => {
  const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  if (parts(ink.paper)[1] > 128) return colour;
  const trace = parts(ink.trace);
  return `rgb(${parts(colour).map((part, at) => Math.round(0.68 * part + 0.32 * trace[at])).join()})`;
};

const drawMarker = (context, x, y, beat, mark, chosen, dpr, ink) => {
  const radius = MARKS.RADIUS_PX * dpr;
  context.beginPath();
  if (beat.noise) context.rect(x - radius + dpr, y - radius + dpr, 2 * (radius - dpr), 2 * (radius - dpr));
  else context.arc(x, y, radius, 0, 7);
  context.fillStyle = chosen ? mark.colour : ink.paper;
  context.fill();
  context.lineWidth = (chosen ? 2.5 : 1.5) * dpr;
  context.strokeStyle = chosen ? mark.colour : readable(mark.colour, ink);
  context.stroke();
  context.font = `700 ${(mark.letter.length > 1 ? 11 : 13) * dpr}px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = chosen ? "#fff" : readable(mark.colour, ink);
  context.fillText(mark.letter, x, y + 0.5 * dpr);
  // What else is known of it, at the corners: a peak set by hand, a seed, a doubt, a note.
  const corner = (words, dx, dy) => {
    context.font = `700 ${10 * dpr}px ${FONT}`;
    const [cx, cy] = [x + dx * radius * 0.95, y + dy * radius * 0.85];
    context.beginPath();
    context.arc(cx, cy, 5.5 * dpr, 0, 7);
    context.fillStyle = ink.paper;
    context.fill();
    context.fillStyle = ink.trace;
    context.fillText(words, cx, cy + 0.5 * dpr);
  };
  if (beat.peak === "added") corner("+", 1, -1);
  else if (beat.peak === "moved") corner("↔", 1, -1);
  if (beat.unsure) corner("?", -1, -1);
  if (beat.seed) corner("✱", -1, 1);
  if (beat.note) corner("✎", 1, 1);
};

export const drawMarks = (context, geometry, strip, view, look, ink) => {
  const { top, bottom, right, origin, dpr } = geometry;
  const { beats } = strip;
  const seen = (x) => x >= origin - 1 && x <= right + 1;
  const row = top + MARKS.ROW_PX * dpr;
  const small = (words, x, y, colour = ink.text, weight = "") => {
    context.font = `${weight} ${11.5 * dpr}px ${FONT}`;
    context.fillStyle = colour;
    context.fillText(words, x, y);
  };
  context.textAlign = "center";
  context.textBaseline = "middle";
  const room = (2 * MARKS.RADIUS_PX + 26) * dpr;
  const xs = beats.map((beat) => geometry.x(beat.time));
  let tight = false;
  for (let at = 1; at < xs.length; at += 1) tight ||= xs[at] - xs[at - 1] < room;
  if (view.rr !== false) {
    for (let at = 1; at < xs.length; at += 1) {
      const middle = (xs[at] + xs[at - 1]) / 2;
      if (!seen(middle) || xs[at] - xs[at - 1] < 20 * dpr) continue;
      const beside = at === view.selected || at - 1 === view.selected;
      const y = tight ? top + MARKS.RR_PX * dpr : row;
      small(String(Math.round(beats[at].time - beats[at - 1].time)), middle, y, beside ? ink.trace : ink.text,
        beside ? "600" : "");
    }
  }
  const rateRow = top + (tight ? MARKS.THIRD_PX : MARKS.RR_PX) * dpr;
  beats.forEach((beat, at) => {
    const x = xs[at];
    if (!seen(x)) return;
    const mark = beatMark(beat, look);
    // The peak itself: a tick down from the marker, exactly at its time.
    const thick = Math.max(1, Math.round(dpr));
    context.fillStyle = mark.colour;
    const tick = Math.round(x - thick / 2);
    context.fillRect(tick, row + MARKS.RADIUS_PX * dpr, thick, 4 * dpr);
    if (at === view.selected) {
      context.globalAlpha = 0.45;
      for (let y = rateRow + 9 * dpr; y < bottom - 16 * dpr; y += 6 * dpr) context.fillRect(tick, y, thick, 3 * dpr);
      context.globalAlpha = 1;
    }
    const peak = geometry.samples[Math.round((beat.time / 1000) * strip.fs)];
    if (Number.isFinite(peak)) {
      context.beginPath();
      context.arc(x, Math.min(bottom, Math.max(top, geometry.y(peak))), 2.6 * dpr, 0, 7);
      context.fill();
    }
    drawMarker(context, x, row, beat, mark, at === view.selected, dpr, ink);
    if (beat.noise && beat.reasons) {
      const room = ((xs[at + 1] ?? x + 150 * dpr) - (xs[at - 1] ?? x - 150 * dpr)) / 2 - 4 * dpr;
      small(fitting(context, beat, room, dpr), x, rateRow, ink.text, "600");
    } else if (view.rates !== false && at > 0 && (!tight || at === view.selected || xs[at] - xs[at - 1] > 24 * dpr)) {
      small(String(Math.round(rateOf(beats, at))), x, rateRow);
    }
    if (view.numbers !== false && (at === view.selected || !tight || xs[at] - (xs[at - 1] ?? -99) > 16 * dpr)) {
      const [colour, weight] = at === view.selected ? [ink.trace, "700"] : [ink.text, ""];
      small(String(at + 1), x, bottom - 8 * dpr, colour, weight);
    }
  });
  // What the rows are, in the column of the calibration pulse.
  context.textAlign = "left";
  context.font = `${10.5 * dpr}px ${FONT}`;
  context.fillStyle = ink.text;
  if (beats.length > 1 && view.rr !== false) context.fillText("RR ms", 4 * dpr, tight ? top + MARKS.RR_PX * dpr : row);
  if (beats.length > 1 && view.rates !== false) context.fillText("per min", 4 * dpr, rateRow);
};
