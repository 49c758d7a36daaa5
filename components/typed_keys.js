// Takes down every key in order and hands Python all that it has not answered for yet: however quickly somebody types,
// and however long a drawing takes, each key counts once. Streamlit's own shortcuts would drop a key that comes while
// the page is still at work on the one before.
const FIELDS = /^(INPUT|TEXTAREA|SELECT)$/;
const PRESSED = /^(checkbox|radio|button|submit|reset)$/;
const ROLES = /^(textbox|combobox|listbox|option|spinbutton|slider|searchbox|dialog|menu|menuitem)$/;
const PATIENCE = 4000;

const taken = (event) => {
  for (const element of event.composedPath()) {
    if (!(element instanceof Element)) continue;
    if (FIELDS.test(element.tagName) && !PRESSED.test(element.type)) return true;
    if (element.isContentEditable || ROLES.test(element.getAttribute("role") || "")) return true;
    // Arrows choose within a row of options.
    if (event.key.startsWith("Arrow") && /^radio(group)?$/.test(element.getAttribute("role") || "")) return true;
  }
  return false;
};

// A panel over the page takes the keys, even where the focus has left it; it may lie in a component's own tree.
const covered = () => [document, ...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')].some((holder) => {
  const tree = holder === document ? document : holder.shadowRoot;
  return tree && [...tree.querySelectorAll('[aria-modal="true"]')].some((panel) => panel.getClientRects().length);
});

const begin = (root) => {
  const typist = { life: Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join(""),
    next: 1, waiting: [], sent: 0, tries: 0, timer: 0, watched: new Map(), send: () => {} };
  typist.flush = () => {
    clearTimeout(typist.timer);
    if (!typist.waiting.length) return;
    typist.sent = typist.waiting.at(-1)[0];
    typist.tries += 1;
    typist.send({ life: typist.life, tries: typist.tries, keys: [...typist.waiting] });
    // No answer: the connection was lost, or another click got in between. Python knows what it has done already.
    typist.timer = setTimeout(typist.flush, PATIENCE);
  };
  typist.answered = (done) => {
    if (!done || done[0] !== typist.life) return;
    typist.waiting = typist.waiting.filter(([number]) => number > done[1]);
    if (done[1] < typist.sent) return;
    clearTimeout(typist.timer);
    typist.sent = 0;
    typist.flush();
  };
  const named = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return "";
    return event.key.length === 1 ? event.key.toLowerCase() : event.key;
  };
  const onKey = (event) => {
    const key = named(event);
    const repeats = typist.watched.get(key);
    if (repeats === undefined || taken(event) || covered()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat && (!repeats || typist.waiting.length)) return; // a key held down decides once
    typist.waiting.push([typist.next, key]);
    typist.next += 1;
    if (!typist.sent) typist.flush();
  };
  // What is left to a field or a panel is left to it alone: Streamlit's shortcuts, which listen further out, would
  // press the button of the same key.
  const shield = (event) => { if (typist.watched.has(named(event))) event.stopPropagation(); };
  window.addEventListener("keydown", onKey, true);
  document.body.addEventListener("keydown", shield);
  typist.end = () => {
    window.removeEventListener("keydown", onKey, true);
    document.body.removeEventListener("keydown", shield);
    clearTimeout(typist.timer);
    root.typist = undefined;
  };
  return typist;
};

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".typed");
  root.typist ??= begin(root);
  root.typist.send = (typed) => setStateValue("typed", typed);
  root.typist.watched = new Map(data.keys);
  root.typist.answered(data.done);
  return () => root.typist?.end();
}
