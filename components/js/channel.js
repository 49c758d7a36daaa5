// The channel beside the page: decisions go out and are kept until the store has them, strips and items come in.
// One for a window: it outlives the components that use it, so that a page that is left in mid-typing loses nothing.
import { Outbox, clock, newId, tabId } from "./outbox.js";
import { readFrame } from "./frames.js";

const ANSWER = 2500; // ms without an answer before a message is sent again
const LONGEST = 8000; // ms between two tries at most
const MOST = 500; // decisions in one message
const SILENCE = 20_000; // ms that a question may stay without an answer
const LAST_WORDS = 60_000; // bytes that a browser sends for a page that is gone
const LOG = 4000; // own decisions that are remembered
const LOOK = 15_000; // ms between looks for what other pages left behind

const OFFLINE = { code: "offline", sentence: "The server does not answer; it is asked again by itself." };
const BUSY = { code: "database", sentence: "The database does not answer; it is asked again by itself." };
const STALE = { code: "stale", sentence: "The page is asked for a new pass to the server." };
const CLEAR = { code: "", sentence: "" };

const tick = clock();

class Channel {
  constructor(who) {
    this.listeners = new Map();
    this.outbox = new Outbox(who.study, who.reader);
    this.log = []; // own decisions of this window, oldest first: {...decision, kept: version or null}
    this.trouble = CLEAR;
    this.most = MOST;
    this.failures = 0;
    this.flying = null;
    this.timer = 0;
    this.renewals = [];
    this.tab = tabId();
    this.renew(who);
    this.watch();
    this.adopt();
  }

