"""Which triplets are learned from, and by which loss."""
