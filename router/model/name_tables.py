"""What is known of names of models beyond rules: providers, makers, and models that one name or another calls otherwise.

Data only; `router.model.model_names` applies it. All names are in lower case.
"""

PROVIDERS = frozenset(
    """
    abliteration ai21 ai21_chat aiand aihubmix aiml amazon-nova amazon_nova anthropic anyscale azure azure_ai azure_text baseten
    bedrock bedrock_converse bedrock_mantle bigmodel bytez cerebras chatgpt chutes clarifai clf_ai_gateway cloudflare codestral
    cognition cohere cohere_chat cometapi compactifai coralbricks cortecs crusoe darkbloom dashscope databricks datarobot deepinfra
    deepseek docker_model_runner edenai empiriolabs empower featherless_ai fireworks_ai friendliai galadriel gemini gigachat github
    github_copilot gmi gradient_ai groq helicone heroku hosted_vllm hostinger_router huggingface hyperbolic inception inferenceapis
    infinity kyma lambda_ai lemonade libertai llamafile llamagate lm_studio meta_llama minimax mistral modelscope moonshot morph
    nano-gpt nebius neosantara nlp_cloud novita nscale nvidia_nim oci ollama ollama_chat oobabooga openai opencode_go openinfer
    openrouter ovhcloud parasail perplexity petals pinstripes poe predibase prism publicai qwen_ai_platform qwencloud refuseless
    reka replicate sail sambanova sap sarvam scaleway scx-ai snowflake streamlake synthetic tencent tensormesh
    text-completion-codestral text-completion-inception text-completion-openai together_ai triton v0 vercel_ai_gateway vertex_ai
    vertex_ai_beta vllm volcengine wally wandb watsonx watsonx_text xai xiaomi_mimo xinference zai zerogpu
    """.split()  # noqa: SIM905
)
"""The prefixes of LiteLLM's names that say where a model is called."""

FREE_NAMES = frozenset({"custom", "custom_openai", "litellm_proxy", "openai_like", "sagemaker", "sagemaker_chat"})
"""Prefixes behind which the operator of a server chooses the names, and often calls any model by the name of a known one."""

CHAT_ONLY = frozenset(
    """
    aihubmix bedrock bedrock_converse bedrock_mantle cerebras databricks darkbloom empiriolabs github github_copilot gradient_ai
    groq inferenceapis kyma llamagate ollama perplexity pinstripes snowflake vercel_ai_gateway
    """.split()  # noqa: SIM905
)
"""Providers that serve no base models and often leave `instruct`, `it` and the active parameters out of a name."""

ONLY_MAKER = {
    "openai": "openai",
    "chatgpt": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "xai": "x-ai",
    "deepseek": "deepseek-ai",
    "moonshot": "moonshotai",
    "zai": "zai-org",
    "minimax": "minimaxai",
    "meta_llama": "meta",
}
"""Providers that serve the models of one maker only."""

MAKERS = {
    "ai21": "ai21labs",
    "alibaba": "qwen",
    "arcee": "arcee-ai",
    "bytedance-seed": "bytedance",
    "cohereforai": "cohere",
    "coherelabs": "cohere",
    "deepseek": "deepseek-ai",
    "gemini": "google",
    "ibm": "ibm-granite",
    "lgai-exaone": "lg",
    "liquid": "liquidai",
    "meituan-longcat": "meituan",
    "meta-llama": "meta",
    "meta-models": "meta",
    "minimax": "minimaxai",
    "mistral": "mistralai",
    "moonshot": "moonshotai",
    "stepfun-ai": "stepfun",
    "thudm": "zai-org",
    "xai": "x-ai",
    "xiaomi": "xiaomimimo",
    "xiaomi_mimo": "xiaomimimo",
    "z-ai": "zai-org",
    "zai": "zai-org",
    "zhipuai": "zai-org",
}
"""Other spellings of a maker -> one spelling."""

COPIERS = frozenset(
    """
    bartowski cyankiwi ggml-org lmstudio-community mlx-community neuralmagic quanttrio redhatai thebloke unsloth
    """.split()  # noqa: SIM905
)
"""Accounts that publish other makers' weights under the same name, mostly quantised."""

QUANTISERS = frozenset({"amd", "intel", "nvidia"})
"""Makers that also publish quantised weights of others: then the name says so."""

