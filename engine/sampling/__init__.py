"""How the next token is chosen: every sampler as a stage, and the chain that puts them in order."""
