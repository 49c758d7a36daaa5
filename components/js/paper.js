// Strips on ECG paper, on a canvas: grid-accurate at any pixel density, never rescaled to fit.
//
//   const paper = createPaper(holder, look);
//   paper.draw(stripOf(frame, header), { speed: 25, gain: 10, selected: 3, title: "Strip 12" });
//
// Three layers: the grid (kept until size or colours change), the strip with its marks, and an overlay that moves under
// the hand. Millimetres are device pixels: a large box has a whole number of them, so that every line is crisp.
import { FONT, MARKS, drawMarks, drawWindows, labelLook } from "./paper_marks.js";

export const PAPER = {
  WIDE_MM: 264, // ten seconds at 25 mm/s with the calibration pulse: what the width of the page is divided by
  LEAD_MM: 10, // column of the calibration pulse, before the strip
  PULSE_MM: [2, 5, 2], // foot, top and foot of the 1 mV pulse
  LEAST_BOX: 10, // device pixels of a large box, at least
  TITLE_PX: 26,
  PRINT_PX: 22,
  HEAD_PX: 62, // markers, intervals and rates above the trace
  FOOT_PX: 16, // numbers below it
};

export const medianOf = (values) => {
  if (!values.length) return 0;
  const sorted = Float32Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

// A strip of a frame with its traces: `z` as the engine sees it, `raw` and `filtered` in millivolts around their median.
export const stripOf = (frame, header) => {
  const millivolts = (units) => {
    const zero = medianOf(units);
    return units.map((value) => (value - zero) / header.units_per_mv);
  };
  const z = frame.trace(header.filtered);
  const [scale, zero] = header.to_units;
  const filtered = millivolts(z.map((value) => zero + scale * value));
  return { ...header, z, filtered, raw: header.raw ? millivolts(frame.trace(header.raw)) : filtered };
};

// Whether the page is dark, by its own background.
export const isDark = (holder) => {
  const colour = getComputedStyle(holder).getPropertyValue("--st-background-color").trim();
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = "#fff";
  probe.fillStyle = colour;
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(probe.fillStyle.slice(at, at + 2), 16));
  return 0.3 * red + 0.59 * green + 0.11 * blue < 128;
};

const extent = (samples) => {
  let low = 0;
  let high = 0;
  for (const value of samples) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
};

// Where everything lies, in device pixels. `view` as draw() takes it; `width` in device pixels.
const paperGeometry = (strip, view, width, dpr) => {
  const { speed, gain } = view;
  const wanted = width / (PAPER.WIDE_MM / 5);
  const whole = Math.floor(wanted / 5) * 5; // small boxes of a whole number of pixels, where little room is lost
  const box = Math.max(PAPER.LEAST_BOX, whole >= 0.85 * wanted ? whole : Math.floor(wanted));
  const mm = box / 5;
  const head = Math.ceil((PAPER.HEAD_PX * dpr) / mm);
  const foot = Math.ceil((PAPER.FOOT_PX * dpr) / mm);
  const wished = view.height || (head + foot + 3 + (view.span || 2.5) * gain) * (view.stretch || 1);
  const tall = Math.ceil(Math.max(head + foot + 25, Math.min(wished, view.most || 80)) / 5) * 5;
  const top = Math.round(PAPER.TITLE_PX * dpr);
  const columns = Math.floor(width / mm);
  const samples = view.filtered ? strip.filtered : strip.raw;
  const [low, high] = extent(samples);
  // The zero line stands on a large line, with the trace in the middle of what is left between marks and numbers.
  const spare = tall - head - foot - (high - low) * gain;
  const middle = spare >= 0 ? head + spare / 2 + high * gain : Math.min(head + high * gain, tall - foot + low * gain);
  const zero = Math.min(tall - 5, Math.max(10, Math.round(middle / 5) * 5));
  const line = (millimetres) => Math.round(millimetres * mm);
  const seconds = samples.length / strip.fs;
  const seen = (columns - PAPER.LEAD_MM) / speed; // seconds of paper after the calibration pulse
  const from = Math.max(0, Math.min(view.from || 0, seconds - seen + 2 / speed));
  const origin = line(PAPER.LEAD_MM);
  return {
    box, mm, tall, columns, top, zero, head, foot, low, high, samples, seconds, seen, from, dpr, speed, gain, origin,
    left: 0,
    right: line(columns),
    bottom: top + line(tall),
    height: top + line(tall) + Math.round(PAPER.PRINT_PX * dpr),
    line,
    x: (ms) => origin + (ms / 1000 - from) * speed * mm,
    y: (mv) => top + zero * mm - mv * gain * mm,
    ms: (x) => ((x - origin) / (speed * mm) + from) * 1000,
    mv: (y) => (top + zero * mm - y) / (gain * mm),
    cut: high * gain > zero || -low * gain > tall - zero,
  };
};

