// The review queue: one item at a time, answered by a key in the same frame. Decisions go through the channel beside the
// page; Python hears where the reader is when her hand rests.
import { openChannel } from "./channel.js";
import { onTheWay, pageAtRest } from "./page_at_rest.js";
import { stripOf } from "./paper.js";
import { accept, beatOf, label, labelName, laidOver, lastStep, noise, note, noteOf, seed, unsure } from "./queue_answers.js";
import { queueFor } from "./queue_state.js";
import { Supply } from "./queue_supply.js";
import { createView } from "./queue_view.js";
import { listen } from "./typing.js";

const REST = 700; // ms without a key before the page is told
const AGAIN = 200; // ms until it is tried again while the page is busy
const LONG = 1000; // ms that a decision may wait before it is spoken of
const PATIENCE = 2500; // ms to wait for word of items that were let go of
const HELD = ["next", "previous"];

class Desk {
  constructor(root) {
    this.root = root;
    this.ready = false; // whether the item on the screen is sure to be ours
    this.off = [];
    this.supply = new Supply({
      changed: (first) => this.cameIn(first),
      lost: (count) => { this.say(`${count} ${count === 1 ? "item is" : "items are"} in another reader's hands now.`); this.draw(); },
    });
    this.clock = setInterval(() => this.tell(), 5000);
    this.sized = new ResizeObserver(() => this.drawSoon());
    this.sized.observe(root);
  }

  update({ data, setStateValue, setTriggerValue }) {
    Object.assign(this, { data, setState: setStateValue, trigger: setTriggerValue });
    const channel = openChannel(data.channel);
    const look = JSON.stringify(data.look);
    if (look !== this.lookText) this.build(data.look, look);
    if (channel !== this.channel) this.listenTo(channel);
    const name = JSON.stringify([data.channel.study, data.channel.reader, data.queue]);
    if (name !== this.name) this.open(name);
    else if (data.counts) this.queue.count(data.counts.total, data.counts.left, data.counts.version);
    this.draw();
  }

  build(look, text) {
    Object.assign(this, { look, lookText: text });
    this.view?.paper.destroy();
    const does = this.actions();
    this.view = createView(this.root, look, does);
    this.stop?.();
    const byKey = new Map(look.labels.filter((one) => one.key).map((one) => [one.key, () => does.label(one.id)]));
    const named = { accept: does.accept, accept_strip: does.acceptStrip, valid: does.valid, unsure: does.unsure,
      seed: does.seed, note: does.write, undo: does.undo, next: does.skip, previous: does.back, open_strip: does.openStrip };
    for (const [name, act] of Object.entries(named)) if (look.keys[name]) byKey.set(look.keys[name], act);
    this.stop = listen({
      keys: byKey.keys(), held: HELD.map((name) => look.keys[name]), root: this.root,
      on: (key) => byKey.get(key)(),
    });
  }

  listenTo(channel) {
    this.off.forEach((off) => off());
    this.channel = channel;
    this.off = [
      channel.on("kept", ({ ids, version }) => { this.queue?.kept(ids, version); this.supply.kept(ids); this.rest(); this.tell(); }),
      channel.on("waiting", () => this.tell()),
      channel.on("trouble", () => this.tell()),
      channel.on("adopted", ({ decisions }) => { this.queue?.said(decisions); this.rest(); this.draw(); }),
      channel.on("refused", (refused) => {
        this.queue?.reopen(refused.map((one) => one.id));
        this.draw();
      }),
      channel.on("stale", () => this.trigger?.("stale", Date.now())),
    ];
  }

  async open(name) {
    this.name = name;
    this.queue = queueFor(name);
    this.wanted = this.data.item;
    const { queue } = this;
    if (this.data.counts) queue.count(this.data.counts.total, this.data.counts.left, this.data.counts.version);
    // Items from an earlier visit were let go of: until they are ours again, they are shown but not answered.
    this.ready = !queue.open().length;
    await Promise.race([this.supply.open(this.channel, this.data.queue, queue), new Promise((done) => { setTimeout(done, PATIENCE); })]);
    if (queue !== this.queue) return;
    this.ready = true;
    this.draw();
  }

