// The Vercel AI SDK with each provider that speaks one of the gateway's formats.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, embedMany, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { Trip, hello, place, plan, questions, trip, url, weather } from "./shared.mjs";

const anthropic = createAnthropic({ baseURL: url, apiKey: "none" });
const openai = createOpenAI({ baseURL: url, apiKey: "none" });
const compatible = createOpenAICompatible({
  name: "locus", baseURL: url, includeUsage: true, supportsStructuredOutputs: true,
});
const models = {
  "openai-compatible": compatible("auto"),
  "openai, chat": openai.chat("auto"),
  "openai, responses": openai.responses("auto"),
  anthropic: anthropic("auto"),
};
const tools = { weather: tool({ description: "The weather in a city.", inputSchema: place, execute: weather }) };
const more = { maxRetries: 0, stopWhen: stepCountIs(3) };

for (const [name, model] of Object.entries(models)) {
  test(`${name}: generateText`, async () => {
    const { text, usage, finishReason } = await generateText({ model, system: "Be kind.", prompt: "Say hello to Ada.", ...more });
    assert.deepEqual([text, usage.outputTokens, finishReason], [hello, 6, "stop"]);
  });

  test(`${name}: streamText`, async () => {
    const result = streamText({ model, prompt: "Say hello to Ada.", ...more });
    const deltas = [];
    for await (const delta of result.textStream) deltas.push(delta);
    assert.ok(deltas.length > 1);
    assert.equal(deltas.join(""), hello);
    assert.equal((await result.usage).outputTokens, 6);
    assert.equal(await result.finishReason, "stop");
  });

  for (const [prompt, expected] of questions) {
    test(`${name}: tools: ${prompt}`, async () => {
      const whole = await generateText({ model, prompt, tools, ...more });
      assert.deepEqual([whole.text, whole.steps.length], [expected, 2]);
      const streamed = streamText({ model, prompt, tools, ...more });
      await streamed.consumeStream();
      assert.deepEqual([await streamed.text, (await streamed.steps).length], [expected, 2]);
    });
  }

  test(`${name}: generateObject`, async () => {
    const { object } = await generateObject({ model, schema: Trip, prompt: plan, maxRetries: 0 });
    assert.deepEqual(object, trip);
    const streamed = streamObject({ model, schema: Trip, prompt: plan, maxRetries: 0 });
    let partial;
    for await (partial of streamed.partialObjectStream);
    assert.deepEqual(partial, trip);
    const { output } = await generateText({ model, prompt: plan, output: Output.object({ schema: Trip }), ...more });
    assert.deepEqual(output, trip);
  });
}

test("embedMany", async () => {
  const { embeddings } = await embedMany({ model: compatible.textEmbeddingModel("embed"), values: ["one", "two"], maxRetries: 0 });
  assert.deepEqual(embeddings.map((vector) => vector.length), [8, 8]);
});
