// A beat among the shapes it may be: cut from its strip, and compared with templates, prototypes and the strip's median.

/** Samples of a beat around its R-peak in strip SD, null where the window leaves the strip. */
export const cutBeat = (strip, beat, [before, after]) => {
  const at = Math.round((beat.time / 1000) * strip.fs);
  const from = at - Math.round(before * strip.fs);
  const to = at + Math.round(after * strip.fs) + 1;
  return from < 0 || to > strip.z.length ? null : strip.z.subarray(from, to);
};

export const cosine = (one, other) => {
  let [product, first, second] = [0, 0, 0];
  const n = Math.min(one.length, other.length);
  for (let i = 0; i < n; i += 1) {
    product += one[i] * other[i];
    first += one[i] * one[i];
    second += other[i] * other[i];
  }
  return product / Math.max(Math.sqrt(first * second), 1e-12);
};

/** The nearest of shapes by cosine, nearest first: [{shape, similarity}]. */
export const nearestShapes = (wave, shapes, count) => shapes
  .map((shape) => ({ shape, similarity: cosine(wave, shape.wave) }))
  .sort((a, b) => b.similarity - a.similarity)
  .slice(0, count);

/** The sample-wise median of a strip's beats that are no noise; null with fewer than three. */
export const medianBeat = (strip, window) => {
  const cuts = strip.beats.filter((beat) => !beat.noise).map((beat) => cutBeat(strip, beat, window)).filter(Boolean);
  if (cuts.length < 3) return null;
  const middle = cuts.length >> 1;
  const column = new Float32Array(cuts.length);
  return Float32Array.from({ length: cuts[0].length }, (_, at) => {
    cuts.forEach((cut, i) => { column[i] = cut[at]; });
    column.sort();
    return cuts.length % 2 ? column[middle] : (column[middle - 1] + column[middle]) / 2;
  });
};

export const difference = (one, other) => {
  const left = Float32Array.from(one, (value, at) => value - (other[at] ?? 0));
  let sum = 0;
  for (const value of left) sum += value * value;
  return { wave: left, rms: Math.sqrt(sum / Math.max(1, left.length)) };
};
