"""What crosses the pipe between the window and its worker: the messages, and the frames that carry them."""
