// A column of numbers or times: its histogram, a slider with two ends, and a field for each end.

const DIGITS = 5; // of a number that a slider chooses

/** Return the elements; `choose(filter)` is called with {from, to}, either may be absent, or null for all. */
export function rangeFacet(column, filter, choose) {
  const scale = (/^(date|timestamp)/.test(column.type) ? days : numbers)(withEnds(column, filter));
  const ends = [["from", "at least", scale.least], ["to", "at most", scale.most]];
  const fields = ends.map(([end, words, value]) => field(column.name, end, words, filter?.[end], scale, value));
  const sliders = ends.map(([end, words, value]) => slider(column.name, end, words, filter?.[end], scale, value));
  const bars = histogram(column.histogram ?? []);
  const shade = () => shadeBars(bars, scale, sliders.map((one) => one.valueAsNumber));
  const changed = () => choose(filterOf(fields, scale));
  fields.forEach((one) => one.addEventListener("change", changed));
  sliders.forEach((one, index) => {
    one.addEventListener("input", () => {
      keepApart(sliders, index);
      fields[index].value = scale.write(one.valueAsNumber);
      shade();
    });
    one.addEventListener("change", () => {
      const isEnd = one.valueAsNumber === ends[index][2];
      if (isEnd) fields[index].value = "";
      changed();
    });
  });
  shade();
  return [bars, place("slider", sliders), place("range", [fields[0], dash(), fields[1]])];
}

/** The column with ends, also where the other filters leave none of its values. */
function withEnds({ type, least, most }, filter) {
  const [from, to] = [filter?.from ?? filter?.to, filter?.to ?? filter?.from];
  return { type, least: least ?? from, most: most ?? to };
}

/** How values of a column become numbers of a slider and text of a field: {least, most, type, read, write}. */
function numbers({ type, least, most }) {
  const isWhole = /^u?int/.test(type);
  const write = (value) => String(isWhole ? Math.round(value) : Number(value.toPrecision(DIGITS)));
  return { least, most, type: "number", write, read: (text) => (text === "" ? undefined : Number(text)), toSlider: (value) => value };
}

function days({ least, most }) {
  const write = (value) => new Date(value).toISOString().slice(0, 10);
  const time = (text) => Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) || text.length === 10 ? text : `${text}Z`);
  return { least: time(least), most: time(most), type: "date", write, read: (text) => text || undefined, toSlider: (day) => Date.parse(day) };
}

function field(name, end, words, value, scale, limit) {
  const input = document.createElement("input");
  input.type = scale.type;
  if (scale.type === "number") input.step = "any";
  input.placeholder = scale.write(limit);
  input.value = value ?? "";
  input.dataset.facet = `${name}:${end}`;
  input.setAttribute("aria-label", `${name} ${words}`);
  return input;
}

function slider(name, end, words, value, scale, limit) {
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: scale.least, max: scale.most, step: "any" });
  input.valueAsNumber = value === undefined ? limit : scale.toSlider(value);
  input.dataset.facet = `${name}|${end}`;
  input.setAttribute("aria-label", `${name} ${words}, slider`);
  return input;
}

/** The ends of a range do not pass each other. */
function keepApart([from, to], moved) {
  if (from.valueAsNumber <= to.valueAsNumber) return;
  if (moved === 0) from.valueAsNumber = to.valueAsNumber;
  else to.valueAsNumber = from.valueAsNumber;
}

function filterOf(fields, scale) {
  const [from, to] = fields.map((one) => (one.validity.badInput ? undefined : scale.read(one.value)));
  const filter = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
  return Object.keys(filter).length ? filter : null;
}

/** Bars by the square root of their counts, so that small ones are seen beside large ones. */
function histogram(counts) {
  const most = Math.max(1, ...counts);
  const bars = place("bars", counts.map((count) => {
    const bar = document.createElement("span");
    bar.style.setProperty("--part", `${100 * Math.sqrt(count / most)}%`);
    return bar;
  }));
  bars.setAttribute("aria-hidden", "true");
  bars.hidden = counts.length === 0;
  return bars;
}

function shadeBars(bars, { least, most }, [from, to]) {
  const width = (most - least) / bars.children.length;
  [...bars.children].forEach((bar, index) => {
    bar.classList.toggle("out", least + (index + 1) * width < from || least + index * width > to);
  });
}

function place(name, children) {
  const made = document.createElement("div");
  made.className = name;
  made.append(...children);
  return made;
}

function dash() {
  const word = document.createElement("span");
  word.textContent = "to";
  return word;
}
