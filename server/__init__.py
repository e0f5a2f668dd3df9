"""The long-running process: configuration, wiring, HTTP API, lifecycle."""
