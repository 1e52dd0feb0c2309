"""From packed bytes to tensors: unpacking, dequantising, resampling, colour."""
