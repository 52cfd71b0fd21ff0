"""If3D: a photo and a render of the same face in 3D, alone and fused in four ways."""
