"""Fields that make the module A of every net that has one tiny, with a hash.

The maps of conv 2 have odd sides.
"""

from tests.models import small_deep, small_mobile

_SMALL = {**small_mobile.SMALL, **small_deep.SMALL}
_HASHED = {'pooled': True, 'hash_bits': 24}
_IMAGE_SIZES = {
  'vgg16': (22, 14),
  'sphereface10': (48, 40),
  'ir18': (20, 12),
  'iresnet18': (20, 12),
  'alexnet': (99, 67),
  'mobilefacenet': (28, 20),
}

# Model name -> fields.
SMALL_POOLED = {
  name: _SMALL[name] | {'image_size': image_size} | _HASHED
  for name, image_size in _IMAGE_SIZES.items()
}
