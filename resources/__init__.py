"""Icons, the style sheet template, presets and translations; read through importlib.resources only."""
