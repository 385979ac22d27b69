"""For tests: real schedulers on one machine, with everything that they start under control."""
