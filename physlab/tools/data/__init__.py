"""Tables, signals and scientific files."""
