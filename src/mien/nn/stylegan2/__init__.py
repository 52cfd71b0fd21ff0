"""StyleGAN2 (Karras et al., CVPR 2020): operations, generator, discriminator and what they are trained with."""
