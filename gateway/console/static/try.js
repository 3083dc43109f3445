// The box that sends one operation of the API and shows the whole answer.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const byId = (id) => document.getElementById(id);
  const form = byId("try"), body = byId("body") && new ExactText(byId("body"));
  const { method, path, loads, keys, operator } = form.dataset;
  let running = null;
  byId("operation").addEventListener("change", () => byId("operations").requestSubmit());

  // The path with its parameters, and the headers.
  function target() {
    const query = new URLSearchParams(), headers = body ? { "content-type": "application/json" } : {};
    let filled = path;
    for (const field of form.querySelectorAll("[data-name]")) {
      const { place, name } = field.dataset;
      if (!field.value) continue;
      if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(field.value));
      else if (place === "query") query.set(name, field.value);
      else headers[name] = field.value;
    }
    return { address: filled + (query.size ? `?${query}` : ""), headers };
  }

  async function send() {
    if (running || !form.reportValidity()) return;
    running = new AbortController();
    byId("stop").disabled = false;
    const { address, headers } = target(), began = performance.now();
    const status = byId("status"), shown = byId("answer-body");
    const took = () => (byId("took").textContent = `${((performance.now() - began) / 1000).toFixed(2)} s`);
    byId("answer").hidden = false;
    status.className = "badge";
    status.textContent = "sending …";
    shown.textContent = byId("headers").textContent = byId("took").textContent = "";
    try {
      const answer = await fetch("/ui/api" + address, { method, headers, body: body?.bytes, signal: running.signal });
      status.className = answer.ok ? "badge good" : "badge bad";
      status.textContent = `${answer.status} ${answer.statusText}`;
      byId("headers").textContent = [...answer.headers].map((pair) => pair.join(": ")).join("\n");
      if (answer.headers.get("content-type")?.startsWith("text/event-stream")) {
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let part = await reader.read(); !part.done; part = await reader.read()) shown.append(part.value);
      } else {
        const text = await answer.text();
        shown.textContent = text ? pretty(text) : "(no body)";
      }
    } catch (error) {
      status.className = "badge warn";
      status.textContent = error.name === "AbortError" ? "stopped" : `The gateway cannot be reached: ${error.message}`;
    }
    took();
    running = null;
    byId("stop").disabled = true;
  }

  function pretty(text) {
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return text;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send();
  });
  byId("stop").addEventListener("click", () => running?.abort());
  byId("copy-curl").addEventListener("click", () => {
    const { address, headers } = target();
    copyText(curlOf(method, address, headers, body ? body.text : null, keys && (operator ? "LOCUS_ADMIN_KEY" : "LOCUS_KEY")));
  });
  if (loads && body) body.load(loads).catch((error) => notify(error.message));
});