const drawGrid = (canvas, geometry, ink) => {
  const { top, bottom, right, columns, tall, dpr, line } = geometry;
  canvas.width = right + Math.max(1, Math.round(dpr));
  canvas.height = geometry.height;
  const context = canvas.getContext("2d");
  context.fillStyle = ink.paper;
  context.fillRect(0, top, right, bottom - top);
  const rule = (each, thick, colour) => {
    context.fillStyle = colour;
    for (let at = 0; at <= columns; at += each) context.fillRect(line(at), top, thick, bottom - top + thick);
    for (let at = 0; at <= tall; at += each) context.fillRect(0, top + line(at), right + thick, thick);
  };
  rule(1, Math.max(1, Math.round(dpr * 0.6)), ink.small);
  rule(5, Math.max(1, Math.round(dpr)), ink.large);
};

const printedLine = (strip, view) => {
  const filter = view.filtered && view.filter ? `${view.filter[0]}–${view.filter[1]} Hz` : "unfiltered";
  const units = `${strip.units_per_mv} units/mV${view.assumed ? " (assumed)" : ""}`;
  const boxes = `large box ${5 / view.speed} s × ${5 / view.gain} mV`;
  const rate = `${Number(strip.fs.toFixed(2))} Hz`;
  return [`${view.speed} mm/s`, `${view.gain} mm/mV`, filter, rate, units, boxes].join("   ");
};

const drawPrint = (context, geometry, strip, view, ink) => {
  const { dpr, top, bottom, right } = geometry;
  const text = (words, x, y, size, align, colour, weight = "") => {
    context.font = `${weight} ${size * dpr}px ${FONT}`;
    context.textAlign = align;
    context.fillStyle = colour;
    context.fillText(words, x, y);
  };
  context.textBaseline = "alphabetic";
  if (view.aside) text(view.aside, right - 2 * dpr, top - 9 * dpr, 13, "right", view.page);
  const room = right - 24 * dpr - (view.aside ? context.measureText(view.aside).width : 0);
  if (view.title) {
    context.font = `600 ${15 * dpr}px ${FONT}`;
    let { title } = view;
    while (title.length > 8 && context.measureText(title).width > room) title = `${title.slice(0, -2).trimEnd()}…`;
    text(title, 2 * dpr, top - 9 * dpr, 15, "left", view.page, "600");
  }
  text(printedLine(strip, view), 2 * dpr, bottom + 15 * dpr, 12, "left", view.quiet);
  const { seen, from, seconds } = geometry;
  if (seconds > seen + 0.01) {
    const part = `${from.toFixed(1)} to ${Math.min(seconds, from + seen).toFixed(1)} of ${seconds.toFixed(1)} s`;
    text(part, right - 2 * dpr, bottom + 15 * dpr, 12, "right", view.quiet);
  }
  if (geometry.cut) {
    const span = `${geometry.low.toFixed(1)} to ${geometry.high.toFixed(1)} mV`;
    const words = `The trace leaves the paper (${span}): lower the gain or make the paper taller.`;
    context.font = `600 ${11.5 * dpr}px ${FONT}`;
    const wide = context.measureText(words).width + 12 * dpr;
    context.fillStyle = ink.paper;
    context.fillRect(right - wide - 4 * dpr, bottom - 38 * dpr, wide, 17 * dpr);
    text(words, right - 10 * dpr, bottom - 25 * dpr, 11.5, "right", "#b63535", "600");
  }
};

