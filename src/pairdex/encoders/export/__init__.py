"""Exporting: the weights of a published model become a model folder, as ONNX written tensor by tensor."""
