"""How does a published model become a model folder? Its weights are written as ONNX, tensor by tensor."""
