// Streamlit lays a dialog over the page when its server does not answer. It asks nothing, and reading goes on without the
// server: the components say themselves what waits. So it takes no keys, and is put away.

const TITLE = /^\s*Connection error/;

/** Whether a panel is that dialog. */
export const isLostConnection = (panel) => TITLE.test(panel.textContent || "");

const putAway = () => {
  for (const dialog of document.querySelectorAll('[role="dialog"]')) {
    if (!isLostConnection(dialog) || dialog.dataset.putAway) continue;
    const close = dialog.querySelector('button[aria-label="Close"], button');
    if (!close) continue;
    dialog.dataset.putAway = "1";
    close.click();
  }
};

/** Put the dialog away whenever it comes. Returns what ends it. */
export const withoutLostConnection = () => {
  const watch = new MutationObserver(() => putAway());
  watch.observe(document.body, { childList: true });
  const again = setInterval(putAway, 300);
  return () => {
    watch.disconnect();
    clearInterval(again);
  };
};
