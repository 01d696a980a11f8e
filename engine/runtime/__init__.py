"""The window's end of the pipe: start workers, talk to them, notice when they die, plan loads beside them."""
