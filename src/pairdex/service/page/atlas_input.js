// Mouse, touch and keys on the map.

const WHEEL = 0.0016; // of zoom a pixel of the wheel
const STEP = 60; // pixels an arrow key moves
const CLICK = 5; // pixels a pointer may move and still click

/**
 * `onMove()`, `onPoint(left, top)`, `onLeave()`, `onClick(left, top)`: what the user does; the view is changed here.
 * `onLasso(places, isDone)` is called while an area is drawn (`isLasso(event)`), `onAll()` to select all that is seen.
 */
export function listen(canvas, view, { onMove, onPoint, onLeave, onClick, isLasso, onLasso, onAll }) {
  const pointers = new Map();
  let travelled = 0;
  let lasso = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 1) travelled = 0;
    lasso = pointers.size === 1 && isLasso(event) ? [at(event)] : null;
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = at(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      onPoint(...place);
      return;
    }
    const [right, down] = [place[0] - before[0], place[1] - before[1]];
    travelled += Math.hypot(right, down);
    pointers.set(event.pointerId, place);
    if (lasso) {
      lasso.push(place);
      onLasso(lasso, false);
      return;
    }
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const factor = Math.hypot(place[0] - other[0], place[1] - other[1]) / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1]));
      view.zoomAt((place[0] + other[0]) / 2, (place[1] + other[1]) / 2, factor);
    }
    view.pan(other ? right / 2 : right, other ? down / 2 : down);
    onMove();
  });
  canvas.addEventListener("pointerup", (event) => {
    const wasOnly = pointers.size === 1 && pointers.delete(event.pointerId);
    pointers.delete(event.pointerId);
    if (lasso) onLasso(travelled < CLICK ? [] : lasso, true);
    else if (wasOnly && travelled < CLICK) onClick(...at(event));
    lasso = null;
  });
  canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("pointerleave", onLeave);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    view.zoomAt(...at(event), Math.exp(-event.deltaY * WHEEL * (event.deltaMode === 1 ? 16 : 1)));
    onMove();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [middle, half] = [view.width / 2, view.height / 2];
    const actions = {
      ArrowLeft: () => view.pan(STEP, 0),
      ArrowRight: () => view.pan(-STEP, 0),
      ArrowUp: () => view.pan(0, STEP),
      ArrowDown: () => view.pan(0, -STEP),
      "+": () => view.zoomAt(middle, half, 1.5),
      "=": () => view.zoomAt(middle, half, 1.5),
      "-": () => view.zoomAt(middle, half, 1 / 1.5),
      0: () => view.fit(),
      Enter: () => onClick(middle, half),
      s: onAll,
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
    onMove();
    if (!["Enter", "s"].includes(event.key)) onPoint(middle, half);
  });
}
