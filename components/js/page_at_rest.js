// Whether the page can be told something now. A word on the heels of another one makes Python begin anew, for the page
// that it was said on: said while the reader is on the way to another page, it would call her back.
const ON_THE_WAY = 3000; // ms that a change of the page may take
const BUSY = /^(running|rerunRequested)$/;
const WAYS = '[data-testid="stSidebarNavLink"], [data-testid="stPageLink-NavLink"]';

const LOOK_AGAIN = 400; // ms between looks whether the page that was asked for has come

let left = -Infinity, looking = 0;

/** A component says that it sends the reader to another page. */
export const onTheWay = () => { left = performance.now(); stay(); };

window.addEventListener("click", (event) => {
  const link = event.composedPath().find((element) => element instanceof Element && element.matches(WAYS));
  if (event.isTrusted) stay(); // whoever does something else has arrived
  if (!link) return;
  onTheWay();
  if (event.isTrusted && !event.ctrlKey && !event.metaKey && !event.shiftKey) follow(link);
}, true);
window.addEventListener("keydown", () => stay(), true);
window.addEventListener("popstate", () => stay());

/** A word that was said the moment before the click can still call the reader back: then the way is taken once more. */
function follow(link) {
  const look = () => {
    if (busy() || performance.now() - left < ON_THE_WAY) looking = setTimeout(look, LOOK_AGAIN);
    else if (link.isConnected && new URL(link.href).pathname !== location.pathname) link.click();
  };
  looking = setTimeout(look, LOOK_AGAIN);
}

function stay() { clearTimeout(looking); }

const busy = () => BUSY.test(document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState || "");

/** True where nothing runs and nobody is leaving. */
export const pageAtRest = () => performance.now() - left > ON_THE_WAY && !busy();
