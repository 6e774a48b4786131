// The selected rows and what can be done with all of them: search, save, filter, hide.

import { save } from "./downloads.js";
import { counted, number } from "./wording.js";

const MOST_LIKE = 15; // terms of a search
const byId = (id) => document.getElementById(id);

export class Selection {
  /** `onLike(ids)`, `onDownload(ids)`, `onOnly(ids)` and `onHide(ids)` act on the rows; `onChange(ids)` shows them selected. */
  constructor({ onLike, onDownload, onOnly, onHide, onChange }) {
    this.ids = new Set();
    this.onChange = onChange;
    const acts = {
      like: () => onLike([...this.ids].slice(0, MOST_LIKE)),
      download: () => onDownload([...this.ids]),
      ids: () => save(new Blob([...this.ids].map((id) => `${id}\n`)), "ids.txt"),
      filter: () => onOnly([...this.ids]),
      hide: () => onHide([...this.ids]),
    };
    for (const [name, act] of Object.entries(acts)) byId(`selection-${name}`).addEventListener("click", act);
    byId("selection-clear").addEventListener("click", () => this.set([]));
  }

  toggle(id) {
    const isNew = !this.ids.delete(id);
    this.set(isNew ? [...this.ids, id] : this.ids);
  }

  /** Select rows; `found` is how many there are, if not all of them. */
  set(ids, found = ids.length ?? ids.size) {
    this.ids = new Set(ids);
    const count = this.ids.size;
    byId("selection").hidden = count === 0;
    byId("selection-count").textContent = `${found > count ? `${number(count)} of ` : ""}${counted(found, "row")} selected`;
    byId("selection-like").textContent = count > MOST_LIKE ? `More like the first ${MOST_LIKE}` : "More like these";
    this.onChange(this.ids);
  }
}
