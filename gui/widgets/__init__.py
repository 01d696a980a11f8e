"""Widgets that know no engine: each takes the theme and plain values, and can be used on any page."""
