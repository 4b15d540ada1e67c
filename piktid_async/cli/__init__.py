"""The command line, `piktid`: a program on top of the public names, with no way in of its own."""
