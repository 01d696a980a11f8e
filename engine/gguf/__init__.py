"""GGUF files: bytes → header → card. Nothing but `GgufError` leaves this room, whatever the bytes are."""
