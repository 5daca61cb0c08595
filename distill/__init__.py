"""Train, distil and export few-step text diffusion models."""
