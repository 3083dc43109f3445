// The playground: the request as a form or as JSON, the decision before it is sent, and up to three columns of answers.
"use strict";

const MOST_COLUMNS = 3;
const PAUSE_MS = 500; // without a change, before the decision is asked for
const LARGE = 256 << 10; // characters of a body, for which the pause is longer
const EXAMPLES = {
  tools: [{ type: "function", function: { name: "get_weather", description: "The weather of a city now", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }],
  response_format: { type: "json_schema", json_schema: { name: "answer", strict: true, schema: { type: "object", properties: { answer: { type: "string" } }, required: ["answer"], additionalProperties: false } } },
  other: { top_p: 0.9, seed: 1 },
};
const byId = (id) => document.getElementById(id);
const JSON_FIELDS = ["tools", "response_format", "other"];

class Playground {
  constructor(form) {
    this.form = form;
    this.columns = [];
    this.running = false;
    this.asJson = false;
    this.raw = new ExactText(byId("raw"));
    this.turns = new Turns(byId("turns"), () => this.changed());
    this.turns.messages = [{ role: "user", content: "" }];
    this.addColumn();
    this.listen();
  }

  listen() {
    byId("add-turn").addEventListener("click", () => this.addTurn());
    byId("add-column").addEventListener("click", () => this.addColumn().find(".model").focus());
    byId("as-form").addEventListener("click", () => this.trying(() => this.showForm()));
    byId("as-json").addEventListener("click", () => this.trying(() => this.showJson()));
    byId("stop").addEventListener("click", () => this.columns.forEach((column) => column.answer?.stop()));
    byId("markdown").addEventListener("change", () => this.columns.forEach((column) => column.answer?.render()));
    this.form.addEventListener("input", () => this.changed());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.send();
      }
    });
    for (const button of this.form.querySelectorAll("[data-example]")) {
      button.addEventListener("click", () => this.setField(button.dataset.example, JSON.stringify(EXAMPLES[button.dataset.example], null, 2)));
    }
    for (const button of this.form.querySelectorAll("[data-snippet]")) {
      button.addEventListener("click", () =>
        this.trying(() => copyText(SNIPPETS[button.dataset.snippet](this.textFor(this.columns[0], 2), Boolean(this.form.dataset.keys)))));
    }
  }

  // Runs an action; its error is shown in the form.
  trying(action) {
    const problem = byId("form-problem");
    problem.hidden = true;
    try {
      return action();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
      return undefined;
    }
  }

  addTurn() {
    const last = this.turns.turns.at(-1)?.find(".role")?.value;
    this.turns.add({ role: last === "user" ? "assistant" : "user", content: "" }).find(".text").focus();
  }

  setField(id, text) {
    byId(id).value = text;
    this.changed();
  }

  addColumn() {
    const element = byId("column-template").content.firstElementChild.cloneNode(true);
    const column = { element, find: (selector) => element.querySelector(selector), answer: null, asked: null, asking: null };
    const others = this.columns.map((other) => other.find(".model").value);
    const names = [...element.querySelectorAll("option:not(.as-typed)")].map((option) => option.value);
    column.find(".model").value = names.find((name) => !others.includes(name)) ?? names[0];
    column.find(".remove").addEventListener("click", () => {
      this.columns.splice(this.columns.indexOf(column), 1);
      column.answer?.stop();
      column.asking?.abort();
      element.remove();
      this.nameColumns();
      byId("add-column").focus();
    });
    this.columns.push(column);
    byId("columns").append(element);
    this.nameColumns();
    this.changed();
    return column;
  }

  nameColumns() {
    byId("columns").dataset.number = this.columns.length;
    byId("add-column").disabled = this.columns.length >= MOST_COLUMNS;
    this.columns.forEach((column, i) => {
      const name = this.columns.length > 1 ? ` of column ${i + 1}` : "";
      column.find(".model").setAttribute("aria-label", `Model or policy${name}`);
      column.find(".remove").hidden = i === 0;
      column.find(".remove").setAttribute("aria-label", `Remove column ${i + 1}`);
    });
  }

  get formNow() {
    const form = { turns: this.turns.messages, stream: byId("stream").checked };
    form.temperature = byId("temperature").value;
    form.max_tokens = byId("max-tokens").value;
    for (const id of JSON_FIELDS) form[id] = byId(id).value;
    return form;
  }

  showForm() {
    if (!this.asJson) return;
    const { form, model } = formOf(jsonOf("Body", this.raw.text));
    this.turns.messages = form.turns;
    byId("stream").checked = form.stream;
    byId("temperature").value = form.temperature;
    byId("max-tokens").value = form.max_tokens;
    for (const id of JSON_FIELDS) byId(id).value = form[id];
    this.setMode(false);
    const { value } = this.columns[0].find("option:not(.as-typed)");
    for (const column of this.columns) if (column.find(".model").value === "") this.choose(column, typeof model === "string" ? model : value);
    this.changed();
  }

  showJson() {
    if (this.asJson) return;
    this.raw.text = JSON.stringify(bodyOf(this.formNow, this.columns[0].find(".model").value), null, 2);
    this.setMode(true);
    this.columns[0].find(".model").value = "";
    this.changed();
  }

  // Chooses a model that need not be in the list: the gateway says what is wrong with it.
  choose(column, model) {
    const select = column.find(".model");
    if (![...select.options].some((option) => option.value === model)) select.append(new Option(model, model));
    select.value = model;
  }

  setMode(asJson) {
    this.asJson = asJson;
    byId("as-form").setAttribute("aria-pressed", String(!asJson));
    byId("as-json").setAttribute("aria-pressed", String(asJson));
    byId("form-fields").hidden = asJson;
    byId("json-fields").hidden = !asJson;
    for (const option of this.form.querySelectorAll(".as-typed")) option.hidden = !asJson;
    byId("column-template").content.querySelector(".as-typed").hidden = !asJson;
  }

  // The body for a column as text. In JSON, a column whose model is not the one in the body gets the body with another model.
  textFor(column, indent) {
    const model = column.find(".model").value;
    if (!this.asJson) return JSON.stringify(bodyOf(this.formNow, model), null, indent);
    if (model === "") return this.raw.text;
    return JSON.stringify({ ...jsonOf("Body", this.raw.text), model }, null, indent);
  }

  bytesFor(column) {
    const typed = this.asJson && column.find(".model").value === "";
    return typed ? this.raw.bytes : new TextEncoder().encode(this.textFor(column));
  }

  changed() {
    for (const id of JSON_FIELDS) {
      const badge = this.form.querySelector(`[data-json="${id}"] .badge`), text = byId(id).value.trim();
      badge.hidden = !text;
      const valid = !text || this.isJson(text);
      if (valid) byId(id).removeAttribute("aria-invalid");
      else byId(id).setAttribute("aria-invalid", "true");
      badge.className = valid ? "badge good" : "badge bad";
      badge.textContent = valid ? "set" : "not valid JSON";
    }
    if (this.asJson) {
      const model = this.columns.some((column) => column.find(".model").value !== "");
      const valid = this.isJson(this.raw.text) ? "Valid JSON." : "Not valid JSON: the gateway will refuse it.";
      byId("raw-note").textContent = `${valid}${model ? " A column with a model of its own gets this body with that model." : ""}`;
    }
    clearTimeout(this.timer);
    const size = this.asJson ? this.raw.text.length : 0;
    this.timer = setTimeout(() => this.decide(), size > LARGE ? 4 * PAUSE_MS : PAUSE_MS);
  }

  isJson(text) {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  }

  // Asks who would answer each body that has changed, since asking counts towards the limits of the key. Requests that are not
  // complete show nothing.
  decide() {
    for (const column of this.columns) {
      let text = null;
      try {
        text = this.textFor(column);
        if (!JSON.parse(text).messages?.some((message) => message.role === "user" && message.content?.length)) text = null;
      } catch {
        text = null;
      }
      if (text === column.asked) continue;
      column.asked = text;
      column.asking?.abort();
      column.asking = new AbortController();
      if (text === null) column.find(".decision").replaceChildren();
      else showDecision(column.find(".decision"), this.bytesFor(column), column.asking.signal);
    }
  }

  async send() {
    if (this.running) return;
    const bodies = this.trying(() => this.columns.map((column) => this.bytesFor(column)));
    if (!bodies) return;
    this.running = true;
    byId("send").disabled = true;
    byId("stop").disabled = false;
    const options = {
      recorded: Boolean(this.form.dataset.recorded),
      goOn: (messages, answers) => this.trying(() => this.goOn(messages, answers)),
      markdown: () => byId("markdown").checked,
    };
    const answers = this.columns.map((column) => (column.answer = new Answer(column.find(".answer"), options)));
    await Promise.all(answers.map((answer, i) => answer.run(bodies[i])));
    this.running = false;
    byId("send").disabled = false;
    byId("stop").disabled = true;
  }

  // Adds an answer to the turns, with the results of its tool calls, which are sent at once.
  goOn(messages, answersCalls) {
    if (this.running) {
      notify("Wait until the other answers are there, or stop them.");
      return;
    }
    if (this.asJson) this.showForm();
    for (const message of messages) this.turns.add(message);
    if (answersCalls) this.send();
    else this.turns.add({ role: "user", content: "" }).find(".text").focus();
    this.changed();
  }

  async load(named) {
    try {
      await this.raw.load(named);
    } catch (error) {
      this.trying(() => {
        throw error;
      });
      return;
    }
    this.setMode(true);
    this.columns[0].find(".model").value = "";
    this.changed();
  }
}

