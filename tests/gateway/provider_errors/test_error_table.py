"""The causes of errors from many servers, with the texts that they send."""

from typing import Any

import orjson
import pytest

from gateway.provider_errors.failures import Cause, classify


def said(message: str, **more: Any) -> dict[str, Any]:
    """An error object as OpenAI's API has it."""
    return {"error": {"message": message} | more}


CONTEXT = Cause.CONTEXT_LENGTH
CONTEXT_LENGTH: list[tuple[str, int, Any]] = [
    ("openai", 400, said("This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.")),
    ("openai input", 400, said("Your input exceeds the context window of this model.", code="context_length_exceeded")),
    ("openai part", 400, said("Invalid 'messages[2].content': string too long. Expected a string with maximum length 1048576.",
                              code="string_above_max_length", param="messages[2].content")),
    ("azure", 400, said("Input tokens exceed the configured limit of 272000 tokens.", code="context_length_exceeded")),
    ("vllm old", 400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested "
                       "5000 tokens (4000 in the messages, 1000 in the completion).", "type": "BadRequestError", "code": 400}),
    ("vllm decoder", 400, {"object": "error", "message": "The decoder prompt (length 9) is longer than the maximum model length of 8.",
                           "type": "BadRequestError", "param": None, "code": 400}),
    ("vllm new", 400, said("You passed 5001 input tokens and requested 0 output tokens. However, the model's context length is only "
                           "4096 tokens, resulting in a maximum input length of 4096 tokens.", code=400, param="input_tokens")),
    ("sglang", 400, {"object": "error", "message": "The input (70000 tokens) is longer than the model's context length (32768 tokens).",
                     "type": "BadRequestError", "code": 400}),
    ("sglang sum", 400, {"object": "error", "message": "Requested token count exceeds the model's maximum context length of 8192 "
                         "tokens. You requested a total of 9000 tokens.", "code": 400}),
    ("llama.cpp", 400, said("the request exceeds the available context size, try increasing it", type="exceed_context_size_error")),
    ("llama.cpp old", 500, said("Context size has been exceeded.", code=500, type="server_error")),
    ("lm studio", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length."}),
    ("lm studio load", 400, {"error": "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded "
                             "with context length of only 4096 tokens, which is not enough."}),
    ("tgi", 422, {"error": "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000", "error_type": "validation"}),
    ("tgi sum", 422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens"
                      " and 200 `max_new_tokens`", "error_type": "validation"}),
    ("ollama", 400, said("prompt too long; exceeded max context length by 4 tokens")),
    ("ollama runner", 500, {"error": "input length exceeds the context length"}),
    ("gemini", 400, [said("The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
                          code=400, status="INVALID_ARGUMENT")]),
    ("xai", 400, {"code": "Client specified an invalid argument",
                  "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."}),
    ("groq", 400, said("Please reduce the length of the messages or completion.", code="context_length_exceeded", param="messages")),
    ("moonshot", 400, said("Invalid request: Your request exceeded model token limit: 131072 (requested: 140000)",
                           type="invalid_request_error")),
    ("mistral", 400, {"object": "error", "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 "
                      "maximum context length", "type": "invalid_request_invalid_args", "code": "3051"}),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error",
                                                   "message": "prompt is too long: 210000 tokens > 200000 maximum"}}),
    ("anthropic sum", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "input length and `max_tokens` "
                            "exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again"}}),
    ("bedrock", 400, {"message": "Input is too long for requested model."}),
    ("bedrock sum", 400, {"message": "The model returned the following errors: prompt is too long: 201000 tokens > 200000 maximum"}),
    ("openrouter", 400, said("This endpoint's maximum context length is 65536 tokens. However, you requested about 70000 tokens "
                             "(66000 of text input, 4000 in the output).", code=400)),
    ("openrouter wrapped", 400, said("Provider returned error", code=400, metadata={
        "raw": '{"error":{"message":"This model\'s maximum context length is 8192 tokens.","code":"context_length_exceeded"}}',
        "provider_name": "X"})),
    ("together", 422, said("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens",
                           type="invalid_request_error")),
    ("fireworks", 400, said("The prompt is too long: 140000, model maximum context length: 131071", code="invalid_request_error")),
    ("deepseek", 400, said("This model's maximum context length is 65536 tokens. However, you requested 70000 tokens.",
                           type="invalid_request_error", code="invalid_request_error")),
    ("cohere", 400, {"message": "too many tokens: size limit exceeded by 3000 tokens. Try using shorter or fewer inputs."}),
    ("cohere limit", 400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000."}),
    ("dashscope", 400, said("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
                            code="invalid_parameter_error")),
    ("zhipu", 400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}),
    ("copilot", 400, said("prompt token count of 140000 exceeds the limit of 128000", code="model_max_prompt_tokens_exceeded")),
    ("databricks", 400, {"error_code": "BAD_REQUEST", "message": "prompt token count (9000) cannot exceed 8192."}),
    ("cerebras", 400, {"message": "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192",
                       "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}),
    ("litellm proxy", 400, said("litellm.ContextWindowExceededError: litellm.BadRequestError: OpenAIException - too long", code="400",
                                type="ContextWindowExceededError")),
    ("vertex", 400, said("Unable to submit request because the input token count is 40000 but model only supports up to 32768.")),
    ("bedrock", 400, {"message": "Malformed input request: expected maxLength: 400000, actual: 500000"}),
    ("fastapi", 422, {"detail": [{"type": "string_too_long", "loc": ["body", "input"], "msg": "String should have at most 8 characters"}]}),
    ("possessive", 400, said("Your request exceeded the model's maximum context. Input tokens: 40000; limit: 32768")),
    ("model's limit", 400, said("This request would exceed the model's token limit")),
    ("at most", 400, said("This model supports at most 32768 tokens, but your prompt has 40000 tokens.")),
    ("more than", 400, said("The number of input tokens is more than the maximum: 32768")),
    ("code alone", 400, said("Bad request", code="prompt_too_long")),
    ("overflow", 400, said("too much text", type="context_overflow")),
    ("json in a string", 400, said('{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > '
                                   '8 maximum"}}')),
]  # fmt: skip

OTHERS: list[tuple[str, int, Any, Cause]] = [
    ("bedrock throttles", 400, {"__type": "ThrottlingException", "message": "Too many tokens, please wait before trying again."},
     Cause.RATE_LIMITED),
    ("google without a time", 429, said("You exceeded your current quota, please check your plan and billing details.",
                                        status="RESOURCE_EXHAUSTED"), Cause.RATE_LIMITED),
    ("anthropic spend", 400, said("You have reached your specified API usage limits. You will regain access on 2030-01-01."), Cause.QUOTA),
    ("zhipu arrears", 429, said("Your account is in arrears, please recharge and try again.", code="1113"), Cause.QUOTA),
    ("google billing", 403, said("This API has been disabled because billing is not enabled on project x"), Cause.QUOTA),
    ("dashscope free", 403, said("The free tier of the model has been exhausted.", code="AllocationQuota.FreeTierOnly"), Cause.QUOTA),
    ("volcengine", 429, said("You have exceeded the 5-hour usage quota.", code="AccountQuotaExceeded"), Cause.QUOTA),
    ("google api off", 403, said("Generative Language API has not been used in project 1 before or it is disabled."), Cause.AUTH),
    ("anthropic organization", 400, said("This organization has been disabled."), Cause.AUTH),
    ("anthropic credential", 403, said("This credential is only authorized for use with another program."), Cause.AUTH),
    ("no key", 401, said("You didn't provide an API key."), Cause.AUTH),
    ("openai token", 401, said("Your authentication token has been invalidated"), Cause.AUTH),
    ("openai country", 403, said("Country not supported", code="unsupported_country_region_territory"), Cause.AUTH),
    ("bedrock profile", 400, {"message": "Invocation of model ID x with on-demand throughput isn't supported."}, Cause.NOT_FOUND),
    ("hugging face", 400, {"error": "Model x is not supported by any provider you have enabled"}, Cause.NOT_FOUND),
    ("copilot", 400, said("The requested model is not supported.", code="model_not_supported"), Cause.NOT_FOUND),
    ("removed", 400, {"message": "model 'x' was removed on September 15, 2025."}, Cause.NOT_FOUND),
    ("not available", 400, {"detail": "model x not available"}, Cause.NOT_FOUND),
    ("ollama queue", 400, {"error": "server busy, please try again. maximum pending requests exceeded"}, Cause.OVERLOADED),
    ("lm studio", 400, {"error": "The model has crashed without additional information. (Exit code: null)"}, Cause.OVERLOADED),
    ("groq tier", 403, said("service_tier=`flex` is not available for your org"), Cause.VALUE_REFUSED),
    ("gemini limit", 400, said("it has a maxOutputTokens value of 32000 but the supported range is from 1 to 8193"), Cause.VALUE_REFUSED),
    ("bedrock limit", 400, {"message": "The maximum tokens you requested exceeds the model limit of 4096."}, Cause.VALUE_REFUSED),
    ("openai effort", 400, said("Function tools with reasoning_effort are not supported for m.", param="reasoning_effort"),
     Cause.VALUE_REFUSED),
    ("gemini turns", 400, said("Please ensure that function call turn comes immediately after a user turn."), Cause.UNSUPPORTED),
    ("gemini parts", 400, said("The number of function response parts is not equal to the calls."), Cause.UNSUPPORTED),
    ("gemini signature", 400, said("Function call is missing a thought_signature"), Cause.UNSUPPORTED),
    ("mistral calls", 400, {"message": "Not the same number of function calls and responses"}, Cause.UNSUPPORTED),
    ("mistral empty", 400, {"message": "Assistant message must have either content or tool_calls, but not none."}, Cause.UNSUPPORTED),
    ("moonshot empty", 400, said("the message at position 2 with role 'assistant' must not be empty"), Cause.UNSUPPORTED),
    ("text", 400, said("Invalid type for 'messages[1].content': expected string but got array"), Cause.UNSUPPORTED),
    ("gemini schema", 400, said("* GenerateContentRequest.tools[0].parameters.properties: should be non-empty for OBJECT type"),
     Cause.UNSUPPORTED),
    ("bedrock tools", 400, {"message": "The toolConfig field must be defined when using toolUse content blocks."}, Cause.UNSUPPORTED),
    ("groq call", 400, said("Failed to call a function.", code="tool_use_failed"), Cause.UNSUPPORTED),
    ("pydantic union", 422, {"detail": [{"loc": ["body", "messages", 0, "content", "str"], "msg": "Input should be a valid string"}]},
     Cause.UNSUPPORTED),
    ("choices", 400, said("n > 1 is not supported"), Cause.UNSUPPORTED),
    ("path of a field", 400, said("'$.stop' is invalid."), Cause.UNSUPPORTED),
    # limits per request of one deployment
    ("groq", 413, said("Request too large for model `m` in organization `o` service tier `on_demand` on tokens per minute (TPM): "
                       "Limit 6000, Requested 8000, please reduce your message size and try again.", type="tokens",
                       code="rate_limit_exceeded"), Cause.TOO_LARGE),
    ("openai", 429, said("Request too large for gpt-4o in organization org-1 on tokens per min (TPM): Limit 30000, Requested 40000. The "
                         "input or output tokens must be reduced in order to run successfully.", type="tokens",
                         code="rate_limit_exceeded"), Cause.TOO_LARGE),
    ("github", 413, said("Request body too large for m model. Max size: 8000 tokens.", code="tokens_limit_reached"), Cause.TOO_LARGE),
    ("nginx", 413, b"<html><head><title>413 Request Entity Too Large</title></head><body></body></html>", Cause.TOO_LARGE),
    ("anthropic", 413, {"type": "error", "error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}},
     Cause.TOO_LARGE),
    ("anthropic image", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "messages.0.content.1.image.source."
                              "base64: image exceeds 5 MB maximum: 6291456 bytes > 5242880 bytes"}}, Cause.TOO_LARGE),
    ("anthropic size", 400, said("messages.0.content.0: At least one of the image dimensions exceed max allowed size: 8000 pixels"),
     Cause.TOO_LARGE),
    ("express", 413, b"PayloadTooLargeError: request entity too large", Cause.TOO_LARGE),
    # one request's own
    ("openrouter afford", 402, said("This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can "
                                    "only afford 30104.", code=402), Cause.REFUSED),
    ("bare 402", 402, b"", Cause.REFUSED),
    ("bare 401", 401, b"Unauthorized", Cause.REFUSED),
    ("bare 403", 403, {"error": "Forbidden"}, Cause.REFUSED),
    ("fastapi 404", 404, {"detail": "Not Found"}, Cause.REFUSED),
    ("nginx 404", 404, b"<html><head><title>404 Not Found</title></head></html>", Cause.REFUSED),
    ("file", 404, said("No such File object: file-123", param="id"), Cause.REFUSED),
    ("vector store", 404, said("Vector store with id ['vs_1'] not found.", param="tools"), Cause.REFUSED),
    ("image", 404, said("Failed to download image from https://example.test/a.png: 404"), Cause.REFUSED),
    ("image login", 401, said("You must be authenticated to download the image"), Cause.REFUSED),
    ("gemini file", 403, said("You do not have permission to access the File abc or it may not exist.", code=403,
                              status="PERMISSION_DENIED"), Cause.REFUSED),
    ("cloudflare", 403, b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body><h1>Sorry, you have "
                        b"been blocked</h1></body></html>", Cause.REFUSED),
    ("openrouter privacy", 404, said("No endpoints found matching your data policy. Enable prompt training here", code=404),
     Cause.REFUSED),
    # content
    ("azure", 400, said("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                        code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}), Cause.CONTENT_FILTER),
    ("openai", 400, said("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt"),
     Cause.CONTENT_FILTER),
    ("openrouter", 403, said("Your input was flagged", code=403, metadata={"reasons": ["violence"]}), Cause.CONTENT_FILTER),
    ("guard", 403, said("Your request was blocked by our safety policy"), Cause.CONTENT_FILTER),
    ("deepseek", 400, said("Content Exists Risk", type="invalid_request_error"), Cause.CONTENT_FILTER),
    ("moonshot", 400, said("The request was rejected because it was considered high risk", type="content_filter"), Cause.CONTENT_FILTER),
    ("dashscope", 400, said("Input data may contain inappropriate content.", code="data_inspection_failed"), Cause.CONTENT_FILTER),
    ("iam", 403, {"message": "User: u is not authorized to perform: bedrock:InvokeModel"}, Cause.AUTH),
    ("daily", 429, said("You have exceeded your daily token limit"), Cause.QUOTA),
    ("unavailable", 404, said("The model `x` is currently not available"), Cause.NOT_FOUND),
    # money
    ("openai", 429, said("You exceeded your current quota, please check your plan and billing details.", type="insufficient_quota",
                         code="insufficient_quota"), Cause.QUOTA),
    ("openai hard", 400, said("Billing hard limit has been reached", code="billing_hard_limit_reached"), Cause.QUOTA),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access "
                        "the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."}}, Cause.QUOTA),
    ("deepseek", 402, said("Insufficient Balance", type="unknown_error", code="invalid_request_error"), Cause.QUOTA),
    ("openrouter", 402, said("Insufficient credits. Add more using https://openrouter.ai/settings/credits", code=402), Cause.QUOTA),
    ("openrouter free", 429, said("Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
                                  code=429), Cause.QUOTA),
    ("xai", 403, {"code": "The caller does not have permission to execute the specified operation",
                  "error": "Your team has either used all available credits or reached its monthly spending limit."}, Cause.QUOTA),
    ("moonshot", 403, said("Your account org-1 is not active, current state: suspended, please check your plan and billing details",
                           type="exceeded_current_quota_error"), Cause.QUOTA),
    ("huggingface", 402, {"error": "You have exceeded your monthly included credits for Inference Providers."}, Cause.QUOTA),
    ("fireworks", 412, said("Account acme is suspended, possibly due to reaching the monthly spending limit or failure to pay past "
                            "invoices.", code="PRECONDITION_FAILED"), Cause.QUOTA),
    ("dashscope", 400, said("Access denied, please make sure your account is in good standing.", code="Arrearage"), Cause.QUOTA),
    ("gemini day", 429, said("You exceeded your current quota, please check your plan and billing details. Please retry in 40s.",
                             status="RESOURCE_EXHAUSTED", details=[
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure",
         "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "40s"}]), Cause.QUOTA),
    # pace
    ("gemini", 429, [said("You exceeded your current quota, please check your plan and billing details.", status="RESOURCE_EXHAUSTED",
                          details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}])], Cause.RATE_LIMITED),
    ("vertex", 429, said("Resource has been exhausted (e.g. check quota).", status="RESOURCE_EXHAUSTED"), Cause.RATE_LIMITED),
    ("groq day", 429, said("Rate limit reached for model `m` on tokens per day (TPD): Limit 100000, Used 99900, Requested 300. Please try "
                           "again in 2m52s.", code="rate_limit_exceeded"), Cause.RATE_LIMITED),
    ("azure", 429, said("Requests to the Creating a completion operation have exceeded call rate limit of your current pricing tier. "
                        "Please retry after 6 seconds.", code="429"), Cause.RATE_LIMITED),
    ("bedrock", 400, {"__type": "ThrottlingException", "message": "Too many requests, please wait before trying again."},
     Cause.RATE_LIMITED),
    ("github", 403, said("Rate limit of 10 per 60s exceeded for UserByModelByMinute."), Cause.RATE_LIMITED),
    ("plain", 429, b"Too Many Requests", Cause.RATE_LIMITED),
    # keys
    ("openai", 401, said("Incorrect API key provided: sk-abc. You can find your API key at https://example.test.",
                         type="invalid_request_error", code="invalid_api_key"), Cause.AUTH),
    ("xai", 400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***yz."}, Cause.AUTH),
    ("gemini", 400, [said("API key not valid. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT",
                          details=[{"reason": "API_KEY_INVALID"}])], Cause.AUTH),
    ("gemini expired", 400, said("API key expired. Please renew the API key."), Cause.AUTH),
    ("gemini leaked", 403, said("Your API key was reported as leaked. Please use another API key.", status="PERMISSION_DENIED"),
     Cause.AUTH),
    ("anthropic", 401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}, Cause.AUTH),
    ("azure", 401, said("Access denied due to invalid subscription key or wrong API endpoint.", code="401"), Cause.AUTH),
    ("moonshot", 401, said("Invalid Authentication", type="invalid_authentication_error"), Cause.AUTH),
    ("deepseek", 401, said("Authentication Fails, Your api key: ****abcd is invalid", type="authentication_error"), Cause.AUTH),
    ("openrouter", 401, said("No auth credentials found", code=401), Cause.AUTH),
    ("openrouter user", 401, said("User not found.", code=401), Cause.AUTH),
    ("cohere", 401, {"message": "invalid api token"}, Cause.AUTH),
    ("llama.cpp", 401, said("Invalid API Key", code=401, type="authentication_error"), Cause.AUTH),
    ("huggingface", 401, {"error": "Invalid credentials in Authorization header"}, Cause.AUTH),
    ("bedrock", 403, {"message": "The security token included in the request is invalid."}, Cause.AUTH),
    ("fastapi", 403, {"detail": "Not authenticated"}, Cause.AUTH),
    ("proxy 500", 500, said("Error code: 401 - {'error': {'message': 'Incorrect API key provided: sk-1'}}"), Cause.AUTH),
    ("fireworks 412", 412, said("The api key is disabled."), Cause.AUTH),
    # models
    ("openai", 404, said("The model `gpt-9.1` does not exist or you do not have access to it.", code="model_not_found"),
     Cause.NOT_FOUND),
    ("openai project", 403, said("Project `p` does not have access to model `gpt-9`", code="model_not_found"), Cause.NOT_FOUND),
    ("azure", 404, said("The API deployment for this resource does not exist.", code="DeploymentNotFound"), Cause.NOT_FOUND),
    ("vllm", 404, {"object": "error", "message": "The model `x/y` does not exist.", "type": "NotFoundError", "code": 404},
     Cause.NOT_FOUND),
    ("ollama", 404, said('model "llama9" not found, try pulling it first', type="api_error"), Cause.NOT_FOUND),
    ("anthropic", 404, {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-9"}}, Cause.NOT_FOUND),
    ("gemini", 404, [said("models/gemini-9 is not found for API version v1main, or is not supported for generateContent.",
                          status="NOT_FOUND")], Cause.NOT_FOUND),
    ("groq", 400, said("The model `m` has been decommissioned and is no longer supported.", code="model_decommissioned"),
     Cause.NOT_FOUND),
    ("deepseek", 400, said("Model Not Exist", type="invalid_request_error"), Cause.NOT_FOUND),
    ("mistral", 400, {"object": "error", "message": "Invalid model: m", "type": "invalid_model", "code": "1500"}, Cause.NOT_FOUND),
    ("openrouter", 400, said("a/b is not a valid model ID", code=400), Cause.NOT_FOUND),
    ("openrouter gone", 404, said("No endpoints found for a/b.", code=404), Cause.NOT_FOUND),
    ("together", 404, said("Unable to access model m. Please visit the models page to see the list of supported models.",
                           code="model_not_available"), Cause.NOT_FOUND),
    ("fireworks", 404, said("Model not found, inaccessible, and/or not deployed", code="NOT_FOUND"), Cause.NOT_FOUND),
    ("bedrock", 400, {"message": "The provided model identifier is invalid."}, Cause.NOT_FOUND),
    ("bedrock end", 404, {"message": "This model version has reached the end of its life. Please refer to the documentation."},
     Cause.NOT_FOUND),
    ("lm studio", 400, said("No models loaded. Please load a model in the developer page.", code=None), Cause.NOT_FOUND),
    ("lm studio unloaded", 400, {"error": "Model unloaded."}, Cause.NOT_FOUND),
    ("lm studio load", 500, said('Failed to load model "m". Error: insufficient memory.'), Cause.NOT_FOUND),
    ("moonshot", 404, said("Not found the model m or Permission denied", type="resource_not_found_error"), Cause.NOT_FOUND),
    ("one-api", 503, said("No available channel for model m under group default", code="model_not_found"), Cause.NOT_FOUND),
    ("openai path", 404, said("Invalid URL (POST /v1/chat/completion)", type="invalid_request_error"), Cause.NOT_FOUND),
    ("ollama path", 404, b"404 page not found", Cause.NOT_FOUND),
    ("express path", 404, b"<!DOCTYPE html><html><body><pre>Cannot POST /chat/completions</pre></body></html>", Cause.NOT_FOUND),
    # busy
    ("anthropic", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Cause.OVERLOADED),
    ("groq flex", 498, said("Flex tier capacity exceeded", code="capacity_exceeded"), Cause.OVERLOADED),
    ("gemini", 503, [said("The model is overloaded. Please try again later.", status="UNAVAILABLE")], Cause.OVERLOADED),
    ("moonshot", 429, said("The engine is currently overloaded, please try again later", type="engine_overloaded_error"),
     Cause.OVERLOADED),
    ("tgi", 429, {"error": "Model is overloaded", "error_type": "overloaded"}, Cause.OVERLOADED),
    ("huggingface", 424, {"error": "Model m is currently loading", "estimated_time": 20.0}, Cause.OVERLOADED),
    ("azure ml", 424, {"error": "Failed dependency"}, Cause.OVERLOADED),
    ("llama.cpp", 503, said("Loading model", code=503, type="unavailable_error"), Cause.OVERLOADED),
    ("llama.cpp slots", 400, said("no slot available", type="invalid_request_error"), Cause.OVERLOADED),
    ("deepseek", 500, said("The server is busy. Please try again later."), Cause.OVERLOADED),
    ("bedrock", 424, {"__type": "ModelNotReadyException", "message": "The model is not ready to serve inference requests"},
     Cause.OVERLOADED),
    ("plain", 503, b"Service Unavailable", Cause.OVERLOADED),
    # others' faults, and the request's
    ("cloudflare", 520, b"<html><head><title>520: Web server is returning an unknown error</title></head></html>", Cause.SERVER_ERROR),
    ("gateway", 502, b"<html><head><title>502 Bad Gateway</title></head></html>", Cause.SERVER_ERROR),
    ("openai", 500, said("The server had an error while processing your request. Sorry about that!", type="server_error"),
     Cause.SERVER_ERROR),
    ("openai", 400, said("We could not parse the JSON body of your request."), Cause.REJECTED),
    ("openai", 400, said("Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"),
     Cause.REJECTED),
    ("openai", 400, said("Invalid type for 'messages[0].content': expected one of a string or array, but got an integer instead.",
                         param="messages[0].content", code="invalid_type"), Cause.REJECTED),
    ("fastapi", 422, {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]}, Cause.REJECTED),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "messages: at least one message is "
                        "required"}}, Cause.REJECTED),
]  # fmt: skip

