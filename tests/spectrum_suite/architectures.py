"""Every causal language model that `transformers` has, with random weights and a few thousand of them.

A configuration begins as the architecture's defaults; the sizes in it become small by the names that they have.
"""

import re

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

ARCHITECTURES = tuple(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
WINDOW = 16
"""Tokens that a sliding or local layer sees: fewer than the texts of the tests have."""

POSITIONS = 512
LAYERS = 4
SPREAD = 0.2
"""Standard deviation of the weights: as small as the libraries have it, a model hardly looks at its context."""

NOT_MADE = {
    "blt": "its hash tables have 96 million weights whatever the configuration says",
    "dbrx": "its default configuration cannot be made into a model",
    "dots3_note": "its parts do not become small together",
    "dots3_note_text": "its sizes do not become small",
    "gemma3n": "needs timm",
    "gemma4_assistant": "its default configuration is refused by its own check",
    "gemma4_unified_assistant": "shares the keys of another model",
    "musicgen": "its configuration is that of three models, without one for text",
    "musicgen_melody": "its configuration is that of three models, without one for text",
}
"""Architectures of which no small one can be made from a configuration, and why."""

SIZES = [  # (pattern of a name, size), the first that matches
    (r"(num_|n_)?(hidden_|decoder_|encoder_)?layers?|n_layers?|num_blocks|(num_)?(en|de)coder_layers", LAYERS),
    (r"hidden_size|d_model|n_embd|emb_dim|embedding_dim|hidden_dim|attention_hidden_size|lru_width", 32),
    (r"(decoder_|encoder_)?ffn_dim|.*intermediate_size.*|dff|dim_ff|n_inner|d_inner|ffn_hidden_size|feed_forward_size"
     r"|expert_ffn_hidden_size|embedding_size|block_ffn_dim|backbone_hidden_size", 32),
    (r"(num_|n_|decoder_|encoder_|swa_)?(num_|encoder_|decoder_)?(attention_)?heads?|(num_)?attention_heads|num_heads", 4),
    (r"(swa_)?num_(key_value|kv)_heads|num_global_key_value_heads", 2),
    (r"(swa_|global_)?head_dim|v_head_dim|qk_(nope_|rope_)head_dim|attention_head_(dim|size)|dim_head|d_head|kv_channels", 8),
    (r"qk_head_dim", 16),
    (r"index(er)?_n_heads", 16),  # with few of them many scores are the same zero, and which are the highest is chance
    (r"index_topk|indexer_budget", 8),
    (r"index_block_size|index_topk_blocks|indexer_compress_ratio", 2),
    (r"q_lora_rank|kv_lora_rank|o_lora_rank", 16),
    (r"(n_|num_)?(routed_|local_)?experts|moe_num_experts|num_local_experts|zero_expert_num", 4),
    (r"num_experts_per_tok(en)?|moe_topk|moe_k|top_k_experts", 2),
    (r"(n_|num_|moe_num_)?shared_experts?|num_shared_experts", 1),
    (r"n_group|topk_group|num_expert_group|num_limited_groups", 1),
    (r"sliding_window(_size)?|window_size|attention_window_size|local_attention|attention_chunk_size", WINDOW),
    (r"max_position_embeddings|n_positions|n_ctx|context_length|max_seq_len|model_max_length|max_(source|target)_positions"
     r"|original_max_position_embeddings", POSITIONS),
    (r"type_vocab_size|pretraining_tp", 1),
]  # fmt: skip

DECODER = {"is_decoder": True}
ROTARY = {"rope_type": "default", "rope_theta": 10000.0}
EQUAL_HEADS = {"num_key_value_heads": 4}  # latent attention has as many of both
ATTENTION_FIRST = {"attn_layer_period": 2, "attn_layer_offset": 1}
MAMBA_HEADS = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
DELTA_HEADS = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}

