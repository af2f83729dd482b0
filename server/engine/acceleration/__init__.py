"""The same arithmetic, faster: rewritten layers, graphs, compiling, threads. torch, no requests."""
