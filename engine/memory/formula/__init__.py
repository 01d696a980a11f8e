"""What a load takes, by formula: from the header and the load options alone, in well under a millisecond.

The engine's own dry run is the last word (`engine/runtime/dry_run.py`); the formula stands beside it. It answers while a
slider moves, for devices that are not in this machine, and as an independent check that names the part that differs.
Weights, KV cache and recurrent state are exact; the compute buffer is exact for the llama family on the CPU and within
15 % elsewhere. What it cannot know it refuses (`FormulaUnknown`), and never guesses in silence.

    header → architecture ─┬→ weights         ← placement ← devices
    options → context ─────┼→ kv_cache, recurrent_state
                           └→ compute_buffer, output_buffer → prediction (a `MemoryUse`, the form of a dry run)
"""
