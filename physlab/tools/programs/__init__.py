"""Programs and functions of one's own."""
