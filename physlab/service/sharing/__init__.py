"""What the people of a lab share: sessions, links, bundles, and who may do what."""
