"""Encoders from pictures to StyleGAN2's codes: ASIT's on GC ViT, pSp's on IR-SE50, and what reads the codes."""
