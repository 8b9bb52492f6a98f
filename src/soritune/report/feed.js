// A long list of which only the visible part is in the page. Items have any height.

class Feed {
  /** box: the element that scrolls; inner: its only child, which holds the items;
   *  draw: makes the element of an item from its number. */
  constructor(box, inner, draw) {
    this.box = box;
    this.inner = inner;
    this.draw = draw;
    this.items = [];
    this.drawn = new Map();
    this.guess = 150; // pixels, until items were measured
    this.width = box.clientWidth;
    box.addEventListener("scroll", () => this.update(), { passive: true });
    box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => {
      const changed = this.width !== box.clientWidth;
      this.width = box.clientWidth;
      if (changed) this.redraw();
    }).observe(box);
  }

  /** Show these items from the first one on. */
  show(items) {
    this.items = items;
    this.place = new Map(items.map((item, index) => [item, index]));
    this.heights = new Float64Array(items.length).fill(this.guess);
    this.box.scrollTop = 0;
    this.clear();
    this.update();
  }

  /** Draw the visible items again, at the same place. */
  redraw() {
    const top = this.first();
    const focused = [...this.drawn].find(([, element]) => element.contains(document.activeElement));
    this.clear();
    this.heights.fill(this.guess);
    this.scrollTo(top);
    if (focused) this.drawn.get(focused[0])?.focus({ preventScroll: true });
  }

  clear() {
    this.drawn.clear();
    this.inner.replaceChildren();
    this.dirty = true;
  }

  offsets() {
    if (!this.dirty) return this.tops;
    this.tops = new Float64Array(this.heights.length + 1);
    for (let i = 0; i < this.heights.length; i++) this.tops[i + 1] = this.tops[i] + this.heights[i];
    this.inner.style.height = `${this.tops[this.heights.length]}px`;
    this.dirty = false;
    return this.tops;
  }

  /** Index of the item at the upper edge. */
  first(y = this.box.scrollTop) {
    const tops = this.offsets();
    let low = 0;
    let high = this.items.length;
    while (low < high - 1) {
      const middle = (low + high) >> 1;
      if (tops[middle] <= y) low = middle;
      else high = middle;
    }
    return low;
  }

  update() {
    // Heights become known when items are drawn; twice is enough for them to settle.
    for (let pass = 0; pass < 3; pass++) if (!this.layout()) break;
  }

  layout() {
    if (!this.items.length) {
      this.offsets();
      return false;
    }
    const top = this.box.scrollTop;
    const anchor = this.first();
    const inside = top - this.offsets()[anchor];
    const from = Math.max(0, anchor - 2);
    let to = from;
    const bottom = top + this.box.clientHeight + 60;
    while (to < this.items.length && this.offsets()[to] < bottom) to++;
    for (const [index, element] of this.drawn) {
      if ((index < from || index >= to) && !element.contains(document.activeElement)) {
        element.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = from; index < to; index++) if (!this.drawn.has(index)) this.insert(index);
    let changed = false;
    let sum = 0;
    for (const [index, element] of this.drawn) {
      const height = element.offsetHeight;
      sum += height;
      if (Math.abs(height - this.heights[index]) > 0.5) {
        this.heights[index] = height;
        changed = true;
      }
    }
    this.guess = sum / this.drawn.size || this.guess;
    this.dirty ||= changed;
    const tops = this.offsets();
    for (const [index, element] of this.drawn) element.style.top = `${tops[index]}px`;
    if (changed) this.box.scrollTop = tops[anchor] + inside;
    return changed;
  }

  insert(index) {
    const element = this.draw(this.items[index], index);
    const next = [...this.drawn.keys()].filter((each) => each > index);
    this.inner.insertBefore(element, next.length ? this.drawn.get(Math.min(...next)) : null);
    this.drawn.set(index, element);
  }

  /** Bring an index to the upper edge; return its element. */
  scrollTo(index) {
    this.update();
    for (let pass = 0; pass < 3; pass++) {
      this.box.scrollTop = this.offsets()[index] || 0;
      this.update();
    }
    return this.drawn.get(index);
  }

  key(event) {
    const step = { PageDown: 1, j: 1, PageUp: -1, k: -1 }[event.key];
    if (!step || event.target.closest("input, select, audio") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const current = document.activeElement.closest("article");
    const found = [...this.drawn].find(([, element]) => element === current);
    const index = found ? found[0] + step : this.first();
    if (index < 0 || index >= this.items.length) return;
    this.scrollTo(index).focus({ preventScroll: true });
  }
}
