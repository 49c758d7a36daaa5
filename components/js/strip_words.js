// What a model found on the strip in hand, and how its noise was judged: it follows the strip reader of the same page at
// once, through the reading bus. Python sends the words of all strips, by place, once.
import { labelLook } from "./paper_marks.js";
import { element } from "./reader_bar.js";
import { readingBus } from "./reading_bus.js";

const UNKNOWN = -99;
const UNLABELLED = -999;

const percent = (share) => `${Math.round(100 * share)} %`;

/** The parts of the line of findings: [{kind, text}], by what Python sends of a prediction. */
const findingParts = (found, place) => {
  const [label, share, sure] = [found.label[place], found.share[place], found.sure[place]];
  if (label === undefined) return [];
  if (label === UNLABELLED) return [{ kind: "small", text: `${found.model} read no beat of this strip.` }];
  const words = found.words[place].split("; ").filter(Boolean);
  const parts = words.map((text, at) => ({ kind: at ? "more" : "first", text }));
  const stood = label === UNKNOWN ? "no finding can be stood by" : sure === null ? "" : `${percent(sure)} sure`;
  const most = found.most[found.majority[place]];
  const votes = most && label !== UNLABELLED ? `most beats: ${most}${share ? `, ${percent(share)}` : ""}` : "";
  return [...parts, { kind: "small", text: [stood, votes, found.model].filter(Boolean).join(" · ") }];
};

/** What is said of a strip unlike those that the model knows. */
const strangeWords = (found, place) => {
  if (!found.strange[place]) return "";
  const known = found.known[place];
  const than = known > 0 ? `all but ${(100 * known).toFixed(1)} % of` : "all";
  return `Unknown pattern: stranger than ${than} the strips that the model knows. It is in Review.`;
};

class StripWords {
  constructor(root) {
    this.root = root;
    this.lines = [element("p", "found"), element("p", "noise")];
    root.replaceChildren(...this.lines);
    root.setAttribute("role", "status");
    this.off = readingBus().on((now) => { this.now = now; this.draw(); });
  }

  update(data) {
    this.data = data;
    this.draw();
  }

  draw() {
    const { now, data } = this;
    if (!now || !data || now.run !== data.run) return;
    const { place } = now.strip;
    const [above, below] = this.lines;
    this.root.classList.toggle("noise-only", !data.found);
    above.replaceChildren();
    below.replaceChildren();
    if (data.found) {
      const label = data.found.label[place];
      if (label > UNKNOWN) {
        const mark = labelLook(now.look, label);
        const letter = element("span", "letter", mark.letter);
        letter.style.setProperty("--mark", mark.colour);
        letter.title = mark.name;
        above.append(letter);
      }
      const tag = (kind) => (kind === "small" ? "small" : kind === "first" && label > UNKNOWN ? "b" : "span");
      for (const { kind, text } of findingParts(data.found, place)) above.append(element(tag(kind), kind, text));
      const strange = strangeWords(data.found, place);
      if (strange) below.append(element("span", "strange", strange));
    }
    const noise = data.noise.length ? data.kinds[data.noise[place]] : "";
    if (noise) below.append(element("span", "", noise));
  }

  end() { this.off(); }
}

export default function (component) {
  const root = component.parentElement.querySelector(".strip-words");
  root.words ??= new StripWords(root);
  root.words.update(component.data);
  return () => {
    root.words?.end();
    root.words = undefined;
  };
}
