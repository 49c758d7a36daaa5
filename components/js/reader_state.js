// A strip as this reader has it now: what the server sent, with the reader's own decisions that it did not have yet laid
// over it. Pure functions on plain objects; nothing here draws or sends.
const NOISE = -1;
const UNLABELLED = -999;

export const SAME_BEAT_MS = 120; // closer than that, no heart beats twice
const SNAP_MS = 40;

const idOf = (look, name) => look.labels.find((one) => one.name === name)?.id ?? UNLABELLED;

/** Target of decisions on a beat or, without one, on its strip. */
export const targetOf = (strip, beat = null) => (beat ? `beat:${strip.hash}:${beat.anchor}` : `strip:${strip.hash}`);

/** The moment of a sample in whole ms, as the engine counts. */
export const msOf = (strip, sample) => Math.round((sample / strip.fs) * 1000);

const withNoise = (beat, noise) => {
  const under = beat.label === NOISE ? beat.under : beat.label;
  if (noise) return { ...beat, noise: 1, label: NOISE, under, reasons: "marked by reader" };
  return { ...beat, noise: 0, reasons: "", label: beat.label === NOISE ? beat.under ?? UNLABELLED : beat.label };
};

const onBeat = (beat, { field, new: value, undoes }, look) => {
  // What was said before the undone word is not known here: the next answer of the server tells.
  const source = undoes ? "" : value === null ? "strip" : "beat";
  if (field === "label") {
    if (value === null) return { ...beat, label: beat.file ?? beat.label, noise: beat.label === NOISE ? 0 : beat.noise, source };
    const label = idOf(look, value);
    if (label === NOISE) return { ...withNoise(beat, true), source };
    // A class says that the beat is valid, whatever flagged it and whoever called it noise.
    return { ...beat, under: label, label, noise: 0, reasons: "", source };
  }
  if (field === "noise") {
    const now = withNoise(beat, String(value) === "1");
    // That it is a beat leaves open who said which; a class that the reader gives now is a word of its own.
    return { ...now, source: undoes || now.noise || now.label === UNLABELLED ? source : beat.label === NOISE ? "" : beat.source };
  }
  if (field === "peak") {
    if (value === null || value === "added") return { ...beat, time: beat.anchor, peak: value };
    return { ...beat, time: Number(value), peak: "moved" };
  }
  if (field === "unsure") return { ...beat, unsure: String(value) === "1" };
  return { ...beat, [field]: value };
};

const onStrip = (strip, { field, new: value }, look) => {
  if (field === "unsure") return { ...strip, unsure: String(value) === "1" };
  if (field !== "label") return { ...strip, [field]: value };
  const label = value === null ? strip.label : idOf(look, value);
  const noise = (beat) => (label === NOISE ? 1 : beat.noise);
  const beats = strip.beats.map((beat) => (beat.source === "strip" ? { ...beat, label, noise: noise(beat) } : beat));
  return { ...strip, label, decided: value !== null, beats };
};

// A beat that only a reader has seen: it has the strip's label, and no features yet.
const newBeat = (anchor, label) => ({
  time: anchor, anchor, id: null, label, noise: label === NOISE ? 1 : 0, reasons: "", source: "strip", prototype: -1,
  seed: null, unsure: false, note: "", peak: "added",
});

/** Lay decisions over a strip, oldest first; an undo within them takes what it undoes out. `lost`: beats that were deleted. */
export const withDecisions = (strip, decisions, look, lost = new Map()) => {
  const here = decisions.filter((made) => made.target.split(":")[1] === strip.hash);
  if (!here.length) return strip;
  const among = new Set(here.map((made) => made.id));
  const gone = new Set();
  for (const made of here) if (made.undoes && among.has(made.undoes)) gone.add(made.id).add(made.undoes);
  let now = strip;
  for (const made of here) {
    if (gone.has(made.id)) continue;
    if (made.target.startsWith("strip:")) {
      now = onStrip(now, made, look);
      continue;
    }
    const anchor = Number(made.target.split(":")[2]);
    const at = now.beats.findIndex((beat) => beat.anchor === anchor);
    let beats = now.beats;
    if (made.field === "peak" && made.new === "deleted") {
      if (at >= 0) lost.set(made.target, beats[at]);
      beats = beats.filter((_, place) => place !== at);
    } else if (at >= 0) {
      const beat = onBeat(beats[at], made, look);
      // An undone "added": nobody says any more that there is one.
      beats = made.undoes && made.old === "added" && made.new === null && made.field === "peak"
        ? beats.filter((_, place) => place !== at) : beats.with(at, beat);
    } else if (made.field === "peak") {
      beats = [...beats, onBeat(lost.get(made.target) || newBeat(anchor, now.label), made, look)];
    }
    now = { ...now, beats: [...beats].sort((a, b) => a.time - b.time) };
  }
  return now;
};

