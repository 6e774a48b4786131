// Mouse, touch and keys on the map.

const WHEEL = 0.0016; // of zoom a pixel of the wheel
const STEP = 60; // pixels an arrow key moves
const CLICK = 5; // pixels a pointer may move and still click

/** `onMove()`, `onPoint(left, top)`, `onLeave()`, `onClick(left, top)`: what the user does; the view is changed here. */
export function listen(canvas, view, { onMove, onPoint, onLeave, onClick }) {
  const pointers = new Map();
  let travelled = 0;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 1) travelled = 0;
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
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const factor = Math.hypot(place[0] - other[0], place[1] - other[1]) / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1]));
      view.zoomAt((place[0] + other[0]) / 2, (place[1] + other[1]) / 2, factor);
    }
    view.pan(other ? right / 2 : right, other ? down / 2 : down);
    pointers.set(event.pointerId, place);
    onMove();
  });
  canvas.addEventListener("pointerup", (event) => {
    const wasOnly = pointers.size === 1 && pointers.delete(event.pointerId);
    pointers.delete(event.pointerId);
    if (wasOnly && travelled < CLICK) onClick(...at(event));
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
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
    onMove();
    if (event.key !== "Enter") onPoint(middle, half);
  });
}
