"""A model's files, looked at, recognised and made into modules. torch only where it loads; no network."""
