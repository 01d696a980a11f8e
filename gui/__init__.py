"""The window: Qt widgets over the workbench. Nothing below `gui` knows that it exists."""