  cameIn(first) {
    const { queue } = this;
    // What was undone, and was not here any more, is in hand again as soon as it comes, unless the reader has gone on.
    if (this.back && queue.byKey.has(this.back) && !queue.settled(this.back)) [queue.at, this.back] = [this.back, null];
    if (first && this.wanted && queue.byKey.has(this.wanted) && !queue.settled(this.wanted)) queue.at = this.wanted;
    this.drawSoon();
    this.rest();
  }

  // Answers.

  actions() {
    const settling = (make, words) => () => {
      const { item, strip } = this.inHand();
      if (!item || !strip) return;
      this.settle([item], make(item, strip), words(item, strip));
    };
    const reason = () => this.data.reason;
    const done = (what) => (item, strip) => `${this.named(item, strip)}: ${what}`;
    const does = {
      label: (id) => settling((item, strip) => label(item, strip, this.look, id, reason()), done(labelName(this.look, id)))(),
      accept: () => {
        const { item } = this.inHand();
        if (item && item.suggestion === null) { this.say("There is no suggestion to accept: give it a label."); return; }
        settling((one, strip) => accept(one, strip, this.look, reason()),
          (one, strip) => `${this.named(one, strip)}: ${labelName(this.look, one.suggestion)}, as suggested`)();
      },
      acceptStrip: () => this.acceptStrip(),
      valid: () => {
        const { kind } = this.inHand().item || {};
        if (kind === "strip" || kind === "group") { this.say(`A whole ${kind}: give it a label.`); return; }
        settling((item, strip) => noise(item, strip, 0, reason()), done("no noise"))();
      },
      unsure: settling((item) => unsure(item, reason()), done("left for a second reader")),
      seed: () => this.mark((item, strip) => seed(item, strip, this.look, reason()), (made) =>
        (made.new ? `is a seed for ${made.new}` : "is no seed any more"), "Label it first: a seed stands for a label."),
      note: (text) => this.mark((item, strip) => note(item, strip, text, reason(), this.noteOf(item, strip)), (made) => (made.new ? "has a note" : "has no note")),
      write: () => { if (this.inHand().item) { this.view.note.focus(); this.view.note.select(); } },
      skip: () => {
        const following = this.queue.after();
        if (following) this.queue.go(following); else this.say("There is no other item.");
        this.moved();
      },
      back: () => { this.queue.go(this.queue.before()); this.moved(); },
      undo: () => this.undo(),
      openStrip: () => {
        const { item, strip } = this.inHand();
        if (strip) this.leave("open", { strip: strip.number, beat: beatOf(item, strip)?.id ?? null, item: item.key });
      },
    };
    return does;
  }

  settle(items, decisions, words) {
    const made = this.channel.decideAll(decisions);
    const all = [...new Set([...items, ...made.flatMap((one) => this.queue.about(one))])];
    this.queue.settle(all.map((item) => item.key), made, words);
    this.say(`Kept. ${words}. Undo with ${this.look.keys.undo}.`);
    this.moved();
  }

  acceptStrip() {
    const items = this.queue.alike();
    const { item, strip } = this.inHand();
    if (item?.kind === "group") { this.showAnother(item); return; }
    if (!item || !strip) return;
    if (item.suggestion === null) { this.say("There is no suggestion to accept: give it a label."); return; }
    const decisions = items.flatMap((one) => accept(one, strip, this.look, this.data.reason));
    const name = labelName(this.look, item.suggestion);
    const whose = items.length > 1 ? `${items.length} beats of strip ${strip.number}` : this.named(item, strip);
    this.settle(items, decisions, `${whose}: ${name}, as suggested`);
  }

