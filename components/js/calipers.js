// Calipers on a strip: two legs in time and height, and equal intervals marched out from them along the strip.
import { FONT } from "./paper_marks.js";

const GRIP_PX = 7;
const LEAST_MS = 12; // narrower than that, they measure height alone
const MARCH_MS = 150; // shorter intervals are not marched out: the strip would be full of lines

/** What calipers measure: {ms, rate (a minute), mv}. */
export const measured = ({ from, to }) => {
  const ms = Math.abs(to.ms - from.ms);
  return { ms, rate: ms >= LEAST_MS ? 60000 / ms : NaN, mv: to.mv - from.mv };
};

/** "812 ms · 74/min · +1.20 mV" */
export const measuredWords = (span) => {
  const { ms, rate, mv } = measured(span);
  const height = `${mv >= 0 ? "+" : "−"}${Math.abs(mv).toFixed(2)} mV`;
  return ms < LEAST_MS ? height : `${Math.round(ms)} ms · ${Math.round(rate)}/min${span.flat ? "" : ` · ${height}`}`;
};

/** Which part of the calipers lies under the hand: "from", "to", "both" (the bar between them), or "". */
export const gripOf = (span, geometry, { x, y }) => {
  if (!span) return "";
  const near = GRIP_PX * geometry.dpr;
  const [a, b] = [geometry.x(span.from.ms), geometry.x(span.to.ms)];
  if (y < geometry.top || y > geometry.bottom) return "";
  if (Math.abs(x - b) <= near) return "to";
  if (Math.abs(x - a) <= near) return "from";
  const bar = geometry.y(span.to.mv);
  return x > Math.min(a, b) && x < Math.max(a, b) && Math.abs(y - bar) <= near ? "both" : "";
};

export const paintCalipers = (context, geometry, ink, span) => {
  const { top, bottom, right, origin, dpr } = geometry;
  const [a, b] = [geometry.x(span.from.ms), geometry.x(span.to.ms)];
  const accent = ink.trace;
  const line = (x, dash, alpha) => {
    if (x < origin - 1 || x > right + 1) return;
    context.globalAlpha = alpha;
    context.setLineDash(dash.map((one) => one * dpr));
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, top);
    context.lineTo(Math.round(x) + 0.5, bottom);
    context.stroke();
  };
  context.save();
  context.strokeStyle = accent;
  context.lineWidth = Math.max(1, Math.round(dpr * 1.2));
  const step = Math.abs(b - a);
  const { ms } = measured(span);
  if (span.march && ms >= MARCH_MS) {
    for (let x = Math.max(a, b) + step; x <= right; x += step) line(x, [3, 4], 0.55);
    for (let x = Math.min(a, b) - step; x >= origin; x -= step) line(x, [3, 4], 0.55);
  }
  line(a, [], 0.95);
  if (ms >= LEAST_MS) line(b, [], 0.95);
  context.setLineDash([]);
  context.globalAlpha = 0.95;
  const [low, high] = [geometry.y(span.from.mv), geometry.y(span.to.mv)];
  context.beginPath();
  if (!span.flat) {
    context.moveTo(Math.min(a, b) - 9 * dpr, low);
    context.lineTo(Math.max(a, b) + 9 * dpr, low);
  }
  context.moveTo(Math.min(a, b) - 9 * dpr, high);
  context.lineTo(Math.max(a, b) + 9 * dpr, high);
  context.stroke();
  // The words stand on a plate of their own, inside the paper.
  const words = measuredWords(span);
  context.font = `600 ${12.5 * dpr}px ${FONT}`;
  const wide = context.measureText(words).width + 14 * dpr;
  const tall = 20 * dpr;
  const x = Math.min(Math.max((a + b) / 2 - wide / 2, origin), right - wide - 2 * dpr);
  const over = Math.min(low, high) - tall - 8 * dpr;
  const y = over > top + 66 * dpr ? over : Math.min(Math.max(low, high) + 8 * dpr, bottom - tall - 4 * dpr);
  context.globalAlpha = 1;
  context.fillStyle = ink.trace;
  context.beginPath();
  context.roundRect(x, y, wide, tall, 4 * dpr);
  context.fill();
  context.fillStyle = ink.paper;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(words, x + wide / 2, y + tall / 2 + 0.5 * dpr);
  context.restore();
};
