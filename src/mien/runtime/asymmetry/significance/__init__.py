"""What is beyond error and beyond health: fitted errors of differences, and the headline of a picture."""
