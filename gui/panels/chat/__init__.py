"""The Chat page: the list of chats, the thread, the composer."""