/** Beats, share of noise and mean rate of a strip, as it is now. */
export const countsOf = (strip) => {
  const { beats } = strip;
  const noise = beats.filter((beat) => beat.noise).length;
  const span = beats.length > 1 ? beats[beats.length - 1].time - beats[0].time : 0;
  const rate = span ? (60000 * (beats.length - 1)) / span : NaN;
  return { beats: beats.length, noise, share: beats.length ? noise / beats.length : 0, rate };
};

const levelAround = (z, at, reach) => {
  const part = Array.from(z.subarray(Math.max(0, at - reach), at + reach + 1)).sort((a, b) => a - b);
  return part[part.length >> 1] ?? 0;
};

// Whether the strip's R-peaks point up (1) or down (-1); 0 where nobody can say.
const polarityOf = (strip) => {
  let up = 0;
  const reach = Math.round(strip.fs * 0.3);
  for (const beat of strip.beats) {
    if (beat.noise) continue;
    const at = Math.round((beat.time / 1000) * strip.fs);
    up += Math.sign(strip.z[at] - levelAround(strip.z, at, reach));
  }
  return Math.sign(up);
};

/**
 * The sample in a span of ms that an R-peak would stand on: farthest from the level around it, on the side to which the
 * strip's other R-peaks point, unless the other side reaches much farther.
 */
export const tallest = (strip, from, to) => {
  const { z, fs } = strip;
  const first = Math.max(0, Math.ceil((from / 1000) * fs));
  const last = Math.min(z.length - 1, Math.floor((to / 1000) * fs));
  if (last < first) return -1;
  const level = levelAround(z, (first + last) >> 1, Math.max(last - first, Math.round(fs * 0.3)));
  let [high, low] = [first, first];
  for (let at = first; at <= last; at += 1) {
    if (z[at] > z[high]) high = at;
    if (z[at] < z[low]) low = at;
  }
  const up = z[high] - level;
  const down = level - z[low];
  const points = polarityOf(strip);
  if (points >= 0) return down > up * (points ? 1.6 : 1) ? low : high;
  return up > down * 1.6 ? high : low;
};

/** The local extremum beside a moment, in ms. */
export const snapped = (strip, ms) => {
  const at = tallest(strip, ms - SNAP_MS, ms + SNAP_MS);
  return at < 0 ? Math.round(ms) : msOf(strip, at);
};

/** Where a missed R-peak between a beat and the next would be, in ms; NaN where there is no room for one. */
export const missedAfter = (strip, place) => {
  const end = ((strip.z.length - 1) / strip.fs) * 1000;
  const from = place >= 0 && strip.beats[place] ? strip.beats[place].time + 2 * SAME_BEAT_MS : 0;
  const to = strip.beats[place + 1] ? strip.beats[place + 1].time - 2 * SAME_BEAT_MS : end;
  const at = to - from > 2 * SNAP_MS ? tallest(strip, from, to) : -1;
  return at < 0 ? NaN : msOf(strip, at);
};

/** Place of the beat nearest to a moment, -1 if there is none. */
export const nearest = (strip, ms) => {
  let best = -1;
  strip.beats.forEach((beat, at) => {
    if (best < 0 || Math.abs(beat.time - ms) < Math.abs(strip.beats[best].time - ms)) best = at;
  });
  return best;
};
