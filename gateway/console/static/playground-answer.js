// One answer in a column: sends the body, shows the answer while it arrives, and what is known of it afterwards.
"use strict";

const RENDER_MS = 100; // Markdown is rendered again this often at most while an answer arrives
const LOOKS = 100, LOOK_MS = 300; // for the record, which is written shortly after the answer

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const seconds = (ms) => (ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const count = (tokens) => tokens.toLocaleString("en-US");

// The text, reasoning and tool calls of one choice.
class Choice {
  constructor() {
    this.text = "";
    this.reasoning = "";
    this.refusal = "";
    this.calls = [];
    this.images = [];
    this.finish = null;
  }

  // A whole message, or a part of one from a stream.
  add(part) {
    if (typeof part.content === "string") this.text += part.content;
    if (Array.isArray(part.content)) this.text += part.content.map((one) => one.text ?? "").join("");
    this.reasoning += part.reasoning_content ?? part.reasoning ?? "";
    this.refusal += part.refusal ?? "";
    for (const image of part.images ?? []) this.images.push(image);
    (part.tool_calls ?? []).forEach((call, i) => {
      const index = call.index ?? i;
      this.calls[index] ??= { id: "", type: "function", function: { name: "", arguments: "" } };
      const known = this.calls[index];
      known.id ||= call.id ?? "";
      known.function.name += call.function?.name ?? "";
      known.function.arguments += call.function?.arguments ?? "";
    });
  }

  get message() {
    const calls = this.calls.filter(Boolean);
    const message = { role: "assistant", content: this.text || (calls.length ? null : "") };
    if (calls.length && this.reasoning) message.reasoning_content = this.reasoning;
    return calls.length ? { ...message, tool_calls: calls } : message;
  }
}

class Answer {
  // `goOn(messages)` adds turns to the request.
  constructor(place, { recorded, goOn, markdown }) {
    this.place = place;
    this.recorded = recorded;
    this.goOn = goOn;
    this.markdown = markdown;
    this.choices = [];
    this.parts = [];
    this.raw = [];
    this.usage = null;
    this.problem = "";
    this.headers = null;
    this.firstMs = null;
    this.stopping = new AbortController();
    this.facts = make("p", { className: "small soft facts" }, "Waiting for the answer …");
    this.body = make("div");
    this.more = make("div");
    place.replaceChildren(this.facts, this.body, this.more);
  }

  stop() {
    this.stopping.abort();
  }

  async run(bytes) {
    const { signal } = this.stopping;
    this.place.setAttribute("aria-busy", "true"); // readers of the screen speak the whole answer, not each part
    this.began = performance.now();
    try {
      const answer = await fetch("/ui/api/v1/chat/completions", {
        method: "POST", headers: { "content-type": "application/json" }, body: bytes, signal,
      });
      this.headers = answer.headers;
      if (!answer.ok) {
        const text = await answer.text();
        this.raw.push(text);
        this.problem = errorText(answer.status, text);
      } else if (answer.headers.get("content-type")?.startsWith("text/event-stream")) {
        let whole = false;
        await readEvents(answer, (data) => (data === "[DONE]" ? (whole = true) : this.take(data)));
        if (!whole && !this.problem) this.problem = "The stream ended before the answer was complete.";
      } else {
        this.take(await answer.text());
      }
    } catch (error) {
      const reasons = { AbortError: "Stopped.", SyntaxError: `The answer is not valid JSON: ${error.message}` };
      this.problem = reasons[error.name] ?? `The connection to the gateway broke: ${error.message}`;
    }
    this.tookMs = performance.now() - this.began;
    this.render();
    this.place.removeAttribute("aria-busy");
    this.showMore();
    this.showRecord();
  }

  // A whole answer, or one event of a stream.
  take(text) {
    this.raw.push(text);
    const value = JSON.parse(text);
    if (value.error) {
      this.problem = errorText("Error", text);
      return;
    }
    this.usage = value.usage ?? this.usage;
    this.model = value.model ?? this.model;
    for (const one of value.choices ?? []) {
      const choice = (this.choices[one.index] ??= new Choice());
      choice.add(one.message ?? one.delta ?? {});
      choice.finish = one.finish_reason ?? choice.finish;
      if (choice.text || choice.reasoning || choice.calls.length) this.firstMs ??= performance.now() - this.began;
    }
    this.timer ??= setTimeout(() => this.render(), RENDER_MS);
  }

  render() {
    clearTimeout(this.timer);
    this.timer = null;
    this.choices.forEach((choice, i) => {
      const part = (this.parts[i] ??= this.part(i));
      if (choice.reasoning) {
        part.reasoning.hidden = false;
        part.reasoning.lastChild.textContent = choice.reasoning;
      }
      const text = choice.text || choice.refusal;
      part.text.classList.toggle("as-markdown", this.markdown());
      if (this.markdown()) showMarkdown(part.text, text);
      else part.text.textContent = text;
      part.calls.replaceChildren(...choice.calls.filter(Boolean).map((call) => this.call(call)));
    });
    if (this.problem) {
      this.alert ??= this.body.appendChild(make("p", { className: "problem" }));
      this.alert.setAttribute("role", "alert");
      this.alert.textContent = this.problem;
    }
    this.showFacts();
  }

  part(i) {
    const part = {
      reasoning: make("details", { hidden: true, className: "reasoning" }, make("summary", {}, "Reasoning"), make("pre", { tabIndex: 0 })),
      text: make("div", { className: "text" }),
      calls: make("div"),
    };
    if (i > 0) this.body.append(make("h3", {}, `Choice ${i + 1}`));
    this.body.append(part.reasoning, part.text, part.calls);
    return part;
  }

  call(call) {
    let shown = call.function.arguments;
    try {
      shown = JSON.stringify(parseJson(shown), null, 2);
    } catch {
      // incomplete while it arrives; a model may also write invalid JSON
    }
    return make("div", { className: "call" },
      make("p", {}, "Tool call ", make("strong", {}, call.function.name), " ", make("code", { className: "soft" }, call.id)),
      make("pre", { tabIndex: 0 }, shown));
  }

  showFacts() {
    const facts = [];
    const served = this.headers?.get("x-locus-stand-in") ?? this.headers?.get("x-locus-model") ?? this.model;
    if (served) facts.push(served);
    if (this.headers?.get("x-locus-stand-in")) facts.push(`stands in for ${this.headers.get("x-locus-model")}`);
    if (this.headers?.get("x-locus-p-correct")) facts.push(`P(correct) ${(100 * this.headers.get("x-locus-p-correct")).toFixed(0)}%`);
    if (this.headers?.get("x-locus-cache")?.startsWith("hit")) facts.push("from the cache");
    if (this.firstMs !== null) facts.push(`first token ${seconds(this.firstMs)}`);
    if (this.tookMs !== undefined) facts.push(`total ${seconds(this.tookMs)}`);
    if (this.usage) {
      const cached = this.usage.prompt_tokens_details?.cached_tokens;
      facts.push(`${count(this.usage.prompt_tokens)}${cached ? ` (${count(cached)} cached)` : ""} + ${count(this.usage.completion_tokens)} tokens`);
    }
    if (this.result) facts.push(`${this.result.cost === "unknown" ? "cost unknown" : this.result.cost}${this.result.estimated ? ", tokens estimated" : ""}`);
    const finish = this.choices[0]?.finish;
    if (finish && finish !== "stop") facts.push(`ended by ${finish}`);
    if (facts.length || this.tookMs !== undefined) this.facts.textContent = facts.join(" · ");
  }

  showMore() {
    const own = [...(this.headers ?? [])].filter(([name]) => name.startsWith("x-locus-") || name === "x-request-id" || name.includes("ratelimit"));
    const details = (title, text) => make("details", {}, make("summary", {}, title), make("pre", { tabIndex: 0 }, text));
    if (own.length) this.more.append(details("Headers", own.map((pair) => pair.join(": ")).join("\n")));
    if (this.raw.length) this.more.append(details("Answer as it came", this.raw.join("\n")));
    this.actions = make("div", { className: "bar-line actions" });
    this.more.append(this.actions);
    if (this.choices[0]) this.offerToGoOn(this.choices[0]);
  }

  // Cost, feedback and the page of the request, once it is recorded. Nothing waits for it.
  async showRecord() {
    const id = this.headers?.get("x-request-id");
    if (!id || !this.recorded) return;
    this.result = await this.recordOf(id);
    if (!this.result) return;
    this.showFacts();
    if (this.result.has_answer) this.offerVerdict(id);
    this.actions.append(make("a", { href: `/ui/requests/${encodeURIComponent(id)}?row=${this.result.row}` }, "Details"));
  }

  // What the record says; null if it does not have the request in time, or another answer has taken the place of this one.
  async recordOf(id) {
    for (let i = 0; i < LOOKS && this.facts.isConnected; i++) {
      const answer = await fetch(`/ui/playground/result?request=${encodeURIComponent(id)}`).catch(() => null);
      if (!answer?.ok || answer.redirected) return null; // the gateway is away, or the session over
      const result = await answer.json();
      if (result) return result;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return null;
  }

  offerToGoOn(choice) {
    const calls = choice.calls.filter(Boolean);
    const button = make("button", { type: "button" }, calls.length ? "Answer the calls" : "Go on from here");
    const fields = calls.map((call) => {
      const field = make("textarea", { rows: 2, spellcheck: false });
      this.parts[0].calls.append(make("label", {}, `Result of ${call.function.name} `, field));
      return field;
    });
    button.addEventListener("click", () => {
      const results = calls.map((call, i) => ({ role: "tool", tool_call_id: call.id, content: fields[i].value }));
      this.goOn([choice.message, ...results], calls.length > 0);
    });
    if (choice.finish || calls.length) this.actions.append(button);
  }

  offerVerdict(id) {
    const group = make("span", { className: "verdict" });
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Was the answer good?");
    for (const [verdict, title] of [["good", "Good"], ["bad", "Bad"]]) {
      const button = make("button", { type: "button" }, title);
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", async () => {
        const revoked = button.getAttribute("aria-pressed") === "true";
        try {
          await callApi("POST", "/v1/feedback", { request_id: id, verdict: revoked ? null : verdict });
        } catch (error) {
          notify(error.message);
          return;
        }
        for (const one of group.children) one.setAttribute("aria-pressed", String(one === button && !revoked));
        notify(revoked ? "The feedback is revoked." : "Thank you: the feedback is kept.");
      });
      group.append(button);
    }
    this.actions.append(group);
  }
}
