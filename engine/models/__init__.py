"""The models on this computer: the library, and the starter model."""
