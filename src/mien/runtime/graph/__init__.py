"""What an ONNX file computes, found before any runtime opens it."""
