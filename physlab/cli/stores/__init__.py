"""Commands on other stores: how bytes and records travel, and live in several places. One file each."""
