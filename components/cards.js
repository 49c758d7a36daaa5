// A grid of cards. What is clicked goes to Python as {id, action}; the mark moves at once, before Python answers.
const element = (tag, name, text) => {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
};

const letter = (holder, of) => {
  if (!of.letter) return;
  const mark = element("span", "letter", of.letter);
  if (of.colour) mark.style.setProperty("--mark", of.colour);
  holder.append(mark);
};

const draw = (root, data, pick) => {
  root.replaceChildren();
  root.style.setProperty("--card", `${data.width}px`);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.label);
  for (const group of data.groups) {
    if (group.title) {
      const heading = element("h3");
      letter(heading, group);
      heading.append(element("span", "", group.title), element("span", "note", group.note));
      root.append(heading);
    }
    const grid = element("div", "grid");
    for (const card of group.cards) grid.append(drawCard(card, pick));
    root.append(grid);
  }
};

const drawCard = (card, pick) => {
  const holder = element("div", `card${card.badge ? " alarm" : ""}${card.faded ? " faded" : ""}`);
  holder.dataset.id = card.id;
  const face = element("button", "face");
  face.type = "button";
  face.dataset.act = "";
  face.onclick = () => pick(card.id, "");
  const head = element("span", "head");
  letter(head, card);
  head.append(element("span", "title", card.title));
  if (card.note) head.append(element("span", "note", card.note));
  face.append(head);
  const picture = element("span", "picture");
  picture.innerHTML = card.svg;
  face.append(picture);
  for (const line of card.lines) face.append(element("span", "line", line));
  if (card.badge) face.append(element("span", "badge", `⚠ ${card.badge}`));
  holder.append(face);
  if (card.actions.length) {
    const bar = element("div", "actions");
    for (const [name, text, done] of card.actions) {
      const button = element("button", done ? "done" : "", text);
      button.type = "button";
      button.dataset.act = name;
      button.setAttribute("aria-pressed", String(Boolean(done)));
      button.setAttribute("aria-label", `${text}: ${card.title}`);
      button.onclick = () => pick(card.id, name);
      bar.append(button);
    }
    holder.append(bar);
  }
  return holder;
};

// Scrolls the box that holds the cards, never the page: the page must not jump when a key chooses the next card.
const bring = (root, card) => {
  let box = root.getRootNode().host || root.parentElement;
  while (box && !(box.scrollHeight > box.clientHeight && /auto|scroll/.test(getComputedStyle(box).overflowY))) {
    box = box.parentElement;
  }
  if (!box || box.dataset.testid === "stMain" || box === document.scrollingElement) return;
  const [inner, outer] = [card.getBoundingClientRect(), box.getBoundingClientRect()];
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 8;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 8;
};

const mark = (root, id, show) => {
  for (const card of root.querySelectorAll(".card")) {
    const chosen = card.dataset.id === String(id);
    card.classList.toggle("selected", chosen);
    card.querySelector(".face").setAttribute("aria-current", String(chosen));
    if (chosen && show) bring(root, card);
  }
};

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".groups");
  const { selected, ...rest } = data;
  const drawn = JSON.stringify(rest);
  const pick = (id, action) => {
    if (!action) { root.dataset.selected = String(id); mark(root, id, false); }
    setTriggerValue("picked", { id, action });
  };
  if (root.dataset.drawn !== drawn) {
    const active = parentElement.activeElement;
    const back = active && active.closest(".card") ? [active.closest(".card").dataset.id, active.dataset.act] : null;
    draw(root, data, pick);
    root.dataset.drawn = drawn;
    if (back) {
      const same = root.querySelector(`.card[data-id="${back[0]}"] [data-act="${back[1]}"]`);
      if (same) same.focus({ preventScroll: true });
    }
  }
  const moved = root.dataset.selected !== String(selected);
  root.dataset.selected = String(selected);
  mark(root, selected, moved);
}
