// A key for each action, changed by pressing the new one. Python decides whether it may be; this only takes it down.
const element = (tag, name, text) => {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
};

const cap = (key) => (key.length === 1 ? key.toUpperCase() : key);

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".keys");
  const said = parentElement.querySelector(".said");
  const active = parentElement.activeElement;
  const before = root.state || { waiting: "" };
  const state = { waiting: before.asked ? "" : before.waiting, asked: false };
  root.state = state;

  const ask = (name, key, swap) => {
    state.waiting = "";
    state.asked = true;
    setTriggerValue("asked", { name, key, swap });
  };

  const tell = () => {
    said.replaceChildren();
    const { text, kind, swap } = data.said || {};
    said.className = `said ${kind || ""}`;
    if (!text) { said.textContent = "Click a key, then press the new one. Esc leaves it as it is."; return; }
    said.append(element("span", "", `${kind === "refused" ? "⚠ " : "✓ "}${text}`));
    if (swap) {
      const button = element("button", "swap", "Swap the two");
      button.type = "button";
      button.onclick = () => ask(swap.name, swap.key, true);
      said.append(button);
    }
  };

  const wait = (name) => {
    state.waiting = name;
    for (const button of root.querySelectorAll(".key")) {
      const mine = button.dataset.name === name;
      button.classList.toggle("waiting", mine);
      button.textContent = mine ? "Press a key" : cap(button.dataset.key);
      button.setAttribute("aria-label", `${button.dataset.words}: ${mine ? "press a key" : cap(button.dataset.key)}`);
      if (mine) said.textContent = `Press the new key for ${button.dataset.words}. Esc leaves it as it is.`;
    }
  };

  const onKey = (event) => {
    if (!state.waiting || /^(Shift|Control|Alt|Meta|Tab|CapsLock|AltGraph)$/.test(event.key)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat) return;
    const name = state.waiting;
    if (event.key === "Escape") { wait(""); tell(); return; }
    wait("");
    ask(name, event.key.length === 1 ? event.key.toLowerCase() : event.key, false);
  };

  root.replaceChildren();
  for (const [title, rows] of data.groups) {
    const group = element("section");
    group.append(element("h3", "", title));
    const list = element("dl");
    for (const row of rows) {
      const term = element("dt", "", row.words);
      const button = element("button", row.key === row.standard ? "key" : "key own", cap(row.key));
      button.type = "button";
      Object.assign(button.dataset, { name: row.name, key: row.key, words: row.words });
      button.setAttribute("aria-label", `${row.words}: ${cap(row.key)}`);
      button.title = row.key === row.standard ? "As it comes" : `Yours; it comes as ${cap(row.standard)}`;
      button.onclick = () => wait(state.waiting === row.name ? "" : row.name);
      button.onkeydown = onKey;
      button.onblur = () => { if (state.waiting === row.name) { wait(""); tell(); } };
      const place = element("dd");
      place.append(button);
      list.append(term, place);
    }
    group.append(list);
    root.append(group);
  }
  tell();
  const back = active && active.dataset && active.dataset.name;
  if (back) root.querySelector(`[data-name="${back}"]`)?.focus({ preventScroll: true });
  if (state.waiting) wait(state.waiting);
}
