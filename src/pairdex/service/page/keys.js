// Keys that work anywhere on the page.

/** `box` and `grid` get the focus; `toggleMap()` is called for m, `toggleDuplicates()` for d. */
export function listenToKeys({ box, grid, toggleMap, toggleDuplicates }) {
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyped = event.target.matches("input:not([type=radio], [type=checkbox], [type=range]), select, textarea");
    if (event.key === "m" && !isTyped) {
      toggleMap();
    } else if (event.key === "d" && !isTyped) {
      toggleDuplicates();
    } else if (event.key === "/" && !isTyped) {
      event.preventDefault();
      box.input.focus();
      box.input.select();
    } else if (event.key === "ArrowDown" && event.target === box.input) {
      event.preventDefault();
      grid.focus(0);
    } else if (event.key === "Escape" && event.target.closest(".grid")) {
      box.input.focus();
    }
  });
}
