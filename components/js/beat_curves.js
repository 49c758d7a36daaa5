// A beat over what it is compared with, as curves in a box of a canvas, and the list that names them.
import { element } from "./reader_bar.js";

/**
 * A scale that holds a beat and other curves, and pens for them: y of a value in strip SD, the least and the
 * most of all; `line` draws a curve, `shade` fills what lies between a curve and a level.
 */
export const curvesIn = (context, wave, lines, [start, end, high, low]) => {
  let [least, most] = [Infinity, -Infinity];
  for (const one of [wave, ...lines.map((line) => line.wave)]) {
    for (const value of one) [least, most] = [Math.min(least, value), Math.max(most, value)];
  }
  const room = (most - least) * 0.05 || 1;
  const x = (i) => start + (i / (wave.length - 1)) * (end - start);
  const y = (value) => low - ((value - least + room) / (most - least + 2 * room)) * (low - high);
  const line = (values, where, { colour, dash = [], wide, alpha = 1 }) => {
    context.save();
    context.globalAlpha = alpha;
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.lineJoin = "round";
    context.setLineDash(dash);
    context.beginPath();
    for (let i = 0; i < Math.min(values.length, wave.length); i += 1) context.lineTo(x(i), where(values[i]));
    context.stroke();
    context.restore();
  };
  const shade = (values, where, level, fill) => {
    context.fillStyle = fill;
    context.beginPath();
    context.moveTo(x(0), level);
    values.forEach((value, i) => context.lineTo(x(i), where(value)));
    context.lineTo(x(wave.length - 1), level);
    context.fill();
  };
  return { y, least, most, line, shade };
};

/** An element for each curve: a sample of its line, and its name. */
export const curveNames = (curves) => curves.map(({ name, colour, dash, wide }) => {
  const item = element("span");
  const sample = element("i");
  const kind = !dash.length ? "solid" : dash[0] > 3 ? "dashed" : "dotted";
  sample.style.cssText = `border-top:${Math.min(5, Math.max(2, wide))}px ${kind} ${colour};opacity:${wide > 5 ? 0.45 : 1}`;
  item.append(sample, document.createTextNode(name));
  return item;
});
