"""The inspector: decoding, memory and hardware of what is going on, in small, beside the chat."""
