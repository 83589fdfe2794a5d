"""The commands, one module each or a group that belongs together. What is slow to import, each imports when it runs."""
