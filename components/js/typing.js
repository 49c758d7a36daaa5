// Which keys are the page's, and which belong to what has the focus: a letter typed into a field is never a decision.
// Keys count by a whitelist, because what takes text has no common sign: a data editor focuses a bare canvas.
import { isLostConnection, withoutLostConnection } from "./lost_connection.js";

const NAMED = { Left: "ArrowLeft", Right: "ArrowRight", Up: "ArrowUp", Down: "ArrowDown", Space: " " };
const PAGE = /^st(App|AppViewContainer|Main|MainBlockContainer|Sidebar|SidebarContent|SidebarUserContent)$/;
const PLAIN = /^(button|link|checkbox|switch|tab)?$/;
const PANELS = '[role="dialog"],[role="listbox"],[role="menu"],[data-baseweb="popover"],[data-baseweb="menu"]';
const OPTIONS = '[role="radiogroup"],[role="tablist"],[data-testid="stSlider"]';
const TEXT = /^(text|search|url|tel|email|password|number|date|time|datetime-local|month|week|color|range|file)$/;

/** The key as keymaps name it: a letter in lower case, else as the browser names it; "" where it is not for us. */
export const keyName = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.keyCode === 229) return "";
  if (event.getModifierState && event.getModifierState("AltGraph")) return "";
  if (typeof event.key !== "string") return "";
  // A keyboard of another script: the key in the place of the letter.
  if (event.key.length === 1 && event.key > "\u00ff" && /^Key[A-Z]$/.test(event.code)) return event.code[3].toLowerCase();
  return event.key.length === 1 ? event.key.toLowerCase() : event.key;
};

const focused = () => {
  let element = document.activeElement;
  while (element && element.shadowRoot && element.shadowRoot.activeElement) element = element.shadowRoot.activeElement;
  return element;
};

const takesText = (element) =>
  element.isContentEditable || element.tagName === "TEXTAREA" || element.tagName === "SELECT"
  || (element.tagName === "INPUT" && TEXT.test(element.type || "text"));

/** Whether a key would be the page's where the focus is now. */
export const keysCount = (root, key = "") => {
  const element = focused();
  if (!element || element === document.body || element === document.documentElement) return true;
  if (takesText(element)) return false;
  const within = root && (root === element || root.contains(element) || root === element.getRootNode());
  if (within) return true;
  const panel = element.closest(PANELS);
  if (panel) return isLostConnection(panel);
  if (PAGE.test(element.dataset?.testid || "")) return true;
  if (!/^(BUTTON|A|SUMMARY)$/.test(element.tagName) || !PLAIN.test(element.getAttribute("role") || "")) return false;
  // Arrows choose within a row of options.
  return !(key.startsWith("Arrow") && element.closest(OPTIONS));
};

// A panel over the page takes the keys, even where the focus has left it; it may lie in a component's own tree.
const covered = () => {
  const trees = [document, ...[...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
    .map((holder) => holder.shadowRoot)];
  return trees.some((tree) => tree && [...tree.querySelectorAll('[aria-modal="true"],dialog[open]')]
    .some((panel) => panel.getClientRects().length && !isLostConnection(panel)));
};

/**
 * Listen to keys wherever no field and no panel has them.
 * keys: names of all keys; held: those that go on while held down; on(key, event); root: the component's own elements.
 * Returns what ends it.
 */
export const listen = ({ keys, held = [], on, root = null }) => {
  const plain = (name) => NAMED[name] || (name.length === 1 ? name.toLowerCase() : name);
  const watched = new Set([...keys].map(plain));
  const repeating = new Set([...held].map(plain));
  const onKey = (event) => {
    const key = keyName(event);
    if (!watched.has(key) || covered() || !keysCount(root, key)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat && !repeating.has(key)) return; // a key held down decides once
    on(key, event);
  };
  // What is left to a field or a panel is left to it alone: Streamlit's shortcuts, which listen further out, would
  // press the button of the same key.
  const shield = (event) => { if (watched.has(keyName(event))) event.stopPropagation(); };
  window.addEventListener("keydown", onKey, true);
  document.body.addEventListener("keydown", shield);
  const restless = withoutLostConnection();
  return () => {
    restless();
    window.removeEventListener("keydown", onKey, true);
    document.body.removeEventListener("keydown", shield);
  };
};
