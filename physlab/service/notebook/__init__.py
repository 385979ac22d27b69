"""The lab notebook for every face of the lab: writing, looking, signing, verifying, exporting."""
