"""Sets up the server's own environment and keeps the server running. Standard library only; no bpy, no torch.

``machine`` looks what the machine has and chooses the build of PyTorch; ``plan`` says what is to be made and where;
``steps`` makes it, as a process of its own (``python -m addon.setup``); ``process`` starts that one and follows it;
``server`` starts the server and restarts it. None of them waits, but for ``steps``.
"""

from .folder import Environment, remove_all
from .machine import BUILDS, Build, Machine, choose
from .plan import Plan
from .process import SetUp
from .server import ServerProcess
