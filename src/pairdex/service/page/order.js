// The order of rows that are shown without a query: none, or by a column.

const NOT_OFFERED = new Set(["part", "row", "url", "image_path", "content"]);
const ORDERED = /^(u?int|float|double|halffloat|decimal|date|timestamp|bool|string|large_string)/;

/** Fill the <select> with the columns of the collection, and show the state's order. */
export function showOrder(select, { sort }, { name, columns }) {
  if (select.dataset.of !== name) {
    select.dataset.of = name;
    const offered = columns.filter((column) => ORDERED.test(column.type) && !NOT_OFFERED.has(column.name));
    select.replaceChildren(new Option("In any order", ""), ...offered.flatMap(options));
  }
  select.value = sort;
}

function options({ name, type }) {
  const words = /string|bool/.test(type) ? ["Z to A", "A to Z"] : /^(date|timestamp)/.test(type) ? ["newest first", "oldest first"] : ["largest first", "smallest first"];
  return [new Option(`${name}, ${words[0]}`, `-${name}`), new Option(`${name}, ${words[1]}`, name)];
}
