// How a strip looks in the full disclosure: on ECG paper in its own proportions (25 mm a second, 10 mm a millivolt, all
// made smaller alike), the trace in the colours of its beats, their letters above it.
import { medianOf } from "./paper.js";
import { FONT, beatMark, labelLook } from "./paper_marks.js";

export const TILE = {
  GAP: 10,
  PAD: 8,
  HEAD: 22,
  MARKS: 16,
  FOOT: 4,
  SPAN: [-1.8, 2.6], // mV around the strip's median that a tile has room for
  BEFORE: 250, // ms of a beat, as it is cut
  AFTER: 400,
};

/** Where tiles lie: `width` in CSS pixels, `seconds` the longest strip. */
export const layoutOf = ({ width, columns, seconds, gain, count }) => {
  const tile = Math.floor((width - TILE.GAP * (columns - 1)) / columns);
  const perSecond = (tile - 2 * TILE.PAD) / seconds;
  const perMillimetre = perSecond / 25;
  const perMillivolt = perMillimetre * gain;
  const trace = Math.round(perMillivolt * (TILE.SPAN[1] - TILE.SPAN[0]));
  const zero = Math.round(perMillivolt * TILE.SPAN[1]); // from the upper edge down to the median
  const height = TILE.HEAD + TILE.MARKS + trace + TILE.FOOT;
  const rows = Math.ceil(count / columns);
  const total = rows ? rows * (height + TILE.GAP) - TILE.GAP : 0;
  const left = (at) => (at % columns) * (tile + TILE.GAP);
  const top = (at) => Math.floor(at / columns) * (height + TILE.GAP);
  return { tile, height, trace, zero, columns, rows, total, perSecond, perMillimetre, perMillivolt, left, top };
};

/** A strip of a frame, ready to be drawn: its envelope in millivolts around its median, and the ms of each pair. */
export const smallStrip = (frame, header) => {
  const [scale, zero] = header.to_units;
  const z = frame.trace(header.filtered);
  const units = z.map((value) => zero + scale * value);
  const middle = medianOf(units);
  return {
    ...header,
    values: units.map((value) => (value - middle) / header.units_per_mv),
    step: (1000 * (header.filtered.per ?? header.per ?? 1)) / header.fs,
  };
};

/** The labels of a strip's beats with how many there are, most frequent first, noise last. */
export const mixOf = (strip) => {
  const counts = new Map();
  for (const beat of strip.beats) {
    const label = beat.noise ? -1 : beat.label;
    counts.set(label, (counts.get(label) || 0) + 1);
  }
  return [...counts].sort((a, b) => (a[0] === -1) - (b[0] === -1) || b[1] - a[1] || a[0] - b[0]);
};

/** A strip in words, for who cannot see it. */
export const tileWords = (entry, strip, look) => {
  const label = labelLook(look, entry.label).name;
  if (!strip) return `Strip ${entry.number}, ${label}`;
  const mix = mixOf(strip).map(([one, count]) => `${count} ${labelLook(look, one).name}`);
  return `Strip ${entry.number}, ${label}, ${strip.beats.length ? mix.join(", ") : "no beats"}`;
};

const paper = (context, x, y, width, layout, seconds, ink) => {
  const { perMillimetre, trace, zero } = layout;
  const box = 5 * perMillimetre;
  context.lineWidth = 1;
  const line = (colour, draw) => { context.beginPath(); draw(); context.strokeStyle = colour; context.stroke(); };
  const crisp = (value) => Math.round(value) + 0.5;
  const up = (at) => { context.moveTo(crisp(x + at), y); context.lineTo(crisp(x + at), y + trace); };
  const across = (at) => { context.moveTo(x, crisp(y + at)); context.lineTo(x + width, crisp(y + at)); };
  if (box >= 5) {
    line(ink.grid, () => {
      for (let at = 0; at <= width + 0.5; at += box) up(at);
      for (let at = zero % box; at <= trace; at += box) across(at);
    });
  }
  context.globalAlpha = 0.55;
  line(ink.second, () => { for (let s = 0; s <= seconds; s += 1) up(s * layout.perSecond); });
  context.globalAlpha = 1;
};

const noise = (context, left, right, y, height, ink) => {
  context.save();
  context.beginPath();
  context.rect(left, y, right - left, height);
  context.clip();
  context.fillStyle = ink.noise;
  context.fillRect(left, y, right - left, height);
  context.strokeStyle = ink.hatch;
  context.lineWidth = 1;
  context.beginPath(); // hatched as well, so that grey is not the only sign
  for (let at = left - height; at < right; at += 7) { context.moveTo(at, y + height); context.lineTo(at + height, y); }
  context.stroke();
  context.restore();
};

const path = (context, strip, from, to, X, Y) => {
  const pairs = strip.values.length >> 1;
  const first = Math.max(0, Math.floor(from / strip.step));
  const last = Math.min(pairs - 1, Math.ceil(to / strip.step));
  context.beginPath();
  for (let k = first; k <= last; k += 1) {
    const at = X((k + 0.5) * strip.step);
    context.lineTo(at, Y(strip.values[2 * k]));
    context.lineTo(at, Y(strip.values[2 * k + 1]));
  }
  context.stroke();
};