FIELDS: list[tuple[str, int, Any, Cause, str | None]] = [
    # unknown fields
    ("openai", 400, said("Unsupported parameter: 'reasoning_effort' is not supported with this model.", param="reasoning_effort",
                         code="unsupported_parameter"), Cause.FIELD_REFUSED, "reasoning_effort"),
    ("openai name", 400, said("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
                              "instead.", param="max_tokens", code="unsupported_parameter"), Cause.FIELD_REFUSED, "max_tokens"),
    ("azure", 400, said("Unrecognized request argument supplied: parallel_tool_calls"), Cause.FIELD_REFUSED, "parallel_tool_calls"),
    ("old", 400, said("unknown parameter: stream_options"), Cause.FIELD_REFUSED, "stream_options"),
    ("mistral", 422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"],
                      "msg": "Extra inputs are not permitted", "input": 7}]}, "type": "invalid_request_error"},
     Cause.FIELD_REFUSED, "seed"),
    ("fastapi", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs are not permitted"}]},
     Cause.FIELD_REFUSED, "user"),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error",
                                                   "message": "store: Extra inputs are not permitted"}}, Cause.FIELD_REFUSED, "store"),
    ("gemini", 400, [said('Invalid JSON payload received. Unknown name "seed": Cannot find field.', status="INVALID_ARGUMENT")],
     Cause.FIELD_REFUSED, "seed"),
    ("groq", 400, said("property 'service_tier' is unsupported"), Cause.FIELD_REFUSED, "service_tier"),
    ("cohere", 422, {"message": "unknown field: parameter 'metadata' is not a valid field"}, Cause.FIELD_REFUSED, "metadata"),
    ("words", 400, said("stream_options is not supported"), Cause.FIELD_REFUSED, "stream_options"),
    # refused values
    ("openai", 400, said("Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: "
                         "'low', 'medium', and 'high'.", param="reasoning_effort", code="unsupported_value"),
     Cause.VALUE_REFUSED, "reasoning_effort"),
    ("openai", 400, said("Unsupported value: 'low' is not supported with this model. Supported values are: 'medium'.",
                         param="verbosity", code="unsupported_value"), Cause.VALUE_REFUSED, "verbosity"),
    ("openai", 400, said("Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified.",
                         param="parallel_tool_calls"), Cause.VALUE_REFUSED, "parallel_tool_calls"),
    ("openai", 400, said("Invalid 'user': string too long. Expected a string with maximum length 64.", param="user",
                         code="string_above_max_length"), Cause.VALUE_REFUSED, "user"),
    ("openai", 400, said("The 'metadata' parameter is only allowed when 'store' is enabled."), Cause.VALUE_REFUSED, "metadata"),
    ("openai", 400, said("Invalid service_tier argument: flex is not available for this model"), Cause.VALUE_REFUSED, "service_tier"),
    ("openai", 400, said("Invalid 'seed': integer above maximum value.", code="integer_above_max_value"), Cause.VALUE_REFUSED, "seed"),
    ("fastapi", 422, {"detail": [{"type": "literal_error", "loc": ["body", "reasoning_effort"],
                                  "msg": "Input should be 'low', 'medium' or 'high'", "input": "max"}]},
     Cause.VALUE_REFUSED, "reasoning_effort"),
    ("openai", 400, said("max_tokens is too large: 16000. This model supports at most 4096 completion tokens, whereas you provided "
                         "16000.", param="max_tokens", code="invalid_value"), Cause.VALUE_REFUSED, "max_tokens"),
    ("vllm", 400, said("'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 4096 tokens "
                       "and your request has 10 input tokens (9000 > 4096 - 10).", code=400), Cause.VALUE_REFUSED, "max_tokens"),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens: 64000 > 8192, which is the "
                        "maximum allowed number of output tokens for claude-3"}}, Cause.VALUE_REFUSED, "max_tokens"),
    ("deepseek", 400, said("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"), Cause.VALUE_REFUSED, "max_tokens"),
    ("ollama", 400, said('"m" does not support thinking'), Cause.VALUE_REFUSED, "reasoning_effort"),
    ("ajv", 400, {"message": "body/user must NOT have more than 64 characters"}, Cause.VALUE_REFUSED, "user"),
    ("gemma", 400, said("Developer instruction is not enabled for models/gemma-3"), Cause.UNSUPPORTED, "developer"),
    ("cohere", 400, said("Last message must have role user"), Cause.UNSUPPORTED, "roles"),
    ("one system", 400, said("Only one system message is supported"), Cause.UNSUPPORTED, "roles"),
    ("strings", 400, said("Expected content to be a string"), Cause.UNSUPPORTED, "content"),
    # what one model cannot take
    ("openai", 400, said("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
                         "supported.", param="temperature", code="unsupported_value"), Cause.UNSUPPORTED, "temperature"),
    ("openai", 400, said("Unsupported parameter: 'stop' is not supported with this model.", param="stop",
                         code="unsupported_parameter"), Cause.UNSUPPORTED, "stop"),
    ("openai", 400, said("Unsupported parameter: 'presence_penalty' is not supported with this model.", param="presence_penalty"),
     Cause.UNSUPPORTED, "presence_penalty"),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "temperature: range: 0..1"}},
     Cause.UNSUPPORTED, "temperature"),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "`temperature` and `top_p` cannot both be "
                        "specified for this model. Please use only one."}}, Cause.UNSUPPORTED, "temperature"),
    ("deepseek", 400, said("messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`"),
     Cause.UNSUPPORTED, "developer"),
    ("groq", 400, said("'messages.0' : discriminator property 'role' has invalid value: 'developer'"), Cause.UNSUPPORTED, "developer"),
    ("mistral", 422, {"detail": [{"type": "literal_error", "loc": ["body", "messages", 0, "role"],
                                  "msg": "Input should be 'system', 'user', 'assistant' or 'tool'", "input": "developer"}]},
     Cause.UNSUPPORTED, "developer"),
    ("mistral ids", 400, {"object": "error", "message": "Tool call id was call_123456 but must be a-z, A-Z, 0-9, with a length of 9.",
                          "type": "invalid_request_error", "code": "3280"}, Cause.UNSUPPORTED, "tool_call_id"),
    ("openai ids", 400, said("Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got "
                             "a string with length 46 instead.", param="messages[1].tool_calls[0].id",
                             code="string_above_max_length"), Cause.UNSUPPORTED, "tool_call_id"),
    ("anthropic ids", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "messages.1.content.0.tool_use.id: "
                            "String should match pattern '^[a-zA-Z0-9_-]+$'"}}, Cause.UNSUPPORTED, "tool_call_id"),
    ("groq", 400, said("'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
                       "'reasoning_content' is unsupported)]"), Cause.UNSUPPORTED, "reasoning_content"),
    ("mistral", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "messages", 1, "assistant", "reasoning_content"],
                                  "msg": "Extra inputs are not permitted"}]}, Cause.UNSUPPORTED, "reasoning_content"),
    ("moonshot", 400, said("thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"),
     Cause.UNSUPPORTED, "missing_reasoning"),
    ("deepseek", 400, said("Missing `reasoning_content` field in the assistant message at message index 1."),
     Cause.UNSUPPORTED, "missing_reasoning"),
    ("qwen", 400, {"object": "error", "message": "System message must be at the beginning.", "type": "BadRequestError", "code": 400},
     Cause.UNSUPPORTED, "roles"),
    ("jinja", 500, said("Conversation roles must alternate user/assistant/user/assistant/... at row 1", type="server_error"),
     Cause.UNSUPPORTED, "roles"),
    ("gemma", 400, {"object": "error", "message": "System role not supported", "code": 400}, Cause.UNSUPPORTED, "roles"),
    ("mistral", 400, {"object": "error", "message": "Unexpected role 'user' after role 'tool'", "code": "3230"},
     Cause.UNSUPPORTED, "roles"),
    ("mistral", 400, {"object": "error", "message": "Expected last role User or Tool (or Assistant with prefix True) for serving but got "
                      "assistant", "code": "3230"}, Cause.UNSUPPORTED, "roles"),
    ("llama.cpp", 500, said("Jinja Exception: No user query found in messages.", code=500), Cause.UNSUPPORTED, "roles"),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "This model does not support assistant "
                        "message prefill. The conversation must end with a user message."}}, Cause.UNSUPPORTED, "prefill"),
    ("ollama", 400, said("registry.ollama.ai/library/gemma3:4b does not support tools"), Cause.UNSUPPORTED, "tools"),
    ("openrouter", 404, said("No endpoints found that support tool use. To learn more about provider routing, visit: "
                             "https://example.test", code=404), Cause.UNSUPPORTED, "tools"),
    ("openrouter", 404, said("No endpoints found that support image input", code=404), Cause.UNSUPPORTED, "image"),
    ("openrouter", 404, said("No endpoints found that support the provided 'tool_choice' value.", code=404),
     Cause.UNSUPPORTED, "tool_choice"),
    ("vllm", 400, said('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', code=400),
     Cause.UNSUPPORTED, "tools"),
    ("llama.cpp", 500, said("tools param requires --jinja flag", code=500), Cause.UNSUPPORTED, "tools"),
    ("openai", 400, said("[] is too short - 'tools'", param="tools"), Cause.UNSUPPORTED, "tools"),
    ("openai", 400, said("Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
                         param="tools", code="empty_array"), Cause.UNSUPPORTED, "tools"),
    ("groq", 400, said("`tool calling` is not supported with this model", type="invalid_request_error"), Cause.UNSUPPORTED, "tools"),
    ("llama.cpp", 500, said("image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
     Cause.UNSUPPORTED, "image"),
    ("deepseek", 400, said("Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected "
                           "`text`"), Cause.UNSUPPORTED, "image"),
    ("vllm", 400, said("x/y is not a multimodal model", code=400), Cause.UNSUPPORTED, "image"),
    ("vllm", 400, said("At most 0 image(s) may be provided in one request.", code=400), Cause.UNSUPPORTED, "image"),
    ("deepseek", 400, said("This response_format type is unavailable now"), Cause.UNSUPPORTED, "response_format"),
    ("groq", 400, said("This model does not support response format `json_schema`."), Cause.UNSUPPORTED, "response_format"),
    ("bedrock", 400, {"message": "This model doesn't support the stopSequences field. Remove stopSequences and try again."},
     Cause.UNSUPPORTED, None),
    ("openai", 400, said("This model is only supported in v1/responses and not in v1/chat/completions."), Cause.UNSUPPORTED, None),
]  # fmt: skip


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body)


@pytest.mark.parametrize(("server", "status", "body"), CONTEXT_LENGTH)
def test_a_prompt_that_is_too_long_is_found_for_every_server(server: str, status: int, body: Any) -> None:
    assert classify(status, {}, encoded(body)).cause is CONTEXT, server


@pytest.mark.parametrize(("server", "status", "body", "cause"), OTHERS)
def test_causes(server: str, status: int, body: Any, cause: Cause) -> None:
    assert classify(status, {}, encoded(body)).cause is cause, server


@pytest.mark.parametrize(("server", "status", "body", "cause", "field"), FIELDS)
def test_fields_that_are_refused(server: str, status: int, body: Any, cause: Cause, field: str | None) -> None:
    failure = classify(status, {}, encoded(body))
    assert (failure.cause, failure.field) == (cause, field), server
