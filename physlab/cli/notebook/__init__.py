"""Commands on the lab notebook, one file for each kind of thing that is done with it."""