  /** Take a new token, or a newer version, from Python. */
  renew({ base, token, study, reader, version }) {
    Object.assign(this, { base: String(base || "").replace(/\/*(channel\/*)?$/, ""), study, reader });
    this.version = Math.max(this.version || 0, version || 0);
    if (token && token !== this.token) {
      this.token = token;
      if (this.trouble.code === "stale") this.say(CLEAR);
      this.renewals.splice(0).forEach((done) => done());
      this.retry();
    }
  }

  on(event, fn) {
    if (!this.listeners.has(event)) this.listeners.set(event, new Set());
    this.listeners.get(event).add(fn);
    return () => this.listeners.get(event).delete(fn);
  }

  emit(event, detail) {
    for (const fn of [...(this.listeners.get(event) || [])]) {
      try { fn(detail); } catch (error) { console.error(error); }
    }
  }

  say(trouble) {
    if (trouble.code === this.trouble.code && trouble.sentence === this.trouble.sentence) return;
    this.trouble = trouble;
    this.emit("trouble", trouble);
  }

  /** How many decisions the server has not acknowledged. */
  waiting() { return this.outbox.waiting.length; }

  /** Whether the browser keeps what waits; false in a private window or where its storage is full. */
  stored() { return this.outbox.stored; }

  /** Decisions that the server refused, with the reason, until they are dismissed. */
  refusals() { return [...this.outbox.refused]; }

  dismiss(id) {
    this.outbox.dismiss(id);
    this.emit("refused", this.refusals());
  }

  /** Make a decision: it is kept here at once and sent in a moment. Returns it with its id and time. */
  decide(decision) { return this.decideAll([decision])[0]; }

  /** Make several at once. With `batch` true they are undone in one go. */
  decideAll(decisions, { batch = decisions.length > 1 } = {}) {
    const together = batch && decisions.length > 1 ? { batch: newId() } : {};
    const made = decisions.map(({ target, field, new: next, old = null, reason = "", undoes = null, payload = {} }) => ({
      id: newId(), at: tick(), target, field, new: next ?? null, old: old ?? null, reason, undoes,
      payload: { ...payload, ...together },
    }));
    this.outbox.add(made);
    this.note(made);
    this.emit("waiting", { count: this.waiting() });
    if (!this.failures) this.soon(0);
    return made;
  }

  /** Undo one decision, or all of a list in one go. Returns the undos. */
  undo(decision) {
    const list = Array.isArray(decision) ? decision : [decision];
    return this.decideAll(list.map((made) => ({
      target: made.target, field: made.field, new: made.old, old: made.new, undoes: made.id,
    })), { batch: false });
  }

  /** Own decisions that data of a version may not have yet, in the order in which they were made. */
  since(version) { return this.log.filter((made) => made.kept === null || made.kept > version); }

  note(made) {
    this.log.push(...made.map((one) => ({ ...one, kept: null })));
    if (this.log.length > LOG) this.log = this.log.filter((one, i) => one.kept === null || i > this.log.length - LOG / 2);
  }

  // Sending: one message at a time, with all that waits.

  soon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), ms);
  }

  retry() {
    this.failures = 0;
    if (this.waiting() && !this.flying) this.soon(0);
  }

  async send() {
    if (this.flying || !this.waiting() || !this.token) return;
    const batch = this.outbox.waiting.slice(0, this.most);
    const flight = new AbortController();
    this.flying = flight;
    const late = setTimeout(() => flight.abort(), Math.min(ANSWER * (1 + this.failures), 4 * ANSWER));
    let again = 0;
    try {
      const response = await this.ask("decisions", { decisions: batch }, { signal: flight.signal });
      again = response.ok ? this.kept(await response.json(), batch) : await this.rejected(response, batch);
    } catch {
      again = this.failed(OFFLINE);
    } finally {
      clearTimeout(late);
      this.flying = null;
    }
    if (this.waiting() && again !== null) this.soon(again);
  }

  // Each of these returns the ms to wait before the next message; null to wait for something else.

  kept({ acknowledged = [], refused = [], version = 0 }, batch) {
    const before = this.waiting();
    const sentBack = this.outbox.answered(acknowledged, refused);
    const ids = new Set(acknowledged);
    const gone = new Set(refused.map((one) => one.id));
    for (const made of this.log) if (ids.has(made.id) && made.kept === null) made.kept = version;
    if (gone.size) this.log = this.log.filter((made) => !gone.has(made.id));
    this.version = Math.max(this.version, version);
    if (ids.size) this.emit("kept", { ids: [...ids], version });
    if (sentBack.length) this.emit("refused", this.refusals());
    this.emit("waiting", { count: this.waiting() });
    if (this.waiting() === before && batch.length) return this.failed(BUSY);
    this.failures = 0;
    this.most = Math.min(MOST, this.most * 2);
    if (this.trouble.code !== "others") this.say(CLEAR);
    return 0;
  }

  async rejected(response, batch) {
    const { error = "", code = "" } = await response.json().catch(() => ({}));
    if (response.status === 403 && (code === "stale" || code === "token")) {
      this.askForToken();
      return this.failed(STALE, LONGEST);
    }
    if (response.status === 403) return this.failed({ code, sentence: error }, LONGEST);
    if (response.status === 400 || response.status === 413) {
      // Something in it cannot be read: halve it until the one that spoils the rest stands alone, and put that aside.
      if (batch.length > 1) {
        this.most = Math.ceil(batch.length / 2);
        return 50;
      }
      this.outbox.answered([], [{ id: batch[0].id, why: error || "The server could not read it." }]);
      this.emit("refused", this.refusals());
      this.emit("waiting", { count: this.waiting() });
      return 0;
    }
    return this.failed(BUSY);
  }

  failed(trouble, wait = 0) {
    this.failures += 1;
    this.say(trouble);
    return wait || Math.min(ANSWER * 1.5 ** (this.failures - 1), LONGEST);
  }

  askForToken() { this.emit("stale", {}); }

  ask(route, body, options = {}) {
    return fetch(`${this.base}/channel/${route}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${this.token}` },
      body: typeof body === "string" ? body : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      ...options,
    });
  }

  /** Ask a route for framed bytes: {header, trace}. Throws an Error with `code` where there are none. */
  async fetchFrame(route, body, { signal } = {}) {
    const response = await this.fetchRoute(route, body, { signal });
    return readFrame(await response.arrayBuffer());
  }

  /** Ask a route for JSON. */
  async fetchJson(route, body, { signal } = {}) { return (await this.fetchRoute(route, body, { signal })).json(); }

  async fetchRoute(route, body, { signal }) {
    for (let tries = 0; ; tries += 1) {
      let response;
      try {
        response = await this.ask(route, body, { signal: signal || AbortSignal.timeout(SILENCE) });
      } catch (error) {
        throw Object.assign(new Error(OFFLINE.sentence), { code: signal?.aborted ? "aborted" : "offline", cause: error });
      }
      if (response.ok) {
        if (this.failures) this.retry();
        return response;
      }
      const { error = "", code = "" } = await response.json().catch(() => ({}));
      const old = response.status === 403 && (code === "stale" || code === "token");
      if (!old || tries) throw Object.assign(new Error(error || BUSY.sentence), { code: code || String(response.status) });
      this.askForToken();
      await new Promise((done) => { this.renewals.push(done); setTimeout(done, LONGEST); });
    }
  }

  /** Say something for a page that is going, without waiting for the answer. */
  tell(route, body) {
    const text = JSON.stringify(body);
    if (!this.token || text.length > LAST_WORDS) return;
    try { this.ask(route, text, { keepalive: true }).catch(() => {}); } catch { /* the page is gone */ }
  }

  flush() {
    if (!this.waiting() || !this.token) return;
    const texts = [];
    let size = 20;
    for (const made of this.outbox.waiting) {
      const text = JSON.stringify(made);
      size += new Blob([text]).size + 1;
      if (size > LAST_WORDS || texts.length === MOST) break;
      texts.push(text);
    }
    try {
      this.ask("decisions", `{"decisions":[${texts.join(",")}]}`, { keepalive: true })
        .then((response) => (response.ok ? response.json() : null))
        .then((answer) => { if (answer) this.kept(answer, []); }) // a page that was only hidden hears the answer
        .catch(() => {});
    } catch { /* the page is gone: the outbox has it */ }
  }

  watch() {
    const now = () => { if (document.visibilityState === "visible") this.retry(); };
    window.addEventListener("online", () => this.retry());
    window.addEventListener("focus", now);
    window.addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? this.flush() : now()));
    window.addEventListener("beforeunload", (event) => {
      if (this.waiting() && !this.stored()) event.preventDefault();
    });
    setTimeout(() => this.adopt(), 1500); // the page before a reload may take a moment to go
    setInterval(() => {
      if (this.waiting()) this.outbox.save();
      this.adopt();
    }, LOOK);
  }

  async adopt() {
    const refused = this.outbox.refused.length;
    const { adopted, others } = await this.outbox.adopt().catch(() => ({ adopted: [], others: [] }));
    if (adopted.length) {
      this.note(adopted);
      this.log.sort((a, b) => a.at - b.at);
      this.emit("waiting", { count: this.waiting() });
      this.emit("adopted", { decisions: adopted });
      this.retry();
    }
    if (this.outbox.refused.length !== refused) this.emit("refused", this.refusals());
    if (others.length) {
      const listed = others.map(({ reader, count }) => `${count} of ${reader}`).join(", ");
      this.others = others;
      if (!this.trouble.code) {
        this.say({ code: "others", sentence: `Decisions of other readers or studies wait in this browser (${listed}). They `
          + "are sent when that reader opens that study here." });
      }
    } else if (this.trouble.code === "others") this.say(CLEAR);
  }
}

/**
 * The channel of a reader in a study, as `channel_data()` names them. The same one for all components of the window;
 * the one of another reader goes on until all that it holds is sent.
 */
export const openChannel = (who) => {
  const all = (globalThis.ecgChannels ??= new Map());
  const name = JSON.stringify([who.study, who.reader]);
  if (all.has(name)) all.get(name).renew(who);
  else all.set(name, new Channel(who));
  globalThis.ecgChannel = all.get(name);
  return globalThis.ecgChannel;
};
