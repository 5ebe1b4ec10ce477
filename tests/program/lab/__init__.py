"""The laboratory of the whole-program tests: see ../README.md for what lies where."""
