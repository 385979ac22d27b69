"""Objects, regions and classes in images."""
