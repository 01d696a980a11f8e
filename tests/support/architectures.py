"""Published models as metadata, one of each kind that llama.cpp keeps in memory differently.

The numbers are the models' own configurations (config.json of their repositories, as llama.cpp's converter writes them).
The vocabulary is without texts, which nothing here needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.native_models import Meta, hollow_model

OPTIONAL = r"\.bias$|_scale$|\.scale$|input_scale|rope_freqs|rope_factors"
"""Tensors that the engine would make of metadata alone, and that these models do not have."""
TIED = OPTIONAL + r"|^output\.weight"
_SSM = {"ssm.conv_kernel": 4, "ssm.state_size": 128, "ssm.time_step_rank": 32, "ssm.group_count": 16}


@dataclass(frozen=True)
class Published:
    """One model.

    Attributes:
        metadata: keys without the architecture's prefix, which `general.` and `tokenizer.` keys do not have.
        dropped, kept: which optional tensors it does not have, and which it has all the same.
    """

    architecture: str
    metadata: Mapping[str, Meta]
    dropped: str = OPTIONAL
    kept: str = r"^$"

    def write(self, path: Path) -> Path:
        """The model as a file without weights."""
        prefixed = {f"{self.architecture}.{key}": value for key, value in {**_EVERYWHERE, **self.metadata}.items()}
        whole: dict[str, Meta] = {
            "general.architecture": self.architecture,
            "general.name": path.stem,
            "tokenizer.ggml.model": "none",
            **prefixed,
        }
        return hollow_model(path, whole, dropped=self.dropped, kept=self.kept)


_EVERYWHERE: Mapping[str, Meta] = {"context_length": 131_072, "attention.layer_norm_rms_epsilon": 1e-6}


def _sizes(
    n_vocab: int, n_layer: int, n_embd: int, n_ff: int, n_head: int, n_kv: Meta = 0, head: int = 0
) -> dict[str, Meta]:
    found: dict[str, Meta] = {
        "vocab_size": n_vocab,
        "block_count": n_layer,
        "embedding_length": n_embd,
        "feed_forward_length": n_ff,
        "attention.head_count": n_head,
    }
    if n_kv:
        found["attention.head_count_kv"] = n_kv
    if head:
        found |= {"attention.key_length": head, "attention.value_length": head}
    return found


def _experts(n: int, used: int, width: int, **more: Meta) -> dict[str, Meta]:
    return {"expert_count": n, "expert_used_count": used, "expert_feed_forward_length": width, **more}


_MLA: Mapping[str, Meta] = {
    "attention.key_length": 576,
    "attention.value_length": 512,
    "attention.key_length_mla": 192,
    "attention.value_length_mla": 128,
    "attention.kv_lora_rank": 512,
    "rope.dimension_count": 64,
    "expert_weights_scale": 1.0,
}

PUBLISHED: Mapping[str, Published] = {
    "Llama-3.1-8B": Published("llama", _sizes(128256, 32, 4096, 14336, 32, 8) | {"rope.dimension_count": 128}),
    "Llama-3.1-70B": Published("llama", _sizes(128256, 80, 8192, 28672, 64, 8) | {"rope.dimension_count": 128}),
    "Llama-3.2-1B": Published("llama", _sizes(128256, 16, 2048, 8192, 32, 8) | {"rope.dimension_count": 64}, TIED),
    "Qwen3-1.7B": Published("qwen3", _sizes(151936, 28, 2048, 6144, 16, 8, 128), TIED),
    "Qwen3-8B": Published("qwen3", _sizes(151936, 36, 4096, 12288, 32, 8, 128)),
    "Qwen2.5-3B": Published("qwen2", _sizes(151936, 36, 2048, 11008, 16, 2), TIED),
    "Phi-3-mini": Published(
        "phi3",
        _sizes(32064, 32, 3072, 8192, 32, 32) | {"attention.sliding_window": 2047, "rope.dimension_count": 96},
    ),
    "Gemma-2-9B": Published(
        "gemma2", _sizes(256000, 42, 3584, 14336, 16, 8, 256) | {"attention.sliding_window": 4096}, TIED
    ),
    "Gemma-3-27B": Published(
        "gemma3", _sizes(262208, 62, 5376, 21504, 32, 16, 128) | {"attention.sliding_window": 1024}, TIED
    ),
    "Gemma-3n-E4B": Published(
        "gemma3n",
        _sizes(262144, 35, 2048, 16384, 8, 2, 256)
        | {"attention.sliding_window": 512, "embedding_length_per_layer_input": 256}
        | {"altup.num_inputs": 4, "altup.active_idx": 0},
        TIED,
    ),
    "Gemma-4-E2B": Published(
        "gemma4",
        _sizes(262144, 35, 1536, 6144, 8, 1, 512)
        | {"attention.key_length_swa": 256, "attention.value_length_swa": 256, "attention.sliding_window": 512}
        | {"attention.sliding_window_pattern": [True, True, True, True, False] * 7}
        | {"attention.shared_kv_layers": 20, "embedding_length_per_layer_input": 256},
        TIED,
        r"rope_freqs|out_scale",
    ),
    "gpt-oss-20b": Published(
        "gpt-oss",
        _sizes(201088, 24, 2880, 2880, 64, 8, 64) | {"attention.sliding_window": 128} | _experts(32, 4, 2880),
        kept=r"\.bias$",
    ),
    "Llama-4-Scout": Published(
        "llama4",
        _sizes(202048, 48, 5120, 16384, 40, 8, 128)
        | {"rope.dimension_count": 128, "interleave_moe_layer_step": 1}
        | _experts(16, 1, 8192),
    ),
    "Mixtral-8x7B": Published(
        "llama",
        _sizes(32000, 32, 4096, 14336, 32, 8)
        | {"rope.dimension_count": 128, "expert_count": 8, "expert_used_count": 2},
    ),
    "Qwen3-30B-A3B": Published("qwen3moe", _sizes(151936, 48, 2048, 6144, 32, 4, 128) | _experts(128, 8, 768)),
    "GLM-4.5-Air": Published(
        "glm4moe",
        _sizes(151552, 47, 4096, 10944, 96, 8, 128)
        | {"rope.dimension_count": 64, "leading_dense_block_count": 1, "nextn_predict_layers": 1}
        | _experts(128, 8, 1408, expert_shared_count=1),
        kept="exp_probs_b",
    ),
    "DeepSeek-V2-Lite": Published(
        "deepseek2",
        _sizes(102400, 27, 2048, 10944, 16, 1)
        | _MLA
        | {"leading_dense_block_count": 1}
        | _experts(64, 6, 1408, expert_shared_count=2),
    ),
    "DeepSeek-V3": Published(
        "deepseek2",
        _sizes(129280, 61, 7168, 18432, 128, 1)
        | _MLA
        | {"attention.q_lora_rank": 1536, "leading_dense_block_count": 3, "expert_gating_func": 2}
        | _experts(256, 8, 2048, expert_shared_count=1),
        kept="exp_probs_b",
    ),
    "Qwen3-Next-80B": Published(
        "qwen3next",
        _sizes(151936, 48, 2048, 5120, 16, 2, 256)
        | _SSM
        | {"rope.dimension_count": 64, "ssm.inner_size": 4096}
        | _experts(512, 10, 512, expert_shared_feed_forward_length=512),
        kept="ssm_dt",
    ),
    "LFM2-1.2B": Published(
        "lfm2",
        _sizes(65536, 16, 2048, 8192, 32, [0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0]) | {"shortconv.l_cache": 3},
        TIED,
    ),
    "Granite-4-tiny": Published(
        "granitehybrid",
        _sizes(100352, 40, 1536, 512, 12, [4 if at % 10 == 5 else 0 for at in range(40)])
        | {"ssm.conv_kernel": 4, "ssm.inner_size": 3072, "ssm.state_size": 128, "ssm.time_step_rank": 48}
        | {"ssm.group_count": 1, "expert_count": 64, "expert_used_count": 6, "expert_shared_feed_forward_length": 1024},
        TIED,
        "ssm",
    ),
    "Falcon-H1-1.5B": Published(
        "falcon-h1",
        _sizes(65536, 36, 2048, 4096, 8, 2, 64)
        | {"ssm.conv_kernel": 4, "ssm.inner_size": 3072, "ssm.state_size": 256, "ssm.time_step_rank": 48}
        | {"ssm.group_count": 1},
        kept="ssm",
    ),
    "Mamba-2.8B": Published(
        "mamba",
        _sizes(50280, 64, 2560, 0, 0)
        | {"ssm.conv_kernel": 4, "ssm.inner_size": 5120, "ssm.state_size": 16, "ssm.time_step_rank": 160},
        TIED,
        "ssm",
    ),
    "RWKV-7-2.9B": Published(
        "rwkv7",
        _sizes(65536, 32, 2560, 10240, 0)
        | {"attention.layer_norm_epsilon": 1e-5, "wkv.head_size": 64, "token_shift_count": 2}
        | {"attention.decay_lora_rank": 96, "attention.iclr_lora_rank": 96, "attention.gate_lora_rank": 320}
        | {"attention.value_residual_mix_lora_rank": 64},
        kept=r"\.bias$",
    ),
}
