// What pages share that send requests as they are typed: exact bytes, streams of events, errors, curl.
"use strict";

// A text area whose content is sent byte for byte. Text areas change the ends of lines to LF (WHATWG HTML, 4.10.11), and text can hold
// neither a byte order mark nor invalid UTF-8: so what was loaded is kept as bytes, and sent as long as the text is not edited.
class ExactText {
  constructor(area) {
    this.area = area;
    this.loaded = null;
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
    this.loaded = null;
  }

  get bytes() {
    return this.loaded?.shown === this.area.value ? this.loaded.bytes : new TextEncoder().encode(this.area.value);
  }

  // `named`: the query that names a stored request.
  async load(named) {
    const answer = await fetch(`/ui/playground/body?${named}`);
    if (!answer.ok || answer.redirected) throw new Error("The stored request could not be loaded.");
    const bytes = new Uint8Array(await answer.arrayBuffer());
    this.area.value = new TextDecoder("utf-8").decode(bytes);
    this.loaded = { bytes, shown: this.area.value };
  }
}

// Server-sent events (WHATWG HTML, 9.2): calls `onData` with the data of each event.
async function readEvents(answer, onData) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      else if (line === "" && data.length) {
        onData(data.join("\n"));
        data = [];
      }
    }
  }
}

// The message of an error of the gateway, with its code. Bodies of other programs, such as proxies, are shown as they are.
function errorText(status, text) {
  try {
    const { error } = JSON.parse(text);
    const code = error.code ?? error.type;
    return `${status}${code ? ` ${code}` : ""}: ${error.message}`;
  } catch {
    return `${status}: ${text.slice(0, 2000) || "an answer without a body"}`;
  }
}

const inShell = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curlOf(method, path, headers, body, key) {
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}${inShell(location.origin + path)}`];
  if (key) lines.push(`-H "authorization: Bearer $${key}"`);
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${inShell(`${name}: ${value}`)}`);
  if (body !== null) lines.push(`--data-raw ${inShell(body)}`);
  return lines.join(" \\\n  ");
}

async function copyText(text) {
  await navigator.clipboard.writeText(text);
  notify("Copied.");
}
