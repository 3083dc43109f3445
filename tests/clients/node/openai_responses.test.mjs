// The official client for Node on /v1/responses and /v1/embeddings.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { Trip, hello, place, plan, questions, trip, url, weather } from "./shared.mjs";

const client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0, timeout: 20_000 });

test("a whole answer", async () => {
  const answer = await client.responses.create({ model: "auto", input: "Say hello to Ada." });
  assert.deepEqual([answer.output_text, answer.status, answer.usage.output_tokens], [hello, "completed", 6]);
});

test("a stream", async () => {
  const stream = await client.responses.create({ model: "auto", input: "Say hello to Ada.", stream: true });
  let text = "";
  let last;
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
    last = event;
  }
  assert.deepEqual([text, last.type], [hello, "response.completed"]);
});

test("the stream helper", async () => {
  const final = await client.responses.stream({ model: "auto", input: "Say hello to Ada." }).finalResponse();
  assert.equal(final.output_text, hello);
});

for (const [question, expected] of questions) {
  test(`tools: ${question}`, async () => {
    const tools = [zodResponsesFunction({ name: "weather", parameters: place })];
    const first = await client.responses.parse({ model: "auto", input: question, tools });
    const input = first.output
      .filter((item) => item.type === "function_call")
      .map((call) => ({ type: "function_call_output", call_id: call.call_id, output: weather(call.parsed_arguments) }));
    const second = await client.responses.create({ model: "auto", previous_response_id: first.id, input, tools });
    assert.equal(second.output_text, expected);
  });
}

test("structured output", async () => {
  const answer = await client.responses.parse({ model: "auto", input: plan, text: { format: zodTextFormat(Trip, "trip") } });
  assert.deepEqual(answer.output_parsed, trip);
});

test("embeddings", async () => {
  const answer = await client.embeddings.create({ model: "embed", input: ["one", "two"] });
  assert.deepEqual(answer.data.map((item) => item.embedding.length), [8, 8]);
});
