"""A systematic interleaving tester for the forwarding cache backend."""
