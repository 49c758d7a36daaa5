// Decisions that wait for the server, kept in the browser's storage until it has acknowledged them.
// Every page that is loaded has a key of its own (its "life"), so that no two ever write to the same one; what a page
// left behind is taken over by the next that speaks for the same reader and study.

const BOX = "ecg:outbox:";
const LIFE_LOCK = "ecg:life:";
const SILENT = 90_000; // ms without a sign of life, where the browser has no locks to tell by

/** Random text for ids, no two alike. */
export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// Held for as long as the page lives; the browser lets go of it when the page is gone, however it went.
const hold = (name) => {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((done) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      done(Boolean(lock));
      return lock ? new Promise(() => {}) : undefined;
    }).catch(() => done(true));
  });
};

const LIFE = newId();
hold(LIFE_LOCK + LIFE);

const read = (key) => {
  try {
    const box = JSON.parse(localStorage.getItem(key));
    return box && Array.isArray(box.waiting) && box.study ? box : null;
  } catch {
    return null;
  }
};

const keysOfOthers = () => {
  const keys = [];
  for (let i = 0; i < localStorage.length; i += 1) {
    const key = localStorage.key(i);
    if (key && key.startsWith(BOX) && !key.startsWith(BOX + LIFE)) keys.push(key);
  }
  return keys;
};

/** Id of this tab for leases: it survives a reload, but a duplicated tab gets another one. */
export const tabId = async () => {
  let known = null;
  try { known = sessionStorage.getItem("ecg:tab"); } catch { /* no storage: an id for this page alone */ }
  for (let tries = 0; known && tries < 4; tries += 1) {
    if (!navigator.locks) { known = null; break; }
    if (await hold(`ecg:tab:${known}`)) return known;
    // The page before a reload may take a moment to go.
    await new Promise((done) => { setTimeout(done, 80); });
  }
  const id = newId();
  await hold(`ecg:tab:${id}`);
  try { sessionStorage.setItem("ecg:tab", id); } catch { /* as above */ }
  return id;
};

/** A clock in µs that never stands still and never goes back, not even over a reload. */
export const clock = () => {
  let last = 0;
  try { last = Number(sessionStorage.getItem("ecg:at")) || 0; } catch { /* no storage */ }
  return () => {
    last = Math.max(Date.now() * 1000, last + 1);
    try { sessionStorage.setItem("ecg:at", String(last)); } catch { /* no storage */ }
    return last;
  };
};

/** The outbox of one reader in one study. `stored` says whether the browser keeps it. */
export class Outbox {
  constructor(study, reader) {
    this.study = study;
    this.reader = reader;
    this.key = `${BOX}${LIFE}:${encodeURIComponent(study)}:${encodeURIComponent(reader)}`;
    this.waiting = [];
    this.refused = []; // [{id, why, decision}]
    this.stored = true;
    this.texts = new Map();
  }

  add(decisions) {
    this.waiting.push(...decisions);
    this.save();
  }

  /** Take out what the server has answered; returns the decisions that it refused. */
  answered(acknowledged, refused) {
    const gone = new Set(acknowledged);
    const why = new Map(refused.map((one) => [one.id, one.why]));
    const sentBack = this.waiting.filter((made) => why.has(made.id))
      .map((decision) => ({ id: decision.id, why: why.get(decision.id), decision }));
    this.waiting = this.waiting.filter((made) => !gone.has(made.id) && !why.has(made.id));
    this.refused.push(...sentBack);
    [...gone, ...why.keys()].forEach((id) => this.texts.delete(id));
    this.save();
    return sentBack;
  }

  dismiss(id) {
    this.refused = this.refused.filter((one) => one.id !== id);
    this.save();
  }

  save() {
    // Each decision is spelled once; the list is written whole, so that a page that dies leaves all or the one before.
    const texts = this.waiting.map((made) => {
      if (!this.texts.has(made.id)) this.texts.set(made.id, JSON.stringify(made));
      return this.texts.get(made.id);
    });
    try {
      if (!texts.length && !this.refused.length) localStorage.removeItem(this.key);
      else {
        localStorage.setItem(this.key, `{"study":${JSON.stringify(this.study)},"reader":${JSON.stringify(this.reader)},`
          + `"seen":${Date.now()},"refused":${JSON.stringify(this.refused)},"waiting":[${texts.join(",")}]}`);
      }
      this.stored = true;
    } catch {
      this.stored = false; // full, or a private window: memory has to do
    }
  }

  /**
   * Take over what pages that are gone left for this reader and study.
   * Returns {adopted: [decisions], others: [{study, reader, count}]}: others cannot be sent from here.
   */
  async adopt() {
    const found = { adopted: [], others: [] };
    let keys = [];
    try { keys = keysOfOthers(); } catch { return found; }
    for (const key of keys) {
      const box = read(key);
      if (!box) continue;
      const mine = box.study === this.study && box.reader === this.reader;
      const life = key.slice(BOX.length).split(":")[0];
      await this.ifDead(life, box, () => {
        if (!mine) {
          if (box.waiting.length) found.others.push({ study: box.study, reader: box.reader, count: box.waiting.length });
          return;
        }
        const fresh = read(key); // another tab may have been quicker
        if (!fresh) return;
        const known = new Set(this.waiting.map((made) => made.id));
        const taken = fresh.waiting.filter((made) => made && made.id && !known.has(made.id));
        this.waiting = [...this.waiting, ...taken].sort((a, b) => a.at - b.at);
        this.refused.push(...(fresh.refused || []));
        this.save();
        // Only when it lies under our own key; else it stays where it is, and is sent from memory all the same.
        if (this.stored) localStorage.removeItem(key);
        found.adopted.push(...taken);
      });
    }
    return found;
  }

  async ifDead(life, box, then) {
    if (!navigator.locks) {
      if (Date.now() - (box.seen || 0) > SILENT) then();
      return;
    }
    await navigator.locks.request(LIFE_LOCK + life, { ifAvailable: true }, (lock) => { if (lock) then(); });
  }
}