const letters = (context, strip, look, X, y, ink) => {
  let free = -Infinity;
  const size = 11;
  context.font = `600 ${size}px ${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const marks = strip.beats.map((beat) => ({ at: X(beat.time), ...beatMark(beat, look), usual: !beat.noise && beat.label === strip.label }));
  // Where there is no room for every letter, those that differ from the strip's label come first; a dot stands for the others.
  const close = marks.map((mark, k) => Math.min(k ? mark.at - marks[k - 1].at : Infinity, k + 1 < marks.length ? marks[k + 1].at - mark.at : Infinity));
  marks.forEach((mark, k) => {
    const wide = 4 + 6.5 * mark.letter.length;
    context.fillStyle = mark.colour;
    if ((mark.usual && close[k] < wide) || mark.at - wide / 2 < free) {
      context.beginPath();
      context.arc(mark.at, y, 2.5, 0, 2 * Math.PI);
      context.fill();
    } else {
      context.fillText(mark.letter, mark.at, y);
      free = mark.at + wide / 2;
    }
  });
};

const header = (context, entry, strip, look, x, y, width, ink) => {
  const label = labelLook(look, entry.label);
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.font = `600 12px ${FONT}`;
  context.fillStyle = ink.text;
  const name = `Strip ${entry.number}`;
  context.fillText(name, x, y);
  let at = x + context.measureText(name).width + 8;
  context.font = `12px ${FONT}`;
  context.fillStyle = label.colour;
  context.beginPath();
  context.arc(at + 3.5, y, 3.5, 0, 2 * Math.PI);
  context.fill();
  context.fillStyle = ink.text;
  context.fillText(`${label.letter} ${label.name}`, at + 11, y);
  at += 11 + context.measureText(`${label.letter} ${label.name}`).width + 12;
  if (!strip) return;
  context.textAlign = "right";
  let right = x + width;
  for (const [one, count] of mixOf(strip).reverse()) {
    const { letter, colour } = labelLook(look, one);
    const words = `${letter} ${count}`;
    const wide = context.measureText(words).width;
    if (right - wide < at) return;
    context.fillStyle = colour;
    context.fillText(words, right, y);
    right -= wide + 9;
  }
};

/**
 * One tile but for its border. `failed`: the strip will not come. The context is scaled to CSS pixels.
 */
export const drawTile = (context, entry, strip, look, layout, seconds, left, top, failed, ink) => {
  const { tile, height, trace } = layout;
  context.fillStyle = ink.paper;
  context.fillRect(left, top, tile, height);
  const x = left + TILE.PAD;
  const width = tile - 2 * TILE.PAD;
  const y = top + TILE.HEAD + TILE.MARKS;
  header(context, entry, strip, look, x, top + TILE.HEAD / 2 + 1, width, ink);
  paper(context, x, y, width, layout, seconds, ink);
  if (strip) {
    const X = (ms) => x + (ms / 1000) * layout.perSecond;
    const Y = (mv) => y + layout.zero - mv * layout.perMillivolt;
    const end = x + Math.min(width, ((strip.values.length >> 1) * strip.step * layout.perSecond) / 1000);
    for (const beat of strip.beats) {
      if (!beat.noise) continue;
      noise(context, Math.max(x, X(beat.time - TILE.BEFORE)), Math.min(end, X(beat.time + TILE.AFTER)), y, trace, ink);
    }
    context.save();
    context.beginPath();
    context.rect(x, y - 1, width, trace + 2);
    context.clip();
    context.lineJoin = "round";
    context.lineWidth = 1;
    context.strokeStyle = ink.trace;
    path(context, strip, 0, Infinity, X, Y);
    context.lineWidth = 1.4;
    strip.beats.forEach((beat, k) => {
      const before = k ? (beat.time + strip.beats[k - 1].time) / 2 : -Infinity;
      const after = k + 1 < strip.beats.length ? (beat.time + strip.beats[k + 1].time) / 2 : Infinity;
      context.strokeStyle = beatMark(beat, look).colour;
      path(context, strip, Math.max(before, beat.time - TILE.BEFORE), Math.min(after, beat.time + TILE.AFTER), X, Y);
    });
    context.restore();
    letters(context, strip, look, X, top + TILE.HEAD + TILE.MARKS / 2, ink);
  } else {
    context.font = `12px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = ink.quiet;
    context.fillText(failed ? "Not loaded" : "…", left + tile / 2, y + trace / 2);
  }
};

/** The border of a tile, by which one sees where one is. `state`: {current, cursor, hover}. */
export const drawBorder = (context, layout, left, top, state, ink) => {
  const { tile, height } = layout;
  context.lineWidth = state.cursor ? 2 : 1;
  context.strokeStyle = state.cursor || state.current || state.hover ? ink.accent : ink.border;
  const inset = state.cursor ? 1 : 0.5;
  context.strokeRect(left + inset, top + inset, tile - 2 * inset, height - 2 * inset);
  if (state.current) {
    context.fillStyle = ink.accent;
    context.fillRect(left, top, 4, height);
  }
};
