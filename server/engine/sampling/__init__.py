"""From noise to a picture: the schedule and the denoising steps. torch, no files."""
