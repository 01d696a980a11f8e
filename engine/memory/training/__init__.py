"""What training would cost: the shapes of a model, a recipe, and every byte by part and device, as a range.

Pure functions of values. Static parts (weights, gradients, optimizer, master copies) are arithmetic and exact; what a
framework does besides (activations, logits, buffers, its context) differs between programs and is given from..to.
Rejected: one number (the published calculators' single gigabyte is wrong by a third in both directions).
"""
