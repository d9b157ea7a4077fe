"""What the tests share: a node as its own processes, peers, phantoms, waiting for a condition."""
