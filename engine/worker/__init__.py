"""The other end of the pipe: one process, one llama.cpp model, one loop. The only room that imports llama_cpp."""
