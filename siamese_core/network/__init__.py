"""The encoder f: architectures, weights, embeddings."""
