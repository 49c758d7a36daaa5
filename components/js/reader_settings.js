// How a reader likes her strips: kept in the browser, for all strips and later visits.
const KEPT = "ecg:strip-reader";
const USUAL = { speed: 25, gain: 10, filtered: false, tall: false, scope: "beat", moveOn: true, march: true };

export const readSettings = () => {
  try { return { ...USUAL, ...JSON.parse(localStorage.getItem(KEPT) || "{}") }; } catch { return { ...USUAL }; }
};

export const keepSettings = (settings) => {
  try { localStorage.setItem(KEPT, JSON.stringify(settings)); } catch { /* for this visit alone */ }
};