SAME = {
    # Mistral: the names of versions and those of the weights -> the API's dated names. An undated name of the API that means
    # a snapshot which no space has is written here too, so that it is not taken for an older one.
    "codestral": "codestral-2508",
    "codestral-22b-v0-1": "codestral-2405",
    "devstral-2-123b": "devstral-2512",
    "devstral-2-123b-instruct-2512": "devstral-2512",
    "devstral-small-2-24b": "devstral-small-2512",
    "devstral-small-2-24b-instruct-2512": "devstral-small-2512",
    "magistral-medium": "magistral-medium-2509",
    "magistral-small": "magistral-small-2509",
    "ministral-3-3b": "ministral-3b-2512",
    "ministral-3-3b-2512": "ministral-3b-2512",
    "ministral-3-3b-instruct": "ministral-3b-2512",
    "ministral-3-3b-instruct-2512": "ministral-3b-2512",
    "ministral-3-8b": "ministral-8b-2512",
    "ministral-3-8b-2512": "ministral-8b-2512",
    "ministral-3-8b-instruct": "ministral-8b-2512",
    "ministral-3-8b-instruct-2512": "ministral-8b-2512",
    "ministral-8b-instruct-2410": "ministral-8b-2410",
    "mistral-large-2": "mistral-large-2407",
    "mistral-large-3": "mistral-large-2512",
    "mistral-large-3-675b-instruct": "mistral-large-2512",
    "mistral-large-3-675b-instruct-2512": "mistral-large-2512",
    "mistral-large-instruct-2407": "mistral-large-2407",
    "mistral-medium-3": "mistral-medium-2505",
    "mistral-medium-3-1": "mistral-medium-2508",
    "mistral-medium-3-5": "mistral-medium-2604",
    "mistral-medium-3-5-128b": "mistral-medium-2604",
    "mistral-nemo": "mistral-nemo-instruct-2407",
    "mistral-nemo-2407": "mistral-nemo-instruct-2407",
    "mistral-small-24b-instruct-2501": "mistral-small-2501",
    "mistral-small-3": "mistral-small-2501",
    "mistral-small-4": "mistral-small-2603",
    "mixtral-8x7b": "mixtral-8x7b-v0-1",
    "mixtral-8x7b-instruct": "mixtral-8x7b-instruct-v0-1",
    "mixtral-8x22b": "mixtral-8x22b-v0-1",
    "mixtral-8x22b-instruct": "mixtral-8x22b-instruct-v0-1",
    # Cohere
    "command-r": "command-r-v01",
    "command-r-03-2024": "command-r-v01",
    "command-r-plus-04-2024": "command-r-plus",
    # Meta
    "llama-4-scout": "llama-4-scout-17b-16e-instruct",
    "llama-4-scout-17b": "llama-4-scout-17b-16e-instruct",
    "llama-4-scout-instruct": "llama-4-scout-17b-16e-instruct",
    "llama-4-scout-17b-instruct": "llama-4-scout-17b-16e-instruct",
    "llama-4-maverick": "llama-4-maverick-17b-128e-instruct",
    "llama-4-maverick-17b": "llama-4-maverick-17b-128e-instruct",
    "llama-4-maverick-instruct": "llama-4-maverick-17b-128e-instruct",
    "llama-4-maverick-17b-instruct": "llama-4-maverick-17b-128e-instruct",
    "llama-3-2-11b": "llama-3-2-11b-vision",
    "llama-3-2-11b-instruct": "llama-3-2-11b-vision-instruct",
    "llama-3-2-90b": "llama-3-2-90b-vision",
    "llama-3-2-90b-instruct": "llama-3-2-90b-vision-instruct",
    # Qwen
    "qwen-3-coder": "qwen-3-coder-480b-a35b-instruct",
    "qwen-3-coder-480b": "qwen-3-coder-480b-a35b-instruct",
    "qwen-3-235b-a22b-2507": "qwen-3-235b-a22b-instruct-2507",
    # Others
    "deepseek-chat-v3-0324": "deepseek-v3-0324",
    "deepseek-chat-v3-1": "deepseek-v3-1",
    "deepseek-v3-v1:0": "deepseek-v3-1",
    "ernie-4-5-300b-a47b-pt": "ernie-4-5-300b-a47b",
    "ernie-4-5-300b-a47b-paddle": "ernie-4-5-300b-a47b",
    "granite-4-h-small": "granite-4-0-h-small",
    "grok-code-fast": "grok-code-fast-1",
    "grok-4-20-beta": "grok-4-20-beta-0309",
    "grok-4-20-multi-agent-beta": "grok-4-20-multi-agent-beta-0309",
    "grok-4-20-experimental-beta-0304": "grok-4-20-beta-0304",
    "grok-4-20-multi-agent-experimental-beta-0304": "grok-4-20-multi-agent-beta-0304",
    "hermes-3-70b": "hermes-3-llama-3-1-70b",
    "jamba-mini-1-5": "jamba-1-5-mini",
    "kimi-k2": "kimi-k2-instruct",
    "kimi-k2-0711-preview": "kimi-k2-instruct",
    "kimi-k2-0905": "kimi-k2-instruct-0905",
    "kimi-k2-0905-preview": "kimi-k2-instruct-0905",
    "minimax-01": "minimax-text-01",
    "nemotron-nano-3-30b": "nemotron-3-nano-30b-a3b",
    "nemotron-super-3-120b": "nemotron-3-super-120b-a12b",
    "nemotron-3-120b-a12b": "nemotron-3-super-120b-a12b",
    "nemotron-3-ultra": "nemotron-3-ultra-550b-a55b",
    "nemotron-3-5-lightning-30b-a3b": "nemotron-3-5-lightning",
    "nemotron-lightning-3-5-30b-a3b": "nemotron-3-5-lightning",
    "nova-pro-v1": "nova-pro",
    "nova-pro-1-0": "nova-pro",
}
"""A name in the spelling of `model_names` -> the name of the same model that the rules read on. Applied to both sides."""

