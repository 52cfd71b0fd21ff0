"""The residual VAE-GAN of faces and voices, its Gaussian codes, and what joins two of them."""
