"""What networks are trained to make small, each written once: alignment, reconstruction, adversarial terms."""
