// The map of a model space on a canvas, with a list of the models beside it. Used by the page that `locus plot space` writes, and by
// the console of the gateway. Everything that comes from names is set as text, never as HTML.
"use strict";

const CELL = 48; // pixels; labels are compared with what lies in the same cells only
const MOST_ARROWS = 40; // with more models, only the arrow of the one that is looked at is drawn
const keyOf = (name, other) => (other ? "space " : "own ") + name;
const percent = (share) => (100 * share).toFixed(1) + "%";

function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Boxes by the cells of a grid that they cover, so that thousands of labels are placed within a frame.
class Boxes {
  cells = new Map();
  // True if act returns true for one of the cells of a box.
  some([left, top, right, bottom], act) {
    for (let x = Math.floor(left / CELL); x <= Math.floor(right / CELL); x++)
      for (let y = Math.floor(top / CELL); y <= Math.floor(bottom / CELL); y++) if (act(x * 4096 + y)) return true;
    return false;
  }
  add(box) {
    this.some(box, (cell) => {
      if (this.cells.has(cell)) this.cells.get(cell).push(box);
      else this.cells.set(cell, [box]);
    });
  }
  isFree(box) {
    const meets = (other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3];
    return !this.some(box, (cell) => this.cells.get(cell)?.some(meets));
  }
}

class ModelMap {
  // root: an element that is filled. details: name, other -> what is shown of a model, or a promise of it.
  constructor(root, data, details) {
    Object.assign(this, { root, details, view: { scale: 1, x: 0, y: 0 }, widths: new Map(), labels: [], pointers: new Map() });
    Object.assign(this, { hovered: null, chosen: null, active: null, provider: null, answering: new Map(), shown: [], frame: 0, fit: 1 });
    root.modelMap = this;
    this.build();
    this.listen();
    this.load(data);
  }

  // The models, anew; what is chosen stays chosen.
  load(data) {
    const first = !this.data, before = first ? undefined : this.models[this.chosen]?.key;
    this.data = data;
    this.models = data.models.map((model, i) => ({ ...model, i, key: keyOf(model.name, model.other) }));
    for (const model of this.models) model.r = model.full = model.other ? 3.5 : 4.5 + 9 * model.size; // pixels, where there is room
    this.own = this.models.filter((model) => !model.other).length;
    this.byKey = new Map(this.models.map((model) => [model.key, model]));
    this.order = [...this.models].sort((a, b) => b.other - a.other || b.r - a.r); // small marks above large ones
    this.hovered = null;
    this.chosen = this.byKey.get(before)?.i ?? null;
    this.withOthers.parentElement.hidden = !this.models.some((model) => model.other) || this.models.every((model) => model.other);
    this.withArrows.parentElement.hidden = !this.models.some((model) => model.stand_in);
    this.caption.textContent = data.caption;
    this.canvas.setAttribute("aria-label", `Map of ${this.own} models. The list of models has the same content.`);
    this.readColours();
    this.select();
    if (first) this.wholeMap();
  }

  build() {
    const button = (text, title, act) => {
      const made = make("button", { type: "button", title, "aria-label": title }, text);
      made.addEventListener("click", act);
      return made;
    };
    const box = (text, checked) => {
      const input = make("input", { type: "checkbox" });
      input.checked = checked;
      return [input, make("label", {}, input, " " + text)];
    };
    let others, arrows;
    this.search = make("input", { type: "search", placeholder: "Find a model", "aria-label": "Find a model", autocomplete: "off", spellcheck: "false" });
    [this.withOthers, others] = box("Other models of the space", false);
    [this.withArrows, arrows] = box("Stand-ins", true);
    const middle = (factor) => () => this.zoom(factor, this.width / 2, this.height / 2);
    const zooms = make("span", { class: "map-zooms" }, button("+", "Zoom in", middle(1.4)), button("−", "Zoom out", middle(1 / 1.4)), button("Whole map", "Show the whole map", () => this.wholeMap()));
    this.canvas = make("canvas", { tabindex: 0, role: "img" });
    this.stage = make("div", { class: "map-stage" }, this.canvas);
    this.heading = make("h2", { tabindex: -1 });
    this.list = make("ul", { class: "map-list", role: "listbox", tabindex: 0, "aria-label": "Models" });
    this.about = make("div", { class: "map-about" });
    this.panel = make("div", { class: "map-panel", role: "region", "aria-label": "Models of the map" }, this.heading, this.list, this.about);
    this.legend = make("div", { class: "map-legend", role: "group", "aria-label": "Show one provider only" });
    this.caption = make("p", { class: "map-caption" });
    this.root.replaceChildren(make("div", { class: "map-tools" }, this.search, zooms, others, arrows), make("div", { class: "map-main" }, this.stage, this.panel), this.legend, this.caption);
    this.context = this.canvas.getContext("2d");
  }

