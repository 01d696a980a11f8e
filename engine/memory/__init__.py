"""What a model takes, by part and device: the ledger, and the verdict whether it fits."""
