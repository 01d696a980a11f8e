"""The decisions of the inspector's sections, without Qt: one module a section."""