const drawTrace = (context, geometry, ink) => {
  const { samples, top, bottom, right, origin, mm, dpr, speed, from, gain, zero } = geometry;
  context.save();
  context.beginPath();
  context.rect(0, top, right, bottom - top);
  context.clip();
  context.strokeStyle = ink.trace;
  context.lineWidth = 1.35 * dpr;
  context.lineJoin = "round";
  context.beginPath();
  // The calibration pulse: 1 mV.
  const [foot, high] = PAPER.PULSE_MM;
  const level = top + zero * mm;
  let x = 0.5 * mm;
  context.moveTo(x, level);
  context.lineTo((x += foot * mm), level);
  context.lineTo(x, level - gain * mm);
  context.lineTo((x += high * mm), level - gain * mm);
  context.lineTo(x, level);
  context.lineTo(x + PAPER.PULSE_MM[2] * mm, level);
  context.stroke();
  context.beginPath();
  context.rect(origin, top, right - origin, bottom - top);
  context.clip();
  context.beginPath();
  const each = (speed * mm) / geometry.fs;
  const first = Math.max(0, Math.floor(from * geometry.fs) - 1);
  const last = Math.min(samples.length - 1, Math.ceil((right - origin) / each + from * geometry.fs) + 1);
  const up = gain * mm;
  for (let at = first; at <= last; at += 1) {
    context.lineTo(origin + (at - from * geometry.fs) * each, level - samples[at] * up);
  }
  context.stroke();
  context.restore();
};

