// The body of a chat request as a form, and back; and the same request in other languages. Pure functions.
"use strict";

// JSON whose numbers stay as they are written, also 1.0 and 12345678901234567890, where the browser can do that (ECMAScript 2026).
const parseJson = (text) =>
  JSON.parse(text, (key, value, context) =>
    typeof value === "number" && JSON.rawJSON && context?.source && String(value) !== context.source ? JSON.rawJSON(context.source) : value,
  );
const isNumber = (value) => typeof value === "number" || (JSON.isRawJSON?.(value) ?? false);
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value) && !isNumber(value);

function jsonOf(label, text) {
  try {
    return parseJson(text);
  } catch (error) {
    throw new Error(`${label}: this is not valid JSON: ${error.message}`);
  }
}

function numberOf(label, text) {
  const value = jsonOf(label, text);
  if (!isNumber(value)) throw new Error(`${label}: expected a number.`);
  return value;
}

const USAGE = '{"include_usage":true}';

// {turns, temperature, max_tokens, stream, tools, response_format, other}: turns are messages, `stream` is true or false, the others text.
function bodyOf(form, model) {
  const body = { model, messages: form.turns };
  if (form.temperature.trim()) body.temperature = numberOf("Temperature", form.temperature);
  if (form.max_tokens.trim()) body.max_tokens = numberOf("Max tokens", form.max_tokens);
  if (form.tools.trim()) body.tools = jsonOf("Tools", form.tools);
  if (form.response_format.trim()) body.response_format = jsonOf("Response format", form.response_format);
  if (form.stream) body.stream = true;
  const other = form.other.trim() ? jsonOf("Other fields", form.other) : {};
  if (!isObject(other)) throw new Error('Other fields: expected an object, such as {"top_p": 0.9}.');
  for (const [name, value] of Object.entries(other)) {
    if (name in body) throw new Error(`Other fields: \`${name}\` has a field of its own in the form.`);
    body[name] = value;
  }
  if (form.stream && !("stream_options" in body)) body.stream_options = JSON.parse(USAGE);
  return body;
}

// The form and the model of a body. What the form has no field for is in `other`, so nothing is lost.
function formOf(body) {
  if (!isObject(body)) throw new Error("The body is no JSON object.");
  const { model, messages, ...rest } = body;
  if (!Array.isArray(messages) || !messages.every(isObject)) throw new Error("`messages` is no list of objects.");
  const pretty = (name, fits) => {
    if (!(name in rest) || !fits(rest[name])) return "";
    const text = JSON.stringify(rest[name], null, 2);
    delete rest[name];
    return text;
  };
  const form = {
    turns: messages,
    temperature: pretty("temperature", isNumber),
    max_tokens: pretty("max_tokens", isNumber),
    stream: pretty("stream", (value) => typeof value === "boolean") === "true",
    tools: pretty("tools", () => true),
    response_format: pretty("response_format", () => true),
  };
  if (form.stream && JSON.stringify(rest.stream_options) === USAGE) delete rest.stream_options;
  form.other = Object.keys(rest).length ? JSON.stringify(rest, null, 2) : "";
  return { form, model };
}

// The parameters of `chat.completions.create` of OpenAI's Python client; others go into `extra_body`.
const PYTHON_PARAMETERS = new Set(
  ("messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata modalities n " +
    "parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format safety_identifier seed service_tier " +
    "stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options").split(" "),
);

function pythonOf(value, indent = "") {
  const inner = indent + "    ";
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) {
    if (!value.length) return "[]";
    return `[\n${value.map((one) => `${inner}${pythonOf(one, inner)},\n`).join("")}${indent}]`;
  }
  if (isObject(value)) {
    const pairs = Object.entries(value);
    if (!pairs.length) return "{}";
    return `{\n${pairs.map(([name, one]) => `${inner}${JSON.stringify(name)}: ${pythonOf(one, inner)},\n`).join("")}${indent}}`;
  }
  return JSON.stringify(value);
}

const SNIPPETS = {
  curl: (text, keys) => curlOf("POST", "/v1/chat/completions", { "content-type": "application/json" }, text, keys && "LOCUS_KEY"),
  python(text, keys) {
    const known = [], extra = {};
    for (const [name, value] of Object.entries(parseJson(text))) {
      if (PYTHON_PARAMETERS.has(name)) known.push(`    ${name}=${pythonOf(value, "    ")},\n`);
      else extra[name] = value;
    }
    if (Object.keys(extra).length) known.push(`    extra_body=${pythonOf(extra, "    ")},\n`);
    const stream = JSON.parse(text).stream === true;
    const shown = stream
      ? 'for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)\nprint()\n'
      : "print(answer.choices[0].message)\n";
    const key = keys ? 'os.environ["LOCUS_KEY"]' : '"none"';
    return (
      `${keys ? "import os\n\n" : ""}from openai import OpenAI\n\nclient = OpenAI(base_url="${location.origin}/v1", api_key=${key})\n` +
      `answer = client.chat.completions.create(\n${known.join("")})\n${shown}`
    );
  },
  javascript(text, keys) {
    const shown = JSON.parse(text).stream === true
      ? 'for await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta.content ?? "");\nconsole.log();\n'
      : "console.log(answer.choices[0].message);\n";
    const key = keys ? "process.env.LOCUS_KEY" : '"none"';
    return (
      `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${location.origin}/v1", apiKey: ${key} });\n` +
      `const answer = await client.chat.completions.create(${JSON.stringify(parseJson(text), null, 2)});\n${shown}`
    );
  },
};
