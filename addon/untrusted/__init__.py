"""Files and bytes that others made, read within bounds: before anything is unpacked, its size is known. Stdlib only."""
