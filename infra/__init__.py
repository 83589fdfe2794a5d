"""The ZenML stack and what it runs on."""