  listen() {
    new ResizeObserver(() => this.resize()).observe(this.stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.readColours(); this.select(); });
    this.search.addEventListener("input", () => { this.chosen = null; this.select(); });
    this.search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && this.shown.length) this.choose(this.shown[0]);
      if (event.key === "ArrowDown" && !this.list.hidden) { event.preventDefault(); this.list.focus(); }
    });
    for (const box of [this.withOthers, this.withArrows]) box.addEventListener("change", () => { this.select(); this.wholeMap(); });
    this.list.addEventListener("click", (event) => { const row = event.target.closest("li"); if (row) this.choose(this.models[row.dataset.i]); });
    this.list.addEventListener("pointerover", (event) => this.hover(event.target.closest("li")?.dataset.i ?? null));
    this.list.addEventListener("pointerleave", () => this.hover(null));
    this.list.addEventListener("focus", () => this.activate(this.active ?? 0));
    this.list.addEventListener("blur", () => this.hover(null));
    this.list.addEventListener("keydown", (event) => this.listKey(event));
    this.panel.addEventListener("click", (event) => {
      const goal = event.target.closest("[data-key]");
      if (goal && this.byKey.has(goal.dataset.key)) this.choose(this.byKey.get(goal.dataset.key));
    });
    this.root.addEventListener("keydown", (event) => { if (event.key === "Escape" && this.chosen !== null) { event.preventDefault(); this.back(); } });
    this.canvas.addEventListener("keydown", (event) => this.canvasKey(event));
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), event.offsetX, event.offsetY);
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, (event) => this.release(event, end === "pointerup"));
    this.canvas.addEventListener("pointerleave", () => this.hover(null));
  }

  // --- What is shown -------------------------------------------------------------------------------------------------------------

  // The models that search, provider and the box for others leave; then list, legend and map.
  select() {
    const wanted = this.search.value.trim().toLowerCase();
    const found = (model) => model.name.toLowerCase().includes(wanted) && (!this.provider || this.legendOf(model) === this.provider);
    // A search finds the other models too, so that a model can be looked up before it is in the portfolio.
    this.shown = this.models.filter((model) => found(model) && (!model.other || this.withOthers.checked || wanted !== ""));
    this.shown.sort((a, b) => a.other - b.other || (b.figure ?? -1) - (a.figure ?? -1));
    this.active = null;
    this.drawLegend();
    if (this.chosen === null) this.showList();
    else this.describe(this.models[this.chosen]);
    this.draw();
  }

  legendOf(model) { return this.data.colours[model.provider] ? model.provider : this.data.others; }

  readColours() {
    const style = getComputedStyle(this.root);
    this.ink = Object.fromEntries(["card", "ink", "soft", "line", "accent"].map((name) => [name, style.getPropertyValue("--" + name).trim()]));
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const lighter = (hex) => "#" + [1, 3, 5].map((at) => Math.round(parseInt(hex.slice(at, at + 2), 16) * 0.6 + 255 * 0.4).toString(16).padStart(2, "0")).join("");
    this.colours = Object.fromEntries(Object.entries(this.data.colours).map(([name, hex]) => [name, dark ? lighter(hex) : hex]));
    this.font = style.fontFamily;
  }

  colour(model) { return this.colours[this.legendOf(model)] ?? this.ink.soft; }

  dot(colour) {
    const made = make("span", { class: "map-dot" });
    made.style.background = colour;
    return made;
  }

  drawLegend() {
    const seen = new Set(this.models.filter((model) => !model.other || this.withOthers.checked).map((model) => this.legendOf(model)));
    const names = Object.keys(this.data.colours).filter((name) => seen.has(name));
    const keys = names.map((name) => {
      const key = make("button", { type: "button", "aria-pressed": this.provider === name, title: `Show ${name} only` }, this.dot(this.colours[name]), name);
      key.addEventListener("click", () => {
        this.provider = this.provider === name ? null : name;
        this.chosen = null;
        this.select();
        this.legend.querySelectorAll("button")[names.indexOf(name)].focus();
      });
      return key;
    });
    this.legend.replaceChildren(...(keys.length > 1 ? keys : []));
  }

  showList() {
    const count = this.shown.length;
    this.heading.textContent = count === 1 ? "1 model" : `${count.toLocaleString("en")} models`;
    this.list.hidden = false;
    this.about.replaceChildren();
    this.list.removeAttribute("aria-activedescendant");
    this.list.replaceChildren(...this.shown.map((model) => this.row(model)));
  }

  row(model) {
    const answer = this.answering.get(model.key);
    const figure = answer?.p ?? model.figure;
    return make("li", { role: "option", id: `map-${model.i}`, "data-i": model.i, "aria-selected": false, class: model.other ? "other" : "" },
      this.dot(this.colour(model)), make("span", { class: "map-name", title: model.name }, this.nameOf(model)), make("span", { class: "map-figure" }, figure === null ? "–" : percent(figure)));
  }

  nameOf(model) { return (model.relative ? "≈ " : "") + model.name; }

  activate(at) {
    if (!this.shown.length) return;
    this.list.children[this.active]?.setAttribute("aria-selected", false);
    this.active = Math.max(0, Math.min(at, this.shown.length - 1));
    const row = this.list.children[this.active];
    row.setAttribute("aria-selected", true);
    this.list.setAttribute("aria-activedescendant", row.id);
    row.scrollIntoView({ block: "nearest" });
    this.hover(this.shown[this.active].i);
  }

  listKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e6, End: 1e6 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      this.activate((this.active ?? 0) + step);
    } else if (event.key === "Enter" && this.active !== null) {
      event.preventDefault();
      this.choose(this.shown[this.active]);
    }
  }

  choose(model) {
    this.chosen = model.i;
    this.hovered = null;
    const [x, y] = this.place(model);
    if (x < 0 || y < 0 || x > this.width || y > this.height) Object.assign(this.view, { x: this.view.x + this.width / 2 - x, y: this.view.y + this.height / 2 - y });
    this.describe(model);
    this.draw();
    this.heading.focus({ preventScroll: true });
  }

  back() {
    const last = this.chosen;
    this.chosen = null;
    this.select();
    this.active = Math.max(0, this.shown.findIndex((model) => model.i === last));
    this.list.focus({ preventScroll: true });
  }

  hover(i) {
    const next = i === null ? null : Number(i);
    if (next === this.hovered) return;
    this.hovered = next;
    this.draw();
  }

  // The models that would answer a query: key -> { p, first }; an empty map for none.
  answer(answering) {
    this.answering = answering;
    if (this.chosen === null) this.showList();
    this.draw();
  }

  async describe(model) {
    this.list.hidden = true;
    this.heading.textContent = this.nameOf(model);
    const back = make("button", { type: "button", class: "map-back" }, "All models");
    back.addEventListener("click", () => this.back());
    this.about.replaceChildren(back);
    this.about.setAttribute("aria-busy", true);
    let parts;
    try {
      parts = this.parts(model, await this.details(model.name, model.other));
    } catch (error) {
      parts = [make("p", { role: "alert" }, error.message)];
    }
    if (this.chosen !== model.i) return; // another one was chosen meanwhile
    this.about.removeAttribute("aria-busy");
    this.about.replaceChildren(back, ...parts);
  }

  parts(model, found) {
    const section = (title, rows) => (rows?.length ? [make("h3", {}, title), ...rows] : []);
    const near = ({ name, other = false, distance }) => {
      const there = this.byKey.get(keyOf(name, other));
      return make("button", { type: "button", class: "map-near", "data-key": keyOf(name, other), title: name }, this.dot(there ? this.colour(there) : this.ink.soft), make("span", { class: "map-name" }, name), make("span", { class: "map-figure" }, distance.toPrecision(3)));
    };
    const facts = make("dl", { class: "map-facts" });
    for (const [label, text] of found.facts) facts.append(make("dt", {}, label), make("dd", {}, text));
    const kinds = [...(found.kinds ?? [])].sort((a, b) => b.mean - a.mean).map((kind) => this.kind(kind, this.colour(model)));
    const versions = (found.history ?? []).map((one) => make("li", {}, make("b", {}, `Version ${one.version}${one.live ? ", in use" : ""}`), ` ${one.time.slice(0, 10)}, ${one.source}, ${one.evaluations.toLocaleString("en")} evaluations. ${one.note}`));
    return [
      facts,
      ...(found.notes ?? []).map((text) => make("p", {}, text)),
      ...(found.links ?? []).map(([text, address]) => make("p", {}, make("a", { href: address }, text))),
      ...section("Usual stand-ins in their order, with distances", found.stand_ins?.map(near)),
      ...section("Nearest in the space, with distances", found.neighbors.map(near)),
      ...section("Predicted accuracy by kind of question", kinds),
      ...section("Versions of its embedding", versions.length ? [make("ul", { class: "map-versions" }, ...versions)] : []),
    ];
  }

  kind({ name, mean, error = null, measured = true }, colour) {
    const bar = make("span", { class: "map-bar" }), fill = make("i");
    fill.style.width = percent(mean);
    fill.style.background = colour;
    bar.append(fill);
    if (error !== null) {
      const whisker = make("b");
      whisker.style.left = percent(Math.max(0, mean - error));
      whisker.style.right = percent(1 - Math.min(1, mean + error));
      bar.append(whisker);
    }
    const figure = (measured ? "" : "≈ ") + (100 * mean).toFixed(0) + (error === null ? "%" : ` ± ${(100 * error).toFixed(0)}%`);
    return make("div", { class: "map-kind" }, make("span", { class: "map-name", title: name }, name), bar, make("span", { class: "map-figure" }, figure));
  }

  // --- Where it is ---------------------------------------------------------------------------------------------------------------

  place(model) { return [model.x * this.view.scale + this.view.x, this.view.y - model.y * this.view.scale]; }

  resize() {
    const { width, height } = this.stage.getBoundingClientRect();
    if (!width || !height) return;
    const first = !this.width, ratio = devicePixelRatio || 1;
    const [dx, dy] = first ? [0, 0] : [(width - this.width) / 2, (height - this.height) / 2];
    Object.assign(this, { width, height, ratio });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.view.x += dx;
    this.view.y += dy;
    if (first) this.wholeMap();
    this.draw();
  }

  wholeMap() {
    if (!this.width) return;
    const seen = this.models.filter((model) => !model.other || this.withOthers.checked);
    const of = seen.length ? seen : this.models;
    if (!of.length) return;
    const ends = (axis) => [Math.min(...of.map((model) => model[axis])), Math.max(...of.map((model) => model[axis]))];
    const [left, right] = ends("x"), [low, high] = ends("y");
    const across = Math.min(90, this.width / 6), along = Math.min(46, this.height / 6);
    const fit = Math.min((this.width - 2 * across) / Math.max(right - left, 1e-9), (this.height - 2 * along) / Math.max(high - low, 1e-9));
    this.view.scale = this.fit = Math.min(fit, 1e6); // models at one place
    this.view.x = this.width / 2 - (this.view.scale * (left + right)) / 2;
    this.view.y = this.height / 2 + (this.view.scale * (low + high)) / 2;
    this.draw();
  }

  zoom(factor, x, y) {
    this.view.x = x - (x - this.view.x) * factor;
    this.view.y = y - (y - this.view.y) * factor;
    this.view.scale *= factor;
    this.draw();
  }

  pan(dx, dy) {
    this.view.x += dx;
    this.view.y += dy;
    this.draw();
  }

  canvasKey(event) {
    const pans = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (pans[event.key]) this.pan(...pans[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.3, this.width / 2, this.height / 2);
    else if (event.key === "-") this.zoom(1 / 1.3, this.width / 2, this.height / 2);
    else if (event.key === "0") this.wholeMap();
    else return;
    event.preventDefault();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    if (this.pointers.size === 1) this.moved = 0;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId), at = [event.offsetX, event.offsetY];
    if (!before) {
      const found = this.at(...at);
      this.canvas.classList.toggle("over", found !== null);
      this.hover(found?.i ?? null);
      return;
    }
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.moved += Math.hypot(at[0] - before[0], at[1] - before[1]);
    this.pointers.set(event.pointerId, at);
    if (other) { // two fingers
      const apart = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
      this.zoom(apart(at) / apart(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
      this.pan((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    } else if (this.moved > 4) this.pan(at[0] - before[0], at[1] - before[1]);
  }

  release(event, done) {
    if (!this.pointers.delete(event.pointerId) || !done || this.pointers.size || this.moved > 4) return;
    const found = this.at(event.offsetX, event.offsetY);
    if (found) this.choose(found);
    else if (this.chosen !== null) this.back();
  }

  // The nearest model within a few pixels.
  at(x, y) {
    let nearest = null, least = 6;
    for (const model of this.visible()) {
      const [u, v] = this.place(model), apart = Math.hypot(u - x, v - y) - model.r;
      if (apart < least || (apart < 0 && nearest && model.r < nearest.r)) [nearest, least] = [model, Math.min(apart, least)];
    }
    return nearest;
  }

  // --- Drawing -------------------------------------------------------------------------------------------------------------------

  visible() {
    const found = new Set(this.shown);
    return this.order.filter((model) => !model.other || this.withOthers.checked || this.answering.has(model.key) || (found.has(model) && this.search.value.trim()) || model.i === this.chosen);
  }

  // Marks are smaller where many models share the map, and grow as it is enlarged.
  resizeMarks() {
    const area = (this.width * this.height * Math.max(1, this.view.scale / this.fit)) / 4000;
    const room = (count) => Math.max(0.4, Math.min(1, Math.sqrt(area / Math.max(count, 1))));
    const [ofOwn, ofAll] = [room(this.own || this.models.length), room(this.models.length)];
    for (const model of this.models) model.r = model.full * (model.other ? ofAll : ofOwn);
  }

  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  paint() {
    if (!this.width) return;
    const c = this.context, current = this.models[this.hovered ?? this.chosen] ?? null;
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    this.resizeMarks();
    this.paintGrid(c);
    const seen = this.visible(), shown = new Set(this.shown);
    const strong = (model) => (this.answering.size ? this.answering.has(model.key) : shown.has(model)) || model === current;
    const arrows = seen.filter((model) => model.stand_in && this.withArrows.checked && (model === current || (this.own <= MOST_ARROWS && strong(model))));
    for (const model of arrows) this.paintArrow(c, model, model === current);
    for (const model of seen) this.paintMark(c, model, strong(model), model === current);
    this.paintLabels(c, seen.filter(strong), seen, current);
    this.drawn = seen.length;
  }

  paintGrid(c) {
    const wanted = 120 / this.view.scale, power = 10 ** Math.floor(Math.log10(wanted));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= wanted * 0.999);
    c.strokeStyle = this.ink.line;
    c.lineWidth = 1;
    c.globalAlpha = 0.6;
    c.beginPath();
    for (let at = Math.ceil(-this.view.x / this.view.scale / step) * step, x; (x = at * this.view.scale + this.view.x) < this.width; at += step) c.moveTo(x, 0), c.lineTo(x, this.height);
    for (let at = Math.ceil((this.view.y - this.height) / this.view.scale / step) * step, y; (y = this.view.y - at * this.view.scale) > 0; at += step) c.moveTo(0, y), c.lineTo(this.width, y);
    c.stroke();
    c.globalAlpha = 1;
  }

  paintArrow(c, model, current) {
    const goal = this.byKey.get(keyOf(model.stand_in, false));
    if (!goal) return;
    const [x, y] = this.place(model), [u, v] = this.place(goal), length = Math.hypot(u - x, v - y);
    if (length < model.r + goal.r + 8) return;
    const dx = (u - x) / length, dy = (v - y) / length, end = goal.r + 5, tx = u - dx * end, ty = v - dy * end;
    c.strokeStyle = c.fillStyle = current ? this.ink.ink : this.ink.soft;
    c.globalAlpha = current ? 0.9 : 0.45;
    c.lineWidth = current ? 1.6 : 1;
    c.beginPath();
    c.moveTo(x + dx * (model.r + 4), y + dy * (model.r + 4));
    c.lineTo(tx, ty);
    c.stroke();
    c.beginPath();
    c.moveTo(tx, ty);
    c.lineTo(tx - dx * 7 - dy * 3.5, ty - dy * 7 + dx * 3.5);
    c.lineTo(tx - dx * 7 + dy * 3.5, ty - dy * 7 - dx * 3.5);
    c.fill();
    c.globalAlpha = 1;
  }

  paintMark(c, model, strong, current) {
    const [x, y] = this.place(model), r = model.r, first = this.answering.get(model.key)?.first;
    if (x < -30 || y < -30 || x > this.width + 30 || y > this.height + 30) return;
    const circle = (radius, from = 0, to = 2 * Math.PI) => { c.beginPath(); c.arc(x, y, radius, from, to); };
    c.globalAlpha = strong ? (model.other && !current ? 0.55 : 1) : 0.16;
    c.fillStyle = this.colour(model);
    circle(r);
    c.fill();
    c.strokeStyle = this.ink.card;
    c.lineWidth = 1.2;
    if (model.relative) { // borrowed: an open mark
      c.fillStyle = this.ink.card;
      circle(r * 0.55);
      c.fill();
    } else c.stroke();
    if (model.ring !== null) {
      c.lineWidth = 2;
      c.strokeStyle = this.ink.line;
      circle(r + 3);
      c.stroke();
      c.strokeStyle = this.ink.ink;
      circle(r + 3, -Math.PI / 2, -Math.PI / 2 + 2 * Math.PI * model.ring);
      c.stroke();
    }
    if (current || first) {
      c.lineWidth = first ? 3 : 2;
      c.strokeStyle = first ? this.ink.accent : this.ink.ink;
      circle(r + (model.ring === null ? 3 : 7));
      c.stroke();
    }
    c.globalAlpha = 1;
  }

  // Names where they cover neither a mark nor another name: first those looked at, then of large marks. Names of the portfolio's
  // models may cover marks of other ones.
  paintLabels(c, named, seen, current) {
    const taken = new Boxes(), rank = (model) => (model === current ? 1e3 : 0) + (this.answering.get(model.key)?.first ? 500 : 0) + (model.other ? 0 : 100) + model.r;
    const add = (models) => {
      for (const model of models) {
        const [x, y] = this.place(model), r = model.r + (model.ring === null ? 1 : 5);
        if (x > -50 && y > -50 && x < this.width + 50 && y < this.height + 50) taken.add([x - r, y - r, x + r, y + r]);
      }
    };
    add(seen.filter((model) => !model.other));
    let othersToo = false;
    this.labels = [];
    for (const model of [...named].sort((a, b) => rank(b) - rank(a) || a.i - b.i)) {
      const [x, y] = this.place(model);
      if (x < 0 || y < 0 || x > this.width || y > this.height) continue;
      if (model.other && model !== current && !othersToo) {
        add(seen.filter((one) => one.other));
        othersToo = true;
      }
      const strong = model === current || this.answering.get(model.key)?.first, answer = this.answering.get(model.key);
      const text = (model.relative ? "≈" : "") + model.name.slice(model.name.indexOf("/") + 1) + (answer ? ` ${(100 * answer.p).toFixed(0)}%` : "");
      const box = this.freeBox(taken, x, y, model.r + (model.ring === null ? 2 : 6), this.textWidth(text, strong) + 6, strong ? 16 : 14);
      if (!box) continue;
      taken.add(box);
      this.labels.push({ text, box });
      c.font = this.fontOf(strong);
      c.lineJoin = "round";
      c.lineWidth = 3;
      c.strokeStyle = this.ink.card;
      c.strokeText(text, box[0] + 3, box[3] - 3.5);
      c.fillStyle = model.other ? this.ink.soft : this.ink.ink;
      c.fillText(text, box[0] + 3, box[3] - 3.5);
    }
  }

  freeBox(taken, x, y, r, w, h) {
    for (const gap of [r, r + 7])
      for (const [ax, ay] of [[1, 0], [-1, 0], [0, -1], [0, 1], [0.75, -0.8], [0.75, 0.8], [-0.75, -0.8], [-0.75, 0.8]]) {
        const cx = x + ax * (gap + w / 2), cy = y + ay * (gap + h / 2), box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2];
        if (box[0] >= 0 && box[1] >= 0 && box[2] <= this.width && box[3] <= this.height && taken.isFree(box)) return box;
      }
    return null;
  }

  fontOf(strong) { return (strong ? "650 12.5px " : "11.5px ") + this.font; }

  textWidth(text, strong) {
    const known = (strong ? "!" : "") + text;
    if (!this.widths.has(known)) {
      this.context.font = this.fontOf(strong);
      this.widths.set(known, this.context.measureText(text).width);
    }
    return this.widths.get(known);
  }
}