  /** Show the group in hand at another of its beats, on that one's strip. */
  async showAnother(item) {
    if (item.blind || item.others.length < 2) { this.say("There is no other strip to show."); return; }
    const here = item.others.findIndex(([, hash, anchor]) => item.shown === `beat:${hash}:${anchor}`);
    const [place, hash, anchor] = item.others[(here + 1) % item.others.length];
    if (!this.queue.strips.has(hash)) {
      try {
        this.queue.takeStrips(await this.channel.fetchFrame("strips", { run: this.data.queue.run, strips: [place] }));
      } catch (error) {
        this.say(error.message);
        return;
      }
    }
    Object.assign(item, { strip: hash, shown: `beat:${hash}:${anchor}` });
    this.draw();
  }

  // What is said of the item beside its label: it stays in hand.
  mark(make, words, without = "") {
    const { item, strip } = this.inHand();
    if (!item || !strip) return;
    const decisions = make(item, strip);
    if (!decisions) { this.say(item.kind === "strip" ? "A whole strip cannot be a seed." : without); return; }
    const [made] = this.channel.decideAll(decisions);
    this.say(`Kept. ${this.named(item, strip)} ${words(made)}. Undo with ${this.look.keys.undo}.`);
    this.moved();
  }

  undo() {
    const step = lastStep(this.channel.log, this.data.steps || [], this.data.channel.version);
    if (!step) { this.say("There is nothing of yours to undo."); return; }
    const undos = this.channel.undo(step);
    this.supply.readAgain(step, undos);
    const keys = this.queue.reopen(step.map((made) => made.id));
    const there = keys.find((key) => key === step[0].target) || keys[0] || (this.queue.byKey.has(step[0].target) ? step[0].target : null);
    if (there) this.queue.at = there;
    else this.queue.more = true; // it comes back from the server
    const made = step.at(-1);
    const what = made.field === "noise" ? (made.new === "1" ? "noise" : "no noise") : made.field === "unsure" ? "unsure"
      : `${["seed", "note"].includes(made.field) ? `${made.field} ` : ""}${made.new ?? "nothing"}`;
    const members = Object.values((made.target.startsWith("group:") && made.payload?.members) || {}).flat().length;
    const whose = members ? `, of ${members} beats` : made.target.startsWith("group:") ? ", of a whole group" : "";
    this.say(`Undone: ${what}${whose}${step.length > 1 ? ", and all that was decided with it" : ""}.`);
    this.moved();
    if (!there) this.back = step[0].target;
  }

  // What is in hand.

  inHand(ready = this.ready) {
    const item = (ready && this.queue?.current) || null;
    return { item, strip: item ? this.stripNow(item.strip) : null };
  }

  stripNow(hash) {
    const entry = this.queue.strips.get(hash);
    if (!entry) return null;
    entry.strip ??= stripOf(entry.frame, entry.header);
    return laidOver(entry.strip, this.channel.since(entry.version), this.look);
  }

  named(item, strip) {
    if (item.kind === "group") return `${item.count.toLocaleString("en")} beats of patient ${strip.patient}`;
    const at = strip.beats.indexOf(beatOf(item, strip));
    return item.kind === "strip" ? `Strip ${strip.number}` : `Beat ${at + 1} of strip ${strip.number}`;
  }

  noteOf(item, strip) { return noteOf(item, strip, this.channel.log); }

  say(words) { this.view.say(words); }

  moved() {
    this.back = null;
    this.draw();
    this.supply.fetch();
    this.rest();
  }

  // Drawing.

  drawSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (!this.view || !this.queue) return;
    const { queue } = this;
    const { item, strip } = this.inHand(true);
    if (item) {
      const beat = beatOf(item, strip);
      this.view.show({
        item, strip, beat, alike: queue.alike().length, settled: queue.settled(item.key),
        first: !queue.before(), known: this.supply.shapes.list, note: this.noteOf(item, strip), ready: this.ready, data: this.data,
      });
      if (strip && item.key !== this.heard) this.hear(item, strip);
      this.prepare();
    } else this.idle();
    this.tell();
  }

  hear(item, strip) {
    this.heard = item.key;
    const suggestion = item.suggestion === null ? "" : `, suggested: ${labelName(this.look, item.suggestion)}`;
    this.view.hear(`${this.named(item, strip)}${suggestion}. ${item.why.join(" ")}`);
  }

  /** The next strip is worked out before its key. */
  prepare() {
    const following = this.queue.next();
    if (!following || this.prepared === following.key) return;
    this.prepared = following.key;
    const { queue } = this;
    setTimeout(() => {
      const entry = queue.strips.get(following.strip);
      if (entry) entry.strip ??= stripOf(entry.frame, entry.header);
    }, 0);
  }

  idle() {
    const { queue, supply, data } = this;
    const left = queue.remaining();
    const keys = this.look.keys;
    const back = queue.items.length ? [["Back", keys.previous, () => this.actions().back()], ["Undo", keys.undo, () => this.undo()]] : [];
    if (supply.error) this.view.empty("The server does not answer", "The queue is asked for again every moment.", back);
    else if (!queue.asked || supply.busy || queue.hungry) this.view.empty("Fetching the queue", "A moment.", back);
    else if (left > 0) {
      this.view.empty("In other hands", `${left} ${left === 1 ? "item is" : "items are"} with other readers or tabs now. `
        + "What they leave comes here by itself.", back);
    } else if (queue.total > 0 || queue.items.length) {
      this.view.empty("All settled", "Every item of this queue is settled. The model can learn from your answers.",
        [["Go to Training", "", () => this.leave("train", Date.now())], ...back]);
    } else if (data.filtered) this.view.empty("Nothing matches", "No open item matches this filter. Take a reason, label or patient out of it.");
    else this.view.empty("Nothing to review", data.nothing);
  }

  // Telling.

  tell() {
    if (!this.view || !this.queue) return;
    this.view.progress(this.queue.progress());
    const count = this.channel.waiting();
    if (!count) this.since = 0;
    else this.since ||= Date.now();
    const waited = count ? Date.now() - this.since : 0;
    clearTimeout(this.later);
    if (count && waited < LONG) this.later = setTimeout(() => this.tell(), LONG - waited + 20);
    const refused = this.channel.refusals();
    this.view.showWait({
      count, long: waited >= LONG, stored: this.channel.stored() || !count, refused,
      trouble: count && waited < LONG ? "" : this.channel.trouble.sentence || this.supply.error,
      dismiss: () => refused.forEach((one) => this.channel.dismiss(one.id)),
    });
  }

  /** Go to another page. Python may miss a trigger while it draws: whoever is still here then asks again. */
  leave(name, where, tries = 3) {
    onTheWay();
    this.trigger(name, where);
    clearTimeout(this.leaving);
    if (tries > 1) this.leaving = setTimeout(() => this.leave(name, where, tries - 1), PATIENCE);
  }

  /** Tell Python where the reader is, once her hand rests and all is kept. */
  rest(pause = REST) {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (!this.queue || this.channel.waiting()) return;
      if (!pageAtRest()) { this.rest(AGAIN); return; }
      const { item, strip } = this.inHand(true);
      const now = { version: this.channel.version, item: item?.key ?? null, strip: strip?.number ?? null,
        beat: item && strip ? beatOf(item, strip)?.id ?? null : null };
      const text = JSON.stringify(now);
      if (text === this.told) return;
      this.told = text;
      this.setState("rest", now);
    }, pause);
  }

  end() {
    this.off.forEach((off) => off());
    this.stop?.();
    this.supply.end();
    this.sized.disconnect();
    [this.resting, this.later, this.leaving].forEach(clearTimeout);
    clearInterval(this.clock);
    cancelAnimationFrame(this.frame);
    this.view?.paper.destroy();
    this.queue = null;
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".queue");
  root.desk ??= new Desk(root);
  root.desk.update(component);
  return () => {
    root.desk?.end();
    root.desk = undefined;
  };
}
