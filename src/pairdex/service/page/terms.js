// Plus and minus terms beside the main query: how they stand in the address, and their row of chips.

export const DEFAULT_WEIGHT = 0.5; // the main query has 1: a term changes the search without replacing it
const WEIGHTS = [0.25, 0.5, 1, 2]; // that a chip goes through
const MOST = 15; // the service takes 16, one is the main query
const byId = (id) => document.getElementById(id);

/** "-0.5:text:night" of {text: "night", weight: -0.5} */
export function writeTerm({ text, like, weight }) {
  return like === undefined ? `${weight}:text:${text}` : `${weight}:like:${like}`;
}

/** The term that `writeTerm` wrote; null of anything else. */
export function readTerm(written) {
  const [, weight, kind, value] = /^(-?[\d.]{1,8}):(text|like):(.*)$/s.exec(written) ?? [];
  const number = Number(weight);
  if (!number || Math.abs(number) > 1000 || !value.trim()) return null;
  if (kind === "text") return { text: value, weight: number };
  return /^\d{1,15}$/.test(value) ? { like: Number(value), weight: number } : null;
}

/** The terms with one more; the same thing again replaces the earlier one. */
export function withTerm(terms, term) {
  const isSame = (one) => one.text === term.text && one.like === term.like;
  return [...terms.filter((one) => !isSame(one)), term].slice(-MOST);
}

export class Terms {
  /** `onChange(terms)` is called with the new list; `nameOf(id)` resolves to a row's caption. */
  constructor({ onChange, nameOf }) {
    this.onChange = onChange;
    this.nameOf = nameOf;
    this.terms = [];
    this.list = byId("terms");
    byId("term-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(event.submitter?.value === "-" ? -1 : 1);
    });
  }

  show(state, collection, isSearch) {
    this.terms = state.terms;
    const canAdd = isSearch && collection.queries.includes("text");
    byId("term-form").hidden = !canAdd;
    byId("terms-row").hidden = !canAdd && this.terms.length === 0;
    this.list.hidden = this.terms.length === 0;
    this.list.replaceChildren(...this.terms.map((term, index) => this.#chip(term, index)));
  }

  #add(sign) {
    const input = byId("term-text");
    const text = input.value.trim();
    if (!text) {
      input.focus();
      return;
    }
    input.value = "";
    this.onChange(withTerm(this.terms, { text, weight: sign * DEFAULT_WEIGHT }));
    input.focus();
  }

  #chip(term, index) {
    const chip = byId("term").content.cloneNode(true).firstElementChild;
    const name = chip.querySelector(".term-name");
    const isMinus = term.weight < 0;
    const [flip, weight, remove] = chip.querySelectorAll("button");
    const label = (called) => {
      name.textContent = called;
      flip.setAttribute("aria-label", `${isMinus ? "Less" : "More"} like ${called}: turn round`);
      weight.setAttribute("aria-label", `Weight of ${called}: ${Math.abs(term.weight)}, change`);
      remove.setAttribute("aria-label", `Remove ${called}`);
    };
    chip.classList.toggle("minus", isMinus);
    flip.textContent = isMinus ? "−" : "+";
    weight.textContent = `× ${Math.abs(term.weight)}`;
    label(term.text ?? `row ${term.like}`);
    if (term.like !== undefined) this.nameOf(term.like).then(label, () => {});
    flip.addEventListener("click", () => this.#replace(index, { ...term, weight: -term.weight }, 0));
    weight.addEventListener("click", () => this.#replace(index, { ...term, weight: nextWeight(term.weight) }, 1));
    remove.addEventListener("click", () => this.onChange(this.terms.filter((_, i) => i !== index)));
    return chip;
  }

  /** Draw the chip again and keep the focus on its button. */
  #replace(index, term, button) {
    this.onChange(this.terms.map((one, i) => (i === index ? term : one)));
    this.list.children[index]?.querySelectorAll("button")[button]?.focus();
  }
}

function nextWeight(weight) {
  const next = WEIGHTS.find((one) => one > Math.abs(weight)) ?? WEIGHTS[0];
  return Math.sign(weight) * next;
}
