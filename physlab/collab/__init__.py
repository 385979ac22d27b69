"""People, what they share, and who did what: accounts, sessions with roles and links, the audit log."""
