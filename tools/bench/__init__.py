"""Speed, measured: ours beside others on the same weights, frames, steps and noise. torch and diffusers, no bpy.

``python -m tools.bench``, or ``make bench``.
"""

import os

from server.engine.acceleration.priority import wait_less

# Importing diffusers' pipelines warns of image processors that nothing here uses.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# All arms wait as the server's engine does.
wait_less()
