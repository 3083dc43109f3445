// The official client for Node on /v1/chat/completions, with its helpers for streams, tools and schemas.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { Trip, ask, hello, place, plan, questions, trip, url, weather } from "./shared.mjs";

const client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0, timeout: 20_000 });

test("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.equal(names[0], "auto");
  assert.ok(names.includes("llama-8b"));
});

test("a whole answer", async () => {
  const answer = await client.chat.completions.create({ model: "auto", messages: ask });
  assert.equal(answer.choices[0].message.content, hello);
  assert.equal(answer.usage.completion_tokens, 6);
});

test("a stream", async () => {
  const stream = await client.chat.completions.create({
    model: "auto", messages: ask, stream: true, stream_options: { include_usage: true },
  });
  let text = "";
  let last;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    last = chunk;
  }
  assert.equal(text, hello);
  assert.deepEqual([last.choices.length, last.usage.completion_tokens], [0, 6]);
});

test("the stream helper", async () => {
  const stream = client.chat.completions.stream({ model: "auto", messages: ask, n: 2 });
  const final = await stream.finalChatCompletion();
  assert.deepEqual(final.choices.map((choice) => choice.message.content), [hello, `${hello} (2)`]);
});

for (const stream of [false, true]) {
  for (const [question, expected] of questions) {
    test(`the tool runner, ${stream ? "streamed" : "whole"}: ${question}`, async () => {
      const runner = client.chat.completions.runTools({
        model: "auto",
        stream,
        messages: [{ role: "user", content: question }],
        tools: [zodFunction({ name: "weather", parameters: place, function: weather })],
      });
      assert.equal(await runner.finalContent(), expected);
    });
  }
}

test("structured output", async () => {
  const asked = { model: "auto", messages: [{ role: "user", content: plan }], response_format: zodResponseFormat(Trip, "trip") };
  const whole = await client.chat.completions.parse(asked);
  assert.deepEqual(whole.choices[0].message.parsed, trip);
  const streamed = await client.chat.completions.stream(asked).finalChatCompletion();
  assert.deepEqual(streamed.choices[0].message.parsed, trip);
});

test("errors", async () => {
  const asked = client.chat.completions.create({ model: "no-such-model", messages: ask });
  await assert.rejects(asked, (error) => error instanceof OpenAI.NotFoundError && error.param === "model");
});
