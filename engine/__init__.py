"""Everything of Llamarium that is not a window: values, rules, storage, and the two ends of the worker's pipe."""
