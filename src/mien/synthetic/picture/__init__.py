"""A face to a photograph: skin, hair, things before it, light, camera, and what cameras do."""
