// Asks for the service's token, in a dialog that closes only with one.

const byId = (id) => document.getElementById(id);

/** Resolves to what the user types; `refused` says that an earlier token was wrong. */
export function askToken(refused) {
  const dialog = byId("token");
  const input = byId("token-input");
  input.value = "";
  byId("token-error").textContent = refused ? "Wrong token." : "";
  dialog.showModal();
  return new Promise((resolve) => {
    const keepOpen = (event) => event.preventDefault();
    dialog.addEventListener("cancel", keepOpen);
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.removeEventListener("cancel", keepOpen);
      dialog.close();
      resolve(input.value.trim());
    }, { once: true });
  });
}
