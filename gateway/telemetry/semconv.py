"""The names of span attributes: those of OpenTelemetry's semantic conventions, pinned here, and the gateway's own.

The GenAI names are in development, and packages that carry them rename or deprecate them between minor versions. So they are
constants of this module: those of version 1.42 of the conventions, after which the GenAI part has a repository of its own.
"""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.42.0"

ERROR_TYPE = "error.type"
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
HTTP_ROUTE = "http.route"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"

CONVERSATION_ID = "gen_ai.conversation.id"
INPUT_MESSAGES = "gen_ai.input.messages"
OPERATION_NAME = "gen_ai.operation.name"
OUTPUT_MESSAGES = "gen_ai.output.messages"
OUTPUT_TYPE = "gen_ai.output.type"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_CHOICE_COUNT = "gen_ai.request.choice.count"
REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
REQUEST_SEED = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES = "gen_ai.request.stop_sequences"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_TOP_K = "gen_ai.request.top_k"
REQUEST_TOP_P = "gen_ai.request.top_p"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # seconds
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
USAGE_CACHE_CREATION = "gen_ai.usage.cache_creation.input_tokens"
USAGE_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_REASONING = "gen_ai.usage.reasoning.output_tokens"

LOCUS_API = "locus.api"
LOCUS_CACHE = "locus.cache"  # what the cache for answers did
LOCUS_CANDIDATES = "locus.candidates"  # JSON, as in the record
LOCUS_CHOSEN = "locus.chosen"
LOCUS_CONTINUES = "locus.continues"  # the call continues an answer of which the client has a part
LOCUS_COST_USD = "locus.cost_usd"
LOCUS_DEPLOYMENT = "locus.deployment"
LOCUS_HOP = "locus.hop"  # from 0, in the order in which the calls of a request began
LOCUS_KEY_ID = "locus.key_id"
LOCUS_KEY_NAME = "locus.key_name"
LOCUS_MODEL = "locus.model"  # the portfolio's name of the model that a call was for
LOCUS_OVERHEAD_MS = "locus.overhead_ms"
LOCUS_P_CORRECT = "locus.p_correct"
LOCUS_POLICY = "locus.policy"
LOCUS_PREDICTED_LOSS = "locus.predicted_loss"
LOCUS_REQUESTED = "locus.requested"
LOCUS_REQUEST_ID = "locus.request_id"
LOCUS_SERVED = "locus.served"
LOCUS_SIMULATED = "locus.simulated"
LOCUS_SPANS_LEFT_OUT = "locus.spans_left_out"
LOCUS_STAND_IN_DISTANCE = "locus.stand_in_distance"
LOCUS_SWITCH = "locus.switch"  # whether a conversation kept its model or switched
LOCUS_TEAM = "locus.team"
LOCUS_USAGE_ESTIMATED = "locus.usage_estimated"

# LiteLLM's prefix of a provider -> its well-known value of `gen_ai.provider.name`, where the two differ.
PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "cohere_chat": "cohere",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "sagemaker_chat": "sagemaker",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