// What who cannot see the strip hears of it.
export const stripWords = (strip, look, view) => {
  const counts = new Map();
  for (const beat of strip.beats) {
    const name = beat.noise ? "noise" : labelLook(look, beat.label).name;
    counts.set(name, (counts.get(name) || 0) + 1);
  }
  const mix = [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
  const seconds = (strip.raw.length / strip.fs).toFixed(1);
  const one = strip.beats[view.selected];
  const hand = one
    ? ` Beat ${view.selected + 1} is in hand: ${labelLook(look, one.label).name}, at ${(one.time / 1000).toFixed(2)} s.`
    : "";
  return `${view.title || "Strip"}. ECG strip of ${seconds} s, ${strip.beats.length} beats${mix ? `: ${mix}` : ""}.${hand}`;
};

// Put ECG paper into an element. Returns
//   draw(strip, view): view = {speed, gain, filtered, selected, from, height (mm), title, aside, assumed, filter: [lo, hi],
//     window: [before, after] in seconds, rr, rates, numbers, ink: "light" | "dark" (else as the page); where no height is
//     said: span (mV that must fit), most (mm), stretch}
//   overlay(paint): clear the layer under the hand and let paint(context, geometry) draw on it; nothing clears it
//   hit(event) → {x, y (device pixels), ms, mv, beat (place of the nearest, or -1), near (ms to it), inside, mark}
//   geometry(), ink(), redraw(), show(ms) → seconds to scroll to so that it is in view, destroy()
export function createPaper(holder, look) {
  const canvas = document.createElement("canvas");
  const above = document.createElement("canvas");
  const grid = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  above.setAttribute("aria-hidden", "true");
  holder.classList.add("ecg-paper");
  holder.style.position = "relative";
  canvas.style.cssText = "display:block";
  above.style.cssText = "position:absolute;left:0;top:0;pointer-events:none";
  holder.replaceChildren(canvas, above);
  let now = null;
  let geometry = null;
  let gridKey = "";
  let printing = false;
  let painted = null;
  let words = "";

  const theme = () => (printing ? "light" : now.view.ink || (isDark(holder) ? "dark" : "light"));

  const redraw = () => {
    if (!now) return;
    const dpr = globalThis.devicePixelRatio || 1;
    const width = Math.floor((holder.clientWidth || 1000) * dpr);
    const { strip } = now;
    const name = theme();
    const ink = look.inks[name];
    const view = { ...now.view, page: name === "dark" ? "#e4ecf0" : "#1c2a33", quiet: ink.text };
    geometry = paperGeometry(strip, view, width, dpr);
    geometry.fs = strip.fs;
    const key = [geometry.box, geometry.columns, geometry.tall, dpr, name].join();
    if (key !== gridKey) {
      drawGrid(grid, geometry, ink);
      gridKey = key;
    }
    for (const layer of [canvas, above]) {
      if (layer.width === grid.width && layer.height === grid.height) continue;
      layer.width = grid.width;
      layer.height = grid.height;
      layer.style.width = `${grid.width / dpr}px`;
      layer.style.height = `${grid.height / dpr}px`;
      holder.style.height = `${grid.height / dpr}px`;
    }
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(grid, 0, 0);
    drawWindows(context, geometry, strip, view);
    drawTrace(context, geometry, ink);
    drawMarks(context, geometry, strip, view, look, ink);
    drawPrint(context, geometry, strip, view, ink);
    const said = stripWords(strip, look, view);
    if (said !== words) canvas.setAttribute("aria-label", (words = said));
    if (painted) overlay(painted);
  };

  const overlay = (paint) => {
    painted = paint;
    const context = above.getContext("2d");
    context.clearRect(0, 0, above.width, above.height);
    if (paint && geometry && now) paint(context, geometry, look.inks[theme()]);
  };

  const hit = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * (canvas.width / box.width);
    const y = (event.clientY - box.top) * (canvas.height / box.height);
    const ms = geometry.ms(x);
    let beat = -1;
    let near = Infinity;
    now.strip.beats.forEach((one, at) => {
      const away = Math.abs(one.time - ms);
      if (away < near) [near, beat] = [away, at];
    });
    const inside = y >= geometry.top && y <= geometry.bottom && x >= geometry.origin - 2 && x <= geometry.right
      && ms >= -20 && ms <= geometry.seconds * 1000 + 20;
    const mark = inside && y < geometry.top + MARKS.ROW_PX * geometry.dpr * 2
      && near * (geometry.speed * geometry.mm / 1000) <= MARKS.RADIUS_PX * geometry.dpr + 2;
    return { x, y, ms, mv: geometry.mv(y), beat, near, inside, mark };
  };

  // Seconds at which the paper must begin so that a moment is in view; pages overlap by a second.
  const show = (ms, from = now.view.from || 0) => {
    const { seen, seconds } = geometry;
    const at = ms / 1000;
    if (seconds <= seen + 0.01) return 0;
    if (at >= from + 0.4 && at <= from + seen - 0.4) return from;
    const step = Math.max(0.5, seen - 1);
    return Math.max(0, Math.min(Math.floor(Math.max(0, at - 0.5) / step) * step, seconds - seen + 2 / geometry.speed));
  };

  const watch = new ResizeObserver(() => {
    const dpr = globalThis.devicePixelRatio || 1;
    if (geometry && (dpr !== geometry.dpr || Math.floor(holder.clientWidth * dpr) !== redraw.width)) redraw();
    redraw.width = Math.floor(holder.clientWidth * dpr);
  });
  watch.observe(holder);
  // A probe whose colour follows the page's: its transition tells when the theme changes.
  const probe = document.createElement("i");
  probe.style.cssText = "position:absolute;width:0;height:0;background:var(--st-background-color);transition:background .01s";
  probe.addEventListener("transitionend", redraw);
  holder.append(probe);
  document.fonts?.ready.then(redraw);
  const onPrint = (event) => {
    printing = event.type === "beforeprint";
    redraw();
  };
  addEventListener("beforeprint", onPrint);
  addEventListener("afterprint", onPrint);
  let density = null;
  const onDensity = () => {
    density?.removeEventListener("change", onDensity);
    density = matchMedia(`(resolution: ${globalThis.devicePixelRatio}dppx)`);
    density.addEventListener("change", onDensity);
    redraw();
  };
  onDensity();

  return {
    canvas,
    draw: (strip, view) => {
      now = { strip, view: { speed: 25, gain: 10, selected: -1, ...view } };
      redraw();
    },
    redraw,
    overlay,
    hit,
    show,
    geometry: () => geometry,
    ink: () => look.inks[theme()],
    destroy: () => {
      watch.disconnect();
      density?.removeEventListener("change", onDensity);
      removeEventListener("beforeprint", onPrint);
      removeEventListener("afterprint", onPrint);
      holder.replaceChildren();
    },
  };
}
