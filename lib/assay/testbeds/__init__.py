"""What the papers of a family share: data, networks, training, measuring."""
