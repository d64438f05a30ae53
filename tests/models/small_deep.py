"""Fields that make every deep architecture small enough to compute in tests."""

from facejax.models import residual, sphereface

_TINY = {'width': 0.125, 'embedding_size': 16}
_SPHEREFACE = {'image_size': (32, 16), **_TINY}
_RESIDUAL = {'image_size': (16, 16), 'units': (2, 1, 0, 0), **_TINY}
_LIGHTCNN = {'image_size': (16, 16), **_TINY}

# Model name -> fields.
SMALL = {
  'vgg16': {'image_size': (16, 8), 'stages': ((64, 2), (128, 1)), **_TINY},
  'sphereface4': _SPHEREFACE,
  **{
    f'sphereface{depth}': {'units': (1, 0, 1, 0), **_SPHEREFACE}
    for depth in sphereface.UNITS
    if depth > 4
  },
  **{
    f'{name}{depth}': _RESIDUAL
    for name in ('ir', 'ir_se')
    for depth in residual.UNITS
  },
  **{f'iresnet{depth}': _RESIDUAL for depth in residual.UNITS},
  'lightcnn9': _LIGHTCNN,
  'lightcnn29': {'units': (1, 0, 0, 1), **_LIGHTCNN},
  'lightcnn29_v2': {'units': (1, 0, 0, 1), **_LIGHTCNN},
  'resnet_mfm': {'units': (1, 0, 1, 0), **_SPHEREFACE},
  'lenet5': {'image_size': (16, 16), 'width': 0.25, 'embedding_size': 16},
  'alexnet': {'image_size': (67, 67), **_TINY},
}
