// RR intervals under the strip, on the same time axis: each beat at the interval before it, with the rate beside it.
import { FONT, beatMark } from "./paper_marks.js";

const TALL_PX = 74;
const BAND = [600, 1000]; // ms: 100 and 60 a minute
const USUAL = [400, 1200]; // what the axis spans at least, so that strips can be compared

export const createTachogram = (holder, look, pick) => {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.style.display = "block";
  holder.replaceChildren(canvas);
  let now = null;

  const axis = (rr) => {
    const [low, high] = [Math.min(USUAL[0], ...rr), Math.max(USUAL[1], ...rr)];
    return [Math.floor(low / 100) * 100 - 40, Math.ceil(high / 100) * 100 + 40];
  };

  const draw = (strip, view, geometry, ink) => {
    now = { strip, geometry };
    const { dpr, right, origin } = geometry;
    const tall = Math.round(TALL_PX * dpr);
    const wide = right + Math.max(1, Math.round(dpr));
    if (canvas.width !== wide || canvas.height !== tall) {
      canvas.width = wide;
      canvas.height = tall;
      canvas.style.width = `${wide / dpr}px`;
      canvas.style.height = `${tall / dpr}px`;
    }
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, wide, tall);
    const { beats } = strip;
    const rr = beats.slice(1).map((beat, at) => beat.time - beats[at].time);
    const [low, high] = axis(rr);
    const top = 4 * dpr;
    const y = (ms) => top + ((high - ms) / (high - low)) * (tall - 2 * top);
    const text = (words, x, at, align) => {
      context.font = `${11 * dpr}px ${FONT}`;
      context.textAlign = align;
      context.textBaseline = "middle";
      context.fillStyle = ink.text;
      context.fillText(words, x, at);
    };
    context.fillStyle = "rgba(125,130,138,0.10)";
    context.fillRect(origin, y(BAND[1]), right - origin, y(BAND[0]) - y(BAND[1]));
    context.strokeStyle = "rgba(125,130,138,0.45)";
    context.lineWidth = Math.max(1, Math.round(dpr * 0.8));
    for (const ms of BAND) {
      const at = Math.round(y(ms)) + 0.5;
      context.beginPath();
      context.moveTo(origin, at);
      context.lineTo(right, at);
      context.stroke();
      text(String(ms), origin - 4 * dpr, at, "right");
    }
    if (y(BAND[1]) > 18 * dpr) text("RR ms", 2 * dpr, top + 5 * dpr, "left");
    if (rr.length) {
      context.strokeStyle = ink.text;
      context.lineWidth = 1.2 * dpr;
      context.beginPath();
      rr.forEach((ms, at) => context.lineTo(geometry.x(beats[at + 1].time), y(ms)));
      context.save();
      context.globalAlpha = 0.6;
      context.stroke();
      context.restore();
    }
    rr.forEach((ms, at) => {
      const beat = beats[at + 1];
      const x = geometry.x(beat.time);
      if (x < origin || x > right) return;
      const mark = beatMark(beat, look);
      const chosen = at + 1 === view.selected;
      context.beginPath();
      if (beat.noise) context.rect(x - 3 * dpr, y(ms) - 3 * dpr, 6 * dpr, 6 * dpr);
      else context.arc(x, y(ms), (chosen ? 5 : 3.4) * dpr, 0, 7);
      context.fillStyle = mark.colour;
      context.fill();
      if (!chosen) return;
      context.strokeStyle = ink.trace;
      context.lineWidth = 1.5 * dpr;
      context.stroke();
    });
    for (const ms of BAND) text(`${60000 / ms}/min`, right - 4 * dpr, y(ms) + (ms > 800 ? 7 : -7) * dpr, "right");
    const least = rr.length ? Math.min(...rr) : 0;
    const most = rr.length ? Math.max(...rr) : 0;
    const words = rr.length
      ? `RR intervals: ${Math.round(least)} to ${Math.round(most)} ms` : "RR intervals: fewer than two beats";
    if (canvas.getAttribute("aria-label") !== words) canvas.setAttribute("aria-label", words);
  };

  canvas.addEventListener("click", (event) => {
    if (!now || now.strip.beats.length < 1) return;
    const box = canvas.getBoundingClientRect();
    const ms = now.geometry.ms((event.clientX - box.left) * (canvas.width / box.width));
    const away = now.strip.beats.map((beat) => Math.abs(beat.time - ms));
    pick(away.indexOf(Math.min(...away)));
  });

  return { draw, canvas };
};
