"""The Lab page's decisions, one module a tab: many samples, draws of one token, two answers compared. They know no Qt."""
