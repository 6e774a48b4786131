// Keeps the keyboard's focus on the page when what had it goes away.

/** `fallback()` returns the element that gets the focus of one that was hidden or removed. */
export function keepFocus(fallback) {
  let last = null;
  let isChecking = false;
  document.addEventListener("focusin", (event) => { last = event.target; });
  const check = () => {
    isChecking = false;
    const isLost = [null, document.body, last].includes(document.activeElement);
    if (last && isLost && !(last.isConnected && last.checkVisibility())) fallback().focus();
  };
  const observer = new MutationObserver(() => {
    if (isChecking) return;
    isChecking = true;
    requestAnimationFrame(check);
  });
  observer.observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["hidden", "open"] });
}
