// The beat of an item over the template of what it is suggested to be and the prototypes nearest to it; below, what
// differs from the template. The beat that a group is shown at lies among others of the group instead.
import { curveNames, curvesIn } from "./beat_curves.js";
import { cutBeat, difference, nearestShapes } from "./beat_shapes.js";
import { isDark } from "./paper.js";
import { FONT, labelLook } from "./paper_marks.js";
import { element } from "./reader_bar.js";

const TALL_PX = 156;
const NEAR = 2;
const ACCENT = "#058dd1";
const SERIES = ["#b17d05", "#b14fc8"];
const GROUP = "#8a8f98";
const DASHES = [[7, 3], [2, 3]];

// A wave of which every step-th sample is known, at as many places as another.
const stretched = ({ wave, step }, count) => Float32Array.from({ length: count }, (_, at) => {
  const place = Math.min(at / step, wave.length - 1);
  const left = Math.floor(place);
  return wave[left] + (place - left) * ((wave[left + 1] ?? wave[left]) - wave[left]);
});

const compare = (wave, label, shapes, look, group) => {
  const template = shapes.find((one) => one.kind === "template" && one.label === label) || null;
  const name = labelLook(look, label).name;
  const lines = [];
  if (template) {
    lines.push({ name: `template of ${name}`, wave: template.wave, colour: labelLook(look, label).colour, dash: [], wide: 6, alpha: 0.32 });
  }
  if (group) { // a template is the mean of what strips are called, which says little about one patient's beats
    lines.length = 0;
    group.alike.forEach((one, at) => {
      const name = at ? "" : `${group.alike.length} of ${group.count.toLocaleString("en")} in the group`;
      lines.push({ name, wave: stretched(one, wave.length), colour: GROUP, dash: [], wide: 1, alpha: 0.4 });
    });
    return { template: null, lines };
  }
  nearestShapes(wave, shapes.filter((one) => one.kind === "prototype"), NEAR).forEach(({ shape, similarity }, at) => {
    const kind = labelLook(look, shape.label).name;
    lines.push({ name: `prototype ${shape.id}, ${kind}, ${similarity.toFixed(2)}`, wave: shape.wave, colour: SERIES[at], dash: DASHES[at], wide: 1.4, alpha: 0.95 });
  });
  return { template, lines };
};

/** Put the picture into an element. Returns {draw(strip, beat, label, shapes, window, group)}: without a beat it is empty. */
export const createShape = (holder, look) => {
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  const legend = element("div", "legend");
  holder.replaceChildren(canvas, legend);

  const paint = (wave, lines, left, [before, after]) => {
    const dpr = globalThis.devicePixelRatio || 1;
    const wide = Math.max(160, Math.floor(holder.clientWidth));
    const [width, height] = [Math.round(wide * dpr), Math.round(TALL_PX * dpr)];
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      canvas.style.cssText = `width:${wide}px;height:${TALL_PX}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.clearRect(0, 0, wide, TALL_PX);
    const ink = look.inks[isDark(holder) ? "dark" : "light"].text;
    const [start, end, high, low] = [4, wide - 4, 4, left ? 100 : 136];
    const { y, line, shade } = curvesIn(context, wave, lines, [start, end, high, low]);
    const rule = (across, alpha) => {
      context.fillStyle = `rgba(125,130,138,${alpha})`;
      context.fillRect(Math.round(across), high, 1, TALL_PX - 20 - high);
    };
    context.font = `10.5px ${FONT}`;
    context.textBaseline = "middle";
    for (let ms = -Math.floor(before * 10) * 100; ms <= after * 1000; ms += 100) {
      const across = start + ((ms / 1000 + before) / (before + after)) * (end - start);
      rule(across, ms === 0 ? 0.6 : 0.2);
      context.fillStyle = ink;
      context.textAlign = across > end - 12 ? "right" : across < start + 12 ? "left" : "center";
      context.fillText(ms === 0 ? "R" : ms === 400 ? "400 ms" : String(ms), across, TALL_PX - 8);
    }
    lines.forEach((one) => line(one.wave, y, one));
    line(wave, y, { colour: ACCENT, wide: 2.2 });
    if (!left) return;
    const middle = 120;
    const reach = Math.max(1, ...left.wave.map(Math.abs));
    const below = (value) => middle - (value / reach) * 15;
    shade(left.wave, below, middle, "rgba(125,130,138,0.3)");
    line(left.wave, below, { colour: ink, wide: 1.1 });
  };

  const tell = (lines, left, name) => {
    const parts = [{ name: "this beat", colour: ACCENT, dash: [], wide: 2.2 }, ...lines.filter((one) => one.name)];
    legend.replaceChildren(...curveNames(parts));
    if (left) legend.append(element("span", "", `below: difference from the template, rms ${left.rms.toFixed(2)} SD`));
    else if (name) legend.append(element("span", "", `no template of ${name} in this run`));
  };

  const draw = (strip, beat, label, shapes, window, group = null) => {
    const wave = beat && strip ? cutBeat(strip, beat, window) : null;
    holder.classList.toggle("none", !wave);
    if (!wave) return;
    const { template, lines } = compare(wave, label, shapes, look, group);
    const left = template ? difference(wave, template.wave) : null;
    paint(wave, lines, left, window);
    tell(lines, left, shapes.length && !group ? labelLook(look, label).name : "");
    const words = lines.map((one) => one.name).filter(Boolean).join(", ") || "nothing yet";
    canvas.setAttribute("aria-label", `The beat over ${words}${left ? `; it differs from the template by ${left.rms.toFixed(2)} SD` : ""}`);
  };
  return { draw };
};
