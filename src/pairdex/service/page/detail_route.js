// The details of a row as an entry of the history: opened, closed by Back, and led to the next row.

import { rowOf } from "./rows.js";

export class DetailRoute {
  /** `state()` and `collection()` give what is shown now; `go(state, options)` goes to another state. */
  constructor({ grid, results, state, collection, go }) {
    Object.assign(this, { grid, results, state, collection, go });
  }

  open(id) {
    this.go({ ...this.state(), row: id }, { isAbove: true });
  }

  /** Leave the details of a row: back to the entry they were opened from, if there is one. */
  close(id) {
    this.#focus(id);
    if (this.state().row === null) return;
    if (history.state?.isAbove) history.back();
    else this.go({ ...this.state(), row: null }, { replace: true });
  }

  /** Show the details of the row that is `step` further, from the next page if need be. */
  async step(id, step) {
    const { grid } = this;
    const next = this.#placeOf(id) + step;
    if (next >= grid.rows.length) await this.results.more();
    if (this.state().row === id && grid.rows[next]) this.go({ ...this.state(), row: grid.rows[next].id }, { replace: true });
  }

  /** Show or hide the dialog as the state says; return the name of its row, or null. */
  async show(detail, signal) {
    const { row } = this.state();
    if (row === null) {
      this.#focus(detail.hide());
      return null;
    }
    const index = this.#placeOf(row);
    if (index >= 0) detail.show(this.grid.rows, index, this.results.isMore);
    else detail.show([await rowOf(this.collection().name, row, signal)], 0, false);
    return detail.name;
  }

  #placeOf(id) {
    return this.grid.rows.findIndex((row) => row.id === id);
  }

  #focus(id) {
    this.grid.focus(this.#placeOf(id));
  }
}
