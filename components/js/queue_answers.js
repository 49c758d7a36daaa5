// What an answer to an item says: the decisions that it makes, and what they change on the strip meanwhile.
import { withDecisions } from "./reader_state.js";

const SAID_OF_IT = new Set(["beat", "group", "prototype"]);
const VERDICTS = new Set(["label", "noise"]);
const NOISE = -1;
const UNLABELLED = -999;

/** Name of a label by id. */
export const labelName = (look, id) => look.labels.find((one) => one.id === id)?.name ?? `Label ${id}`;

export const labelId = (look, name) => look.labels.find((one) => one.name === name)?.id ?? null;

/**
 * The beat of an item (of a group the one that it is shown at), or null for a strip. By its anchor: its place changes with
 * R-peaks that are added before it.
 */
export const beatOf = (item, strip) => {
  if (item.kind === "strip" || !strip) return null;
  const anchor = Number((item.kind === "group" ? item.shown : item.key).split(":")[2]);
  return strip.beats.find((beat) => beat.anchor === anchor) || strip.beats[item.beat] || null;
};

const nowOf = (item, strip, look) => {
  const beat = beatOf(item, strip);
  const label = beat ? beat.label : strip?.label;
  return Number.isFinite(label) ? labelName(look, label) : null;
};

// What a word on a group must remember: its members, so that another run of the file finds them again, and which of
// them the reader saw.
const payloadOf = (item) => (item.kind === "group" ? { payload: { members: item.members, shown: item.shown } } : {});

const labelled = (item, strip, look, field, label, reason) => [{ target: item.key, field, new: labelName(look, label),
  old: item.kind === "group" ? null : nowOf(item, strip, look), reason, ...payloadOf(item) }];

/**
 * Accepting a suggestion: it stays the model's, unless a reader has already said something of this beat, or the beat is
 * left out as noise: that takes the reader's own word, which says at once that it is a beat.
 */
export const accept = (item, strip, look, reason) => {
  const beat = beatOf(item, strip);
  const field = !beat || item.kind === "group" || beat.noise || item.blind || SAID_OF_IT.has(beat.source) ? "label" : "refined";
  return labelled(item, strip, look, field, item.suggestion, reason);
};

export const label = (item, strip, look, id, reason) => {
  if (id === NOISE && item.kind !== "strip") return noise(item, strip, 1, reason);
  return labelled(item, strip, look, "label", id, reason);
};

export const noise = (item, strip, value, reason) => [{ target: item.key, field: "noise", new: String(value),
  old: item.kind === "group" ? null : String(beatOf(item, strip)?.noise ? 1 : 0), reason, ...payloadOf(item) }];

export const unsure = (item, reason) => [{ target: item.key, field: "unsure", new: "1", old: null, reason, ...payloadOf(item) }];

/** The note on what an item is about: a group, a beat, a strip. `decisions`: own ones that the server may not know yet. */
export const noteOf = (item, strip, decisions) => {
  if (item.kind !== "group") return (beatOf(item, strip) || strip)?.note || "";
  const undone = new Set(decisions.map((made) => made.undoes).filter(Boolean));
  const last = decisions.filter((made) => made.target === item.key && made.field === "note" && !made.undoes && !undone.has(made.id)).at(-1);
  return (last ? last.new : item.note) || "";
};

export const note = (item, strip, text, reason, before) => [{ target: item.key, field: "note", new: text || null,
  old: before || null, reason, ...payloadOf(item) }];

/** Seed on or off; null where there is no label to be a seed of. */
export const seed = (item, strip, look, reason) => {
  const beat = beatOf(item, strip);
  if (!beat) return null;
  const target = item.kind === "group" ? item.shown : item.key; // a seed is one beat
  if (beat.seed !== null && beat.seed !== undefined) {
    return [{ target, field: "seed", new: null, old: labelName(look, idOf(beat.seed, look)), reason }];
  }
  return beat.label === UNLABELLED ? null
    : [{ target, field: "seed", new: labelName(look, beat.label), old: null, reason }];
};

const idOf = (value, look) => (typeof value === "string" ? labelId(look, value) : value);

/** A strip with own decisions laid over it that its data does not have yet; a word on a group reaches its beats here. */
export const laidOver = (strip, decisions, look) => {
  const undone = new Set(decisions.map((made) => made.undoes).filter(Boolean));
  const holds = (made) => !made.undoes && !undone.has(made.id);
  const target = (anchor) => `beat:${strip.hash}:${anchor}`;
  const own = new Set(strip.beats.filter((beat) => beat.source === "beat").map((beat) => target(beat.anchor)));
  decisions.filter((made) => VERDICTS.has(made.field) && holds(made)).forEach((made) => own.add(made.target));
  const reached = new Set();
  const said = decisions.flatMap((made) => {
    if (!made.target.startsWith("group:")) return [made.field === "refined" ? { ...made, field: "label" } : made];
    if (!VERDICTS.has(made.field) || !holds(made)) return [];
    // What the reader said of one beat stands, whichever came first.
    const beats = (made.payload?.members?.[strip.hash] || []).map(target).filter((one) => !own.has(one));
    beats.forEach((one) => reached.add(one));
    return beats.map((one) => ({ ...made, id: `${made.id}@${one}`, target: one }));
  });
  const now = withDecisions(strip, said, look);
  if (!reached.size) return now;
  return { ...now, beats: now.beats.map((beat) => (reached.has(target(beat.anchor)) ? { ...beat, source: "group" } : beat)) };
};

/** The step to undo: the newest of this window that holds, else the newest of those that Python knows of. */
export const lastStep = (log, known, version) => {
  const undone = new Set(log.map((made) => made.undoes).filter(Boolean));
  const listed = new Set(known.flat().map((made) => made.id));
  const oldest = known.length ? Math.min(...known.flat().map((made) => made.at)) : Infinity;
  // Undone elsewhere: Python has seen it, and does not count it among those that hold.
  const gone = (made) => made.kept !== null && made.kept <= version && made.at >= oldest && !listed.has(made.id);
  const own = log.filter((made) => !made.undoes && !undone.has(made.id) && !gone(made));
  const others = known.filter((step) => !step.some((made) => undone.has(made.id)));
  const last = own.at(-1);
  const older = others.at(-1);
  if (!last) return older || null;
  const { batch } = last.payload || {};
  return batch ? own.filter((made) => made.payload?.batch === batch) : [last];
};
