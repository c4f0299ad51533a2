"""Backbones: networks that map images to features. Each network has its own file.

`BACKBONES` maps the name of each network to its constructor. A new backbone is a subclass of `Backbone` with
`for_inputs(shape, width, norm, precision)`, and a new entry of `BACKBONES`.
"""

from amfs_lab.backbones.base import Backbone, checked_features, features_of, is_backbone
from amfs_lab.backbones.blocks import BFLOAT16, FLOAT32, PRECISIONS, BlockBackbone
from amfs_lab.backbones.conv4 import Conv4, ConvBlock
from amfs_lab.backbones.mlp import MLP
from amfs_lab.backbones.norm import BATCH_NORMS, NORMS, EpisodeNorm, differentiable_batchnorm
from amfs_lab.backbones.resnet12 import ResNet12
from amfs_lab.backbones.standardized import Standardized, check_constants
from amfs_lab.backbones.wrapped import Wrapped
from amfs_lab.moved import moved

BACKBONES = {"conv4": Conv4.for_inputs, "mlp": MLP.for_inputs, "resnet12": ResNet12.for_inputs}

__all__ = [
    "BACKBONES",
    "BATCH_NORMS",
    "BFLOAT16",
    "FLOAT32",
    "MLP",
    "NORMS",
    "PRECISIONS",
    "Backbone",
    "BlockBackbone",
    "Conv4",
    "ConvBlock",
    "EpisodeNorm",
    "ResNet12",
    "Standardized",
    "Wrapped",
    "check_constants",
    "checked_features",
    "differentiable_batchnorm",
    "features_of",
    "is_backbone",
]

__getattr__ = moved(__name__)
