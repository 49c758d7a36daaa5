// Shows the page's keys when `?` is typed, closes on `?` or Escape. Listens only: no key is taken from anything else.
const typing = (element) => {
  const inner = element && element.shadowRoot ? element.shadowRoot.activeElement || element : element;
  return Boolean(inner) && (/^(INPUT|TEXTAREA|SELECT|CANVAS)$/.test(inner.tagName) || inner.isContentEditable);
};

export default function (component) {
  const { data, parentElement } = component;
  const panel = parentElement.querySelector(".panel");
  const list = parentElement.querySelector("dl");
  const opener = parentElement.querySelector(".opener");
  const closer = parentElement.querySelector(".closer");

  list.replaceChildren();
  for (const [key, what] of data.keys) {
    const term = document.createElement("dt");
    const mark = document.createElement("kbd");
    mark.textContent = key;
    term.append(mark);
    const meaning = document.createElement("dd");
    meaning.textContent = what;
    list.append(term, meaning);
  }

  let before = null;
  const show = (open) => {
    if (open === !panel.hidden) return;
    if (open) before = document.activeElement;
    panel.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (open) closer.focus();
    else if (before && before.isConnected) before.focus();
  };
  opener.onclick = () => show(panel.hidden);
  closer.onclick = () => show(false);
  panel.onclick = (event) => { if (event.target === panel) show(false); };

  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && !panel.hidden) { show(false); event.stopPropagation(); }
    else if (event.key === "?" && !typing(document.activeElement) && !document.querySelector('[role="dialog"]')) { show(panel.hidden); event.preventDefault(); }
  };
  // Drawn again with other keys, it must not answer twice.
  if (panel.onTyped) document.removeEventListener("keydown", panel.onTyped, true);
  panel.onTyped = onKey;
  document.addEventListener("keydown", onKey, true);
  return () => document.removeEventListener("keydown", panel.onTyped, true);
}
