"""Fields that make each mobile net tiny: for tests that compute with it."""

_MOBILEFACENET = {
  'image_size': (32, 32),
  'width': 0.25,
  'stages': ((2, 64, 1, 2), (2, 64, 1, 1)),
}
_MOBILENET_V2 = {
  'image_size': (16, 16),
  'width': 0.25,
  'stages': ((1, 16, 1, 1), (6, 24, 2, 2)),
  'last_features': 64,
}

SMALL = {
  'mobilefacenet': {
    **_MOBILEFACENET,
    'embedding_size': 16,
    'last_features': 64,
  },
  'mobilefacenet_m': {**_MOBILEFACENET, 'last_features': 64},
  'mobilefacenet_s': _MOBILEFACENET,
  'mobilenet_v1': {
    'image_size': (16, 16),
    'width': 0.25,
    'blocks': ((64, 1), (128, 2)),
  },
  'mobilenet_v2': _MOBILENET_V2,
  'mobilenet_v2_gdconv': _MOBILENET_V2,
  'shufflenet': {
    'image_size': (16, 16),
    'width': 0.25,
    'stages': ((240, 2), (480, 1)),
  },
  'mbf': {
    'image_size': (32, 32),
    'scale': 1,
    'blocks': (1, 1, 0, 0),
    'embedding_size': 16,
  },
  'mbf_large': {
    'image_size': (32, 32),
    'scale': 1,
    'blocks': (0, 0, 0, 0),
    'embedding_size': 16,
  },
}
