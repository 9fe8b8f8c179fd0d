"""Losses of the three papers: tensors in, a scalar out; batches are averaged."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

GanLoss = Literal["log", "least_squares"]


def gan_loss(logits: Tensor, is_real: bool, kind: GanLoss = "log") -> Tensor:
    """How far a discriminator's logits are from saying real (or fake), averaged over patches and images.

    `log`: -log sigmoid(x) for real, -log(1 - sigmoid(x)) for fake. `least_squares`: (x - 1)^2 for real, x^2 for fake.
    The generator minimises it for its fakes with `is_real=True` (the non-saturating form). Halving the discriminator's
    objective is the method's business.

    Source: Isola et al. 2017, equations 1 and 2 and section 3.3; Zhu et al. 2017, section 4 (least squares).
    """
    # Under autocast logits may be of half precision, too little for squares and for a mean over many patches.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if kind == "least_squares":
        return (logits - float(is_real)).square().mean()
    return functional.softplus(-logits if is_real else logits).mean()


def l1_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference.

    Source: Isola et al. 2017, equation 3; in the authors' code the norm is a mean over pixels and channels.
    """
    return functional.l1_loss(output, target)


def pixel_loss(output: Tensor, target: Tensor) -> Tensor:
    """Squared Euclidean distance of images divided by C*H*W.

    Source: Johnson et al. 2016, section 3.2, "Pixel Loss".
    """
    return functional.mse_loss(output, target)


def feature_loss(features: Tensor, target: Tensor) -> Tensor:
    """Squared Euclidean distance of one layer's features (NCHW) divided by C*H*W.

    Source: Johnson et al. 2016, equation 2.
    """
    return functional.mse_loss(features, target)


def gram_matrix(features: Tensor) -> Tensor:
    """Inner products of the channels of one layer, N x C x C, divided by C*H*W.

    Source: Johnson et al. 2016, equation 3.
    """
    n, channels, height, width = features.shape
    flat = features.reshape(n, channels, height * width)
    # Divided before the product, so that half precision does not overflow.
    return flat @ (flat / (channels * height * width)).transpose(1, 2)


def style_loss(features: Tensor, target_gram: Tensor) -> Tensor:
    """Squared Frobenius norm of the difference of Gram matrices, one layer.

    Args:
        features: Of the output, NCHW.
        target_gram: `gram_matrix` of the style image's features at that layer, 1 x C x C or N x C x C; the style
            image may have another size.

    Source: Johnson et al. 2016, equation 4.
    """
    return (gram_matrix(features) - target_gram).square().sum(dim=(1, 2)).mean()


def total_variation(images: Tensor) -> Tensor:
    """Half the sum of squared differences between neighbours in a row and in a column, in grey levels of 0 to 255.

    Args:
        images: NCHW in [-1, 1]; multiplied by 127.5 here, which is the papers' unit. Their strengths (1e-6 to 1e-4) go
            with the features of Caffe's VGG-16 on grey levels, see `ObjectiveSettings`.

    Source: Johnson et al. 2016, section 3.2, "Total Variation Regularization"; form and unit from the gradient in the
    authors' code (TotalVariation.lua; differences of the last row and column, which that code leaves out, are in).
    """
    grey = 127.5 * images
    rows = (grey[..., 1:, :] - grey[..., :-1, :]).square().sum(dim=(1, 2, 3))
    columns = (grey[..., :, 1:] - grey[..., :, :-1]).square().sum(dim=(1, 2, 3))
    return 0.5 * (rows + columns).mean()
