"""Networks that fulfil differential equations or reproduce data."""
