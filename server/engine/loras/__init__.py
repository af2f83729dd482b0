"""LoRAs and their kin: read under any name, turned into differences of weights, added. No diffusers; torch."""