SPECIAL = {
    **dict.fromkeys(
        ("bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert", "rembert",
         "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl"), DECODER
    ),
    **dict.fromkeys(
        ("axk1", "axk2", "bailing_hybrid", "deepseek_v2", "deepseek_v3", "deepseek_v32", "dots3_note", "dots3_note_text",
         "glm4_moe_lite", "glm_moe_dsa", "longcat_flash", "minicpm3", "youtu"), EQUAL_HEADS
    ),
    **dict.fromkeys(("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "olmo_hybrid"), DELTA_HEADS),
    **{name: {"head_dim": 8} for name in ("hunyuan_v1_dense", "hunyuan_v1_moe", "ministral")},
    "nemotron": {"head_dim": 8, "num_key_value_heads": 2},
    "xmod": DECODER,
    "xlstm": {"hidden_size": 128, "embedding_dim": 128, "num_heads": 2, "chunk_size": 8},
    "qwen4_exp_text": {**DELTA_HEADS, "indexer_n_heads": 16, "indexer_kv_heads": 1, "indexer_head_dim": 8, "indexer_budget": 8,
                       "indexer_compress_ratio": 2, "ngram_vocab_size_base": 50, "split_ngram_parts": 1, "hc_lowrank": 8},
    "phi4_multimodal": {},
    "bamba": {**MAMBA_HEADS, "attn_layer_indices": [1, 3]},
    "codegen": {"rotary_dim": 4},
    "cohere_compass_text": {"rope_parameters": dict.fromkeys(("full_attention", "sliding_attention"), ROTARY),
                            "layer_types": ["sliding_attention", "full_attention"] * 2},
    "deepseek_v2": {**EQUAL_HEADS, "num_experts_per_tok": 2},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, **EQUAL_HEADS},
    "falcon_h1": {**MAMBA_HEADS, "mamba_d_ssm": 64},
    "gemma3n_text": {"num_kv_shared_layers": 2, "activation_sparsity_pattern": [0.0] * 4,
                     "layer_types": ["sliding_attention", "full_attention"] * 2},
    "gemma4_text": {"hidden_size_per_layer_input": 8},
    "gptj": {"rotary_dim": 4},
    "granitemoehybrid": {**MAMBA_HEADS, "layer_types": ["linear_attention", "full_attention"] * 2},
    "hy_v4": {"index_topk": 64},  # of keys with equal scores, chance says which are the highest
    "jamba": ATTENTION_FIRST,
    "kimi_linear": {**EQUAL_HEADS, "linear_head_dim": 8, "linear_num_heads": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 1, "chunk_size": 8},
    "nemotron_h": {"mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1, "chunk_size": 8},
    "reformer": {"is_decoder": True, "axial_pos_shape": [32, 16], "axial_pos_embds_dim": [16, 16],
                 "local_attn_chunk_length": 16, "lsh_attn_chunk_length": 16},
    "roc_bert": {**DECODER, "pronunciation_vocab_size": 300, "shape_vocab_size": 300},
    "zamba": {"num_key_value_heads": 4, "attention_hidden_size": 64, "attention_head_dim": 16,
              "layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zamba2": {"num_key_value_heads": 4, "attention_hidden_size": 64, "attention_head_dim": 16, "mamba_d_state": 8, "mamba_ngroups": 1, "chunk_size": 8, "n_mamba_heads": 8,
               "layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}  # fmt: skip
"""What the rule by names cannot know of an architecture."""


def tiny_config(architecture, vocabulary, **changes):
    """The configuration of a small model of this type."""
    config_class = CONFIG_MAPPING[architecture]
    return config_class(**_shrunk(config_class, vocabulary) | changes)


def _shrunk(config_class, vocabulary):
    default = config_class()
    layers = max([getattr(default, name, None) or 0 for name in ("num_hidden_layers", "n_layer", "num_layers")])
    changes = {}
    for name, value in vars(default).items():
        if isinstance(value, PreTrainedConfig):
            changes[name] = type(value)(**_shrunk(type(value), vocabulary))
        elif (small := _small(name, value, layers, vocabulary)) is not None:
            changes[name] = small
    return changes | SPECIAL.get(config_class.model_type, {})


def _small(name, value, layers, vocabulary):
    if isinstance(value, list) and layers and len(value) == layers:
        kinds = list(dict.fromkeys(map(str, value)))
        by_kind = {str(each): each for each in value}
        return [by_kind[kinds[index % len(kinds)]] for index in range(LAYERS)]
    if name in ("vocab_size", "vocab_size_per_layer_input"):
        return vocabulary
    if name.endswith(("_token_id", "_token_index")) and isinstance(value, int):
        return value if value < 3 else 2
    if "dropout" in name or "pdrop" in name or "jitter" in name:
        return 0.0 if isinstance(value, float) else None
    if re.fullmatch(r"initializer_range|init_std|initializer_factor|embed_init_std|w_init_variance_scale", name):
        return SPREAD
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return next((size for pattern, size in SIZES if re.fullmatch(pattern, name)), None)
    return None


def tiny(architecture, vocabulary, *, seed=0, **changes):
    """The model, in eval mode."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(tiny_config(architecture, vocabulary, **changes))
    if hasattr(model, "set_default_language"):
        model.set_default_language("en_XX")
    return model.eval()
