// Whether the page can be told something now. A word on the heels of another one makes Python begin anew, for the page
// that it was said on: said while the reader is on the way to another page, it would call her back.
const ON_THE_WAY = 3000; // ms that a change of the page may take
const BUSY = /^(running|rerunRequested)$/;
const WAYS = '[data-testid="stSidebarNavLink"], [data-testid="stPageLink-NavLink"]';

let left = -Infinity;

/** A component says that it sends the reader to another page. */
export const onTheWay = () => { left = performance.now(); };

window.addEventListener("click", (event) => {
  if (event.composedPath().some((element) => element instanceof Element && element.matches(WAYS))) onTheWay();
}, true);

/** True where nothing runs and nobody is leaving. */
export const pageAtRest = () => performance.now() - left > ON_THE_WAY
  && !BUSY.test(document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState || "");
