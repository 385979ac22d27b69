"""The only room that touches Prefect: submitter, recorder, lab server, block types, the locator of the flows."""
