// The search box: typed text, or a picture that was chosen, dropped or pasted.

import { rowName, showPicture } from "./pictures.js";
import { rowOf } from "./rows.js";
import { pictureAmong, toBase64 } from "./upload.js";

const TYPING_MS = 160; // a pause in typing that is worth a search
const SUBJECT_SIZE = 96; // pixels
const byId = (id) => document.getElementById(id);

export class QueryBox {
  /** `onText(text, {typing})`, `onPicture(base64)` and `onRemove()` are called when the query changes. */
  constructor({ onText, onPicture, onRemove }) {
    this.input = byId("text");
    this.onText = onText;
    this.onPicture = onPicture;
    this.#listenToText();
    this.#listenToPictures();
    byId("subject-remove").addEventListener("click", () => {
      onRemove();
      this.input.focus();
    });
  }

  show(state) {
    clearTimeout(this.timer);
    const words = this.canEncode ? state.text : state.keywords;
    const isWritten = this.input.value.trim() === words.trim();
    if (!isWritten || document.activeElement !== this.input) this.input.value = words;
    byId("subject").hidden = state.like === null && state.image === null;
    byId("subject-picture").replaceChildren();
    byId("subject-name").textContent = state.like === null ? "your picture" : `like ${state.like}`;
    this.input.placeholder = byId("subject").hidden ? this.placeholder : "";
    if (state.image !== null && state.like === null) byId("subject-picture").replaceChildren(preview(state.image));
  }

  /** Show the row that is searched from. */
  async showSubject({ like }, collection, signal) {
    if (like === null) return;
    try {
      const row = await rowOf(collection.name, like, signal);
      if (signal.aborted) return;
      showPicture(byId("subject-picture"), row, collection, SUBJECT_SIZE);
      byId("subject-name").textContent = rowName(row);
    } catch (error) {
      if (error.name !== "AbortError") byId("subject-picture").replaceChildren(); // the search reports the error
    }
  }

  /** Take texts and pictures if the collection's model is available, otherwise words of captions. */
  allow({ queries, columns }, maxChars) {
    const canEncode = queries.includes("text");
    const hasCaptions = columns.some(({ name }) => name === "caption");
    this.input.disabled = !canEncode && !hasCaptions;
    this.input.maxLength = maxChars;
    byId("text-label").textContent = canEncode ? "Describe a picture" : "Words in the captions";
    this.placeholder = canEncode ? "Describe a picture" : hasCaptions ? "Words in the captions" : "Click a row to see similar ones";
    this.input.placeholder = this.placeholder;
    byId("pick").hidden = !canEncode;
    this.canEncode = canEncode;
  }

  #listenToText() {
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(this.timer);
      this.onText(this.input.value, { typing: false });
    });
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.onText(this.input.value, { typing: true }), TYPING_MS);
    });
  }

  #listenToPictures() {
    const use = async (file) => {
      if (file && this.canEncode) this.onPicture(await toBase64(file));
    };
    byId("pick").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", (event) => {
      use(event.target.files[0]);
      event.target.value = "";
    });
    document.addEventListener("paste", (event) => {
      const file = pictureAmong(event.clipboardData?.files ?? []);
      if (!file) return;
      event.preventDefault();
      use(file);
    });
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      byId("drop").hidden = false;
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) byId("drop").hidden = true;
    });
    document.addEventListener("drop", (event) => {
      byId("drop").hidden = true;
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      use(pictureAmong(event.dataTransfer.files) ?? event.dataTransfer.files[0]);
    });
  }
}

function preview(base64) {
  const image = new Image();
  image.alt = "";
  image.src = `data:;base64,${base64}`;
  image.addEventListener("error", () => image.remove());
  return image;
}
