"""A bundle's network as ONNX, in fp32, with weights in fp16, or in 8-bit integers."""
