"""The version of add-on and server, which are one package. Standard library only."""

VERSION = "0.2.0"
