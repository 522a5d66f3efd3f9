"""Cards, and the only code that writes to a Hub."""