WHOLE = {
    "azure/mistral-large-latest": "mistral-large-2407",
    "azure_ai/ministral-3b": "ministral-3b-2410",
    "azure_ai/mistral-large-latest": "mistral-large-2411",
    "mistral/mistral-medium-3": "mistral-medium-2604",
    "mistral/mistral-small": "mistral-small-2506",
    "snowflake/mistral-large": "mistral-large-2402",
    "vercel_ai_gateway/mistral/devstral-small": "devstral-small-2505",
    "vercel_ai_gateway/mistral/ministral-3b": "ministral-3b-2410",
    "vercel_ai_gateway/mistral/ministral-8b": "ministral-8b-2410",
    "vercel_ai_gateway/mistral/mistral-large": "mistral-large-2411",
    "vercel_ai_gateway/mistral/mistral-small": "mistral-small-2506",
    "vertex_ai/claude-3-5-sonnet": "claude-3-5-sonnet-20240620",
    "vertex_ai/mistral-large@latest": "mistral-large-2411",
    "watsonx/mistralai/mistral-large": "mistral-large-2407",
}
"""Undated names of one provider that mean another snapshot than the newest, as its price and its age show."""

OLLAMA = {
    "codestral": "codestral-2405",
    "codestral-22b": "codestral-2405",
    "command-a": "command-a-03-2025",
    "command-a-111b": "command-a-03-2025",
    "command-r-35b": "command-r-v01",
    "command-r-plus-104b": "command-r-plus",
    "mistral-nemo": "mistral-nemo-instruct-2407",
    "mistral-nemo-12b": "mistral-nemo-instruct-2407",
    "qwq": "qwq-32b",
    "llama-3": "llama-3-8b-instruct",
    "llama-3-1": "llama-3-1-8b-instruct",
    "llama-3-2": "llama-3-2-3b-instruct",
    "llama-3-3": "llama-3-3-70b-instruct",
    "qwen-2": "qwen-2-7b-instruct",
    "qwen-2-5": "qwen-2-5-7b-instruct",
    "qwen-2-5-coder": "qwen-2-5-coder-7b-instruct",
    "qwen-3": "qwen-3-8b",
    "qwen-3-coder": "qwen-3-coder-30b-a3b-instruct",
    "gemma-2": "gemma-2-9b-it",
    "gemma-3": "gemma-3-4b-it",
    "gpt-oss": "gpt-oss-20b",
    "mistral": "mistral-7b-instruct-v0-3",
    "mistral-7b": "mistral-7b-instruct-v0-3",
    "mistral-7b-instruct": "mistral-7b-instruct-v0-3",
    "mistral-small-24b": "mistral-small-2501",
    "mixtral": "mixtral-8x7b-instruct-v0-1",
    "olmo-2-7b": "olmo-2-1124-7b-instruct",
    "phi-3-5": "phi-3-5-mini-instruct",
    "phi-3-5-3-8b": "phi-3-5-mini-instruct",
    "phi-4-14b": "phi-4",
    "phi-4-reasoning-14b": "phi-4-reasoning",
    "phi-4-mini-3-8b": "phi-4-mini-instruct",
    "phi-4-mini-reasoning-3-8b": "phi-4-mini-reasoning",
    "deepseek-r1": "deepseek-r1-0528-qwen-3-8b",
    "deepseek-r1-671b": "",  # the first release or the one of May 2025
    "deepseek-r1-7b": "deepseek-r1-distill-qwen-7b",
    "deepseek-r1-70b": "deepseek-r1-distill-llama-70b",
    "deepseek-v3-671b": "deepseek-v3",
    "deepseek-v3-1-671b": "deepseek-v3-1",
}
"""Ollama's names, whose tag may be left out, or may state a size that the name does not have elsewhere. "": not certain."""
