"""The server that the add-on runs: its set-up and its process. Nothing is imported here."""