const percentOf = (p) => `${(100 * p).toFixed(0)}%`;
const usdOf = (usd) => (usd === null ? "price unknown" : `about ${Number(usd.toPrecision(2)).toString()} USD`);

// Who would answer a body, with P(correct), price and reasons, from POST /v1/route.
async function showDecision(place, bytes, signal) {
  let route;
  try {
    const answer = await fetch("/ui/api/v1/route", { method: "POST", headers: { "content-type": "application/json" }, body: bytes, signal });
    const text = await answer.text();
    if (answer.status === 429) {
      place.replaceChildren(`Who would answer is not known now. ${errorText(answer.status, text)}`);
      return;
    }
    if (!answer.ok) {
      place.replaceChildren(make("span", { className: "badge bad" }, "would be refused"), ` ${errorText(answer.status, text)}`);
      return;
    }
    route = JSON.parse(text);
  } catch (error) {
    if (error.name !== "AbortError") place.replaceChildren("Who would answer is not known: the gateway cannot be reached.");
    return;
  }
  const serving = route.candidates.find((one) => one.model === route.serving);
  const line = ["Would be answered by ", make("strong", {}, route.serving ?? "no model")];
  if (route.ensemble) line.push(" and others together");
  if (route.stand_in) line.push(` for ${route.chosen}`);
  if (serving?.p_correct != null) line.push(`, P(correct) ${percentOf(serving.p_correct)} ± ${percentOf(serving.standard_error)}`);
  if (serving) line.push(`, ${usdOf(serving.price_usd)}`);
  const open = place.querySelector("details")?.open ?? false;
  const needs = [...route.need.capabilities, `${count(route.need.prompt_tokens)} tokens of prompt`];
  const rows = route.candidates.slice(0, 8).map((one) =>
    make("tr", {}, make("td", {}, one.model), make("td", { className: "right" }, one.p_correct === null ? "–" : percentOf(one.p_correct)),
      make("td", { className: "right" }, one.price_usd === null ? "–" : Number(one.price_usd.toPrecision(2)).toString()), make("td", {}, one.model === route.chosen ? "chosen" : one.why)));
  const head = make("tr", {}, make("th", {}, "Model"), make("th", { className: "right" }, "P(correct)"), make("th", { className: "right" }, "USD"), make("th", {}, "Why"));
  const table = make("div", { className: "scroll", tabIndex: 0 }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  const why = make("details", { open }, make("summary", {}, "Why"), make("p", {}, `${route.why.join("; ")}.`), make("p", {}, `It needs: ${needs.join(", ")}.`), table);
  place.replaceChildren(make("p", {}, ...line), why);
}

document.addEventListener("DOMContentLoaded", () => {
  const form = byId("request");
  if (!form) return;
  const playground = new Playground(form);
  if (form.dataset.loads) playground.load(form.dataset.loads);
});
