// A column's values to choose from, each with its count.

import { number } from "./wording.js";

/** Return the elements; `choose(filter)` is called with {in: values}, or null for all. */
export function valuesFacet({ name, values }, filter, choose) {
  const chosen = filter?.in ?? [];
  const unseen = chosen.filter((value) => !values.some((one) => one.value === value));
  const all = [...values, ...unseen.map((value) => ({ value, count: 0 }))];
  const list = document.createElement("ul");
  list.append(...all.map((one) => item(name, one, chosen.includes(one.value), (isChosen) => {
    const next = isChosen ? [...chosen, one.value] : chosen.filter((value) => value !== one.value);
    choose(next.length ? { in: next } : null);
  })));
  return [list];
}

function item(name, { value, count }, isChosen, onChange) {
  const line = document.createElement("li");
  const label = document.createElement("label");
  const box = document.createElement("input");
  const words = document.createElement("span");
  const rows = document.createElement("small");
  box.type = "checkbox";
  box.checked = isChosen;
  box.dataset.facet = `${name}=${value}`;
  words.textContent = value === "" ? "(empty)" : String(value);
  rows.textContent = number(count);
  box.addEventListener("change", () => onChange(box.checked));
  label.append(box, words, rows);
  line.append(label);
  return line;
}
