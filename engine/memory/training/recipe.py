"""How one would train: method, number formats, optimizer, batch, and how it is spread over devices, as Fields.

Names are those of the programs that people train with (Megatron, DeepSpeed, PEFT, bitsandbytes). Combinations that no
program has are refused with the way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.base.errors import KnownError
from engine.base.fields import Field, FieldKind, FieldSet, Value

ALL_LINEAR = "all-linear"
_MODULE = r"(?:q|k|v|o|qkv|gate|up|down)"

RECIPE = FieldSet(
    (
        Field(
            key="finetuning_type",
            kind=FieldKind.CHOICE,
            default="full",
            label="Method",
            help="full: every weight is trained. lora: the weights stay, small adapters are trained. qlora: the same over "
            "weights in 4 bits.",
            source="LoRA arXiv 2106.09685; QLoRA arXiv 2305.14314",
            choices=("full", "lora", "qlora"),
        ),
        Field(
            key="precision",
            kind=FieldKind.CHOICE,
            default="bf16",
            label="Precision",
            help="Number format of weights, gradients and activations in the computation: 4 bytes, or 2.",
            source="Micikevicius et al. 2017, arXiv 1710.03740",
            choices=("fp32", "fp16", "bf16"),
        ),
        Field(
            key="optimizer",
            kind=FieldKind.CHOICE,
            default="adamw",
            label="Optimizer",
            help="What it keeps for each trained weight: adamw two numbers, adamw_8bit two of one byte, adafactor a row and "
            "a column of each matrix, sgd nothing, sgd_momentum one number.",
            source="Adam arXiv 1412.6980; 8-bit arXiv 2110.02861; Adafactor arXiv 1804.04235",
            choices=("adamw", "adamw_8bit", "adafactor", "sgd", "sgd_momentum"),
        ),
        Field(
            key="micro_batch_size",
            kind=FieldKind.INT,
            default=1,
            label="Micro-batch",
            help="Sequences that one device computes at once. Gradient accumulation adds nothing to memory.",
            source="Megatron-LM, --micro-batch-size",
            minimum=1,
            maximum=4096,
            soft_maximum=64,
            step=1,
            unit="sequences",
            log_scale=True,
        ),
        Field(
            key="seq_length",
            kind=FieldKind.INT,
            default=2048,
            label="Sequence",
            help="Tokens of one training sequence. Activations and logits grow with it.",
            source="Megatron-LM, --seq-length",
            minimum=1,
            maximum=4_194_304,
            soft_maximum=32_768,
            step=1,
            unit="tokens",
            log_scale=True,
        ),
        Field(
            key="recompute_granularity",
            kind=FieldKind.CHOICE,
            default="full",
            label="Recomputation",
            help="Gradient checkpointing. none keeps every activation; selective drops the attention scores; full keeps only "
            "the input of each layer and computes the rest again, about a third more time.",
            source="Korthikanti et al. 2022, arXiv 2205.05198",
            choices=("none", "selective", "full"),
        ),
        Field(
            key="lora_rank",
            kind=FieldKind.INT,
            default=16,
            label="LoRA rank",
            help="Inner width r of an adapter: r × (in + out) weights for each targeted matrix.",
            source="PEFT, LoraConfig.r",
            minimum=1,
            maximum=65_536,
            soft_maximum=256,
            step=1,
            log_scale=True,
        ),
        Field(
            key="lora_target",
            kind=FieldKind.TEXT,
            default=ALL_LINEAR,
            label="LoRA modules",
            help="Matrices that get an adapter: q, k, v, o, gate, up, down with commas between, qkv where the three are one "
            "matrix, or all-linear.",
            source="PEFT, LoraConfig.target_modules",
            pattern=rf"{ALL_LINEAR}|{_MODULE}(?:,{_MODULE})*",
            pattern_hint="write names out of q k v o qkv gate up down with commas between, or all-linear",
        ),
        Field(
            key="n_devices",
            kind=FieldKind.INT,
            default=1,
            label="Devices",
            help="GPUs that train together.",
            source="world size",
            minimum=1,
            maximum=65_536,
            soft_maximum=64,
            step=1,
            log_scale=True,
        ),
        Field(
            key="sharding",
            kind=FieldKind.CHOICE,
            default="ddp",
            label="Sharding",
            help="What each device keeps only its share of. ddp: nothing. zero1: optimizer and master copies. zero2: gradients "
            "too. zero3 and fsdp: weights too.",
            source="ZeRO arXiv 1910.02054; FSDP arXiv 2304.11277",
            choices=("ddp", "zero1", "zero2", "zero3", "fsdp"),
        ),
        Field(
            key="attn_implementation",
            kind=FieldKind.CHOICE,
            default="flash",
            label="Attention",
            help="flash never writes down the scores of each token for each other; eager does, which grows with the square of "
            "the sequence.",
            source="FlashAttention arXiv 2205.14135; transformers, attn_implementation",
            choices=("flash", "eager"),
            advanced=True,
        ),
        Field(
            key="master_weights",
            kind=FieldKind.CHOICE,
            default="copy",
            label="Master weights",
            help="With 2-byte precision. copy: an fp32 copy beside the weights (DeepSpeed, Megatron). amp: fp32 weights and "
            "gradients, cast on the way (autocast). none: pure 2-byte training.",
            source="ZeRO arXiv 1910.02054, section 3.1; transformers, model_memory_anatomy",
            choices=("copy", "amp", "none"),
            advanced=True,
        ),
        Field(
            key="optimizer_precision",
            kind=FieldKind.CHOICE,
            default="weights",
            label="Optimizer states",
            help="Without master weights: the states in the format of the weights, or in fp32. With them they are fp32.",
            source="torch.optim.AdamW keeps its states in the parameter's dtype",
            choices=("weights", "fp32"),
            advanced=True,
        ),
        Field(
            key="optimizer_in_backward",
            kind=FieldKind.BOOL,
            default=False,
            label="Step in backward",
            help="Each gradient is used and dropped as soon as it is there; no accumulation then.",
            source="torchtune, optimizer_in_bwd; LOMO arXiv 2306.09782",
            advanced=True,
        ),
        Field(
            key="bnb_4bit_use_double_quant",
            kind=FieldKind.BOOL,
            default=True,
            label="Double quantization",
            help="QLoRA's scales are quantized too: 4.127 bits a weight, not 4.5.",
            source="QLoRA arXiv 2305.14314, section 3",
            advanced=True,
        ),
        Field(
            key="chunked_loss",
            kind=FieldKind.BOOL,
            default=False,
            label="Chunked loss",
            help="The logits are made and dropped in eight pieces, never all at once.",
            source="torchtune, CEWithChunkedOutputLoss; Liger Kernel arXiv 2410.10989",
            advanced=True,
        ),
        Field(
            key="offload",
            kind=FieldKind.CHOICE,
            default="none",
            label="Offload",
            help="optimizer: its states and master copies stay in RAM. all: the weights too, one layer at a time on the device.",
            source="ZeRO-Offload arXiv 2101.06840; ZeRO-Infinity arXiv 2104.07857; paged optimizers arXiv 2305.14314",
            choices=("none", "optimizer", "all"),
            advanced=True,
        ),
        Field(
            key="tensor_parallel",
            kind=FieldKind.INT,
            default=1,
            label="Tensor parallel",
            help="Devices that share each matrix. The number of devices must be a multiple of it.",
            source="Megatron-LM arXiv 1909.08053",
            minimum=1,
            maximum=1024,
            soft_maximum=8,
            step=1,
            advanced=True,
        ),
        Field(
            key="sequence_parallel",
            kind=FieldKind.BOOL,
            default=False,
            label="Sequence parallel",
            help="With tensor parallel: norms and their inputs are shared out along the sequence too.",
            source="Korthikanti et al. 2022, arXiv 2205.05198, section 4.2.2",
            advanced=True,
        ),
    )
)
"""The recipe's fields, in the order in which they are asked."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checked recipe; the meanings are those of the Fields of `RECIPE`. `targets` are single module names."""

    method: str
    precision: str
    optimizer: str
    micro_batch_size: int
    seq_length: int
    recompute: str
    lora_rank: int
    targets: tuple[str, ...]
    n_devices: int
    sharding: str
    attention: str
    master_weights: str
    optimizer_precision: str
    steps_in_backward: bool
    double_quant: bool
    chunked_loss: bool
    offload: str
    tensor_parallel: int
    sequence_parallel: bool

    @property
    def is_adapter(self) -> bool:
        return self.method != "full"

    @property
    def n_bytes(self) -> int:
        """Bytes of one number in the computation."""
        return 4 if self.precision == "fp32" else 2

    @property
    def master(self) -> str:
        """`master_weights`, which fp32 training has no use for."""
        return "none" if self.precision == "fp32" else self.master_weights

    @property
    def data_parallel(self) -> int:
        """Devices that see different data."""
        return self.n_devices // self.tensor_parallel

    @property
    def n_tokens(self) -> int:
        """Tokens of one micro-batch."""
        return self.micro_batch_size * self.seq_length


