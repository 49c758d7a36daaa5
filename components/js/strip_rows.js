// The list of strips beside the reader is Streamlit's: it is only scrolled, and left again once a row was taken.
const REFOCUS_MS = 1500;

const holder = ({ key }) => document.querySelector(`.st-key-${key}`);

/** Scroll so that a row is seen; false while the list is not there yet. */
export const bringRow = (list, at) => {
  const box = holder(list)?.querySelector(".dvn-scroller");
  if (!box || box.scrollHeight < (at + 1) * list.row_px) return false;
  const row = list.row_px;
  const head = row + 6;
  const [top, bottom] = [at * row, (at + 1) * row];
  if (at < 0) return true;
  if (top < box.scrollTop) box.scrollTop = Math.max(0, top - 2 * row);
  else if (bottom > box.scrollTop + box.clientHeight - head) box.scrollTop = bottom - box.clientHeight + head + 2 * row;
  return true;
};

/**
 * Who clicks a row wants to read that strip: the keys are the reader's again, not the table's. `taken` hears of a click
 * on a row, before Python says which strip it is. Returns what ends it.
 */
export const leaveList = (list, taken) => {
  let clicked = -Infinity;
  const blur = () => {
    const { activeElement } = document;
    if (holder(list())?.contains(activeElement) && activeElement.tagName !== "INPUT") activeElement.blur();
  };
  const leave = () => setTimeout(blur, 0);
  const fresh = () => performance.now() - clicked < REFOCUS_MS;
  const inside = (event) => event.composedPath().includes(holder(list())) && event.target.tagName !== "INPUT";
  const onClick = (event) => {
    if (!inside(event)) return;
    clicked = performance.now();
    leave();
    const below = event.clientY - holder(list()).getBoundingClientRect().top;
    if (event.type === "click" && below > list().row_px) taken();
  };
  // The table takes the focus a moment after a click, too. Who has come with Tab keeps it.
  const onFocus = (event) => { if (inside(event) && fresh()) leave(); };
  const onKey = () => { if (fresh()) blur(); };
  const handlers = [["pointerdown", onClick], ["click", onClick], ["focusin", onFocus], ["keydown", onKey]];
  for (const [name, does] of handlers) window.addEventListener(name, does, true);
  return () => { for (const [name, does] of handlers) window.removeEventListener(name, does, true); };
};
