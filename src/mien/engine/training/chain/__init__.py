"""Several stages, or several models, trained by one command."""