def recipe_of(values: Mapping[str, object]) -> Recipe:
    """The recipe of some fields' values, the others at their default.

    Errors: `FieldError` for a value, `KnownError` for values that do not go together.
    """
    given: dict[str, Value] = RECIPE.checked(values)

    def text(key: str) -> str:
        return str(given[key])

    def whole(key: str) -> int:
        return int(str(given[key]))

    named = text("lora_target")
    recipe = Recipe(
        method=text("finetuning_type"),
        precision=text("precision"),
        optimizer=text("optimizer"),
        micro_batch_size=whole("micro_batch_size"),
        seq_length=whole("seq_length"),
        recompute=text("recompute_granularity"),
        lora_rank=whole("lora_rank"),
        targets=("q", "k", "v", "o", "gate", "up", "down")
        if named == ALL_LINEAR
        else tuple(dict.fromkeys(named.split(","))),
        n_devices=whole("n_devices"),
        sharding=text("sharding"),
        attention=text("attn_implementation"),
        master_weights=text("master_weights"),
        optimizer_precision=text("optimizer_precision"),
        steps_in_backward=bool(given["optimizer_in_backward"]),
        double_quant=bool(given["bnb_4bit_use_double_quant"]),
        chunked_loss=bool(given["chunked_loss"]),
        offload=text("offload"),
        tensor_parallel=whole("tensor_parallel"),
        sequence_parallel=bool(given["sequence_parallel"]),
    )
    if recipe.n_devices % recipe.tensor_parallel:
        raise KnownError(
            "The devices cannot be parted into groups of that size",
            value=f"{recipe.n_devices} devices, tensor parallel {recipe.tensor_parallel}",
            next_step="make the number of devices a multiple of tensor parallel",
        )
    if recipe.offload == "all" and recipe.sharding not in ("zero3", "fsdp"):
        raise KnownError(
            "Weights can be kept in RAM only where they are gathered layer by layer",
            value=f"offload all with {recipe.sharding}",
            next_step="set sharding to zero3 or fsdp, or offload to optimizer",
        )
    return recipe
