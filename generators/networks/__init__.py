"""Networks: generators, discriminators and the VGG features of the perceptual losses."""
