"""What goes out and comes in, as frozen values with the documentation's rules."""
