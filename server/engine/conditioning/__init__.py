"""What guides a picture: text, style pictures, a request's values as tensors. torch, no files."""
