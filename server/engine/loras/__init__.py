"""LoRAs: their names in the wild and how they are merged into a model. torch and diffusers; no network."""
