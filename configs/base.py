"""Every field of a training config, with defaults that a recipe overrides."""

from collections.abc import Sequence

from ml_collections import ConfigDict

# The paper's two weight decays (spec 2.4): a larger one after the global
# operator. Norms and slopes do not decay.
PAPER_WEIGHT_DECAY = (
  ('(global|embed)/conv/kernel', 4e-4),
  ('head/class_weights', 4e-4),
  ('.*kernel', 4e-5),
)


def get_base() -> ConfigDict:
  """The config schema; a recipe sets what it is about."""
  return ConfigDict(
    {
      'seed': 0,
      'total_steps': 1000,
      'log_every_steps': 20,
      # Of activations and products; 'bfloat16' halves memory traffic on TPU
      # and GPU. Parameters, statistics and logits are float32 in any case.
      'dtype': 'float32',
      # A model of facejax.models by name, and its fields.
      'model': {
        'name': 'mobilefacenet',
        'image_size': (112, 112),
        'width': 1.0,
        'embedding_size': 128,
        'dropout': 0.0,
      },
      'data': {
        # Folders that launch.prepare_data wrote, separated by commas. People
        # of two of them count as two, whatever their names.
        'path': '',
        # Shares of images, one for each folder, such as (3, 1); () by size.
        'weights': (),
        # A prepared set of other people, for the thresholds of model.json.
        'calibration': '',
        'batch_size': 512,  # over all devices
        'crop': (112, 112),  # centre crop before resizing to image_size
        'num_workers': 0,  # decoding processes; 0 decodes in threads
        'augmentation': {
          'mirror': 0.5,
          'shift': 0,
          'warp': 0.0,
          'warp_scale': 0.1,
          'warp_rotation': 10.0,
          'crop': 0.0,
          'crop_size': 0.8,
          'low_resolution': 0.0,
          'low_resolution_size': 28,
          'blur': 0.0,
          'blur_sigma': 1.5,
          'color': 0.0,
          'color_strength': 0.25,
          'grayscale': 0.0,
          'jpeg': 0.0,
          'jpeg_quality': 30,
          'occlusion': 0.0,
          'occlusion_size': 0.5,
        },
      },
      # The margin rises from zero over warmup_steps.
      'loss': {
        'name': 'arcface',
        'scale': 64.0,
        'margin': 0.5,
        'warmup_steps': 0,
      },
      'optimizer': {'momentum': 0.9, 'nesterov': False},
      'learning_rate': {
        'kind': 'steps',  # steps, cosine or constant
        'peak': 0.1,
        'warmup_steps': 0,
        'milestones': (),
        'factor': 0.1,
      },
      # (regex over parameter names, rate), first match wins.
      'weight_decay': PAPER_WEIGHT_DECAY,
      # Regexes of layers that do not change.
      'frozen': (),
      # A model directory to start from; layers match by path and shape.
      'init_from': '',
      # Straight-through ternary weights from a step on; -1 never.
      'ternary': {
        'from_step': -1,
        # (regex, filter | tensor | float), first match wins.
        'rules': (
          ('stem_depthwise/.*|.*/depthwise/.*|global/.*', 'float'),
          ('.*kernel', 'filter'),
        ),
      },
      # Devices along 'data' and 'model'; -1 takes all.
      'mesh': {'data': -1, 'model': 1},
      'checkpoint': {'every_steps': 1000, 'keep': 3},
      # name -> {kind, every_steps, ...}, see training/evaluators.py.
      'evaluators': {},
    },
    convert_dict=True,
  )


def parse_words(
  arg: str, variants: Sequence[str], options: Sequence[str]
) -> tuple[str, frozenset[str]]:
  """Reads the argument of a recipe: words separated by commas.

  Args:
    arg: a variant, options, in any order; both may be left out.
    variants: names of `facejax.models.MODELS` that the recipe trains; the first
      is what no variant means.
    options: the other words.

  Returns:
    The variant and the options that were given.

  Raises:
    ValueError: an unknown word, or several variants.
  """
  words = [word.strip() for word in arg.split(',') if word.strip()]
  for word in words:
    if word not in (*variants, *options):
      raise ValueError(
        f'{word!r} is no word of this recipe: use '
        + ', '.join((*variants, *options))
      )
  chosen = [word for word in words if word in variants] or [variants[0]]
  if len(chosen) > 1:
    raise ValueError(f'{" and ".join(chosen)}: name one model')
  return chosen[0], frozenset(words) - {*variants}


def parse_arg(arg: str, variants: Sequence[str]) -> tuple[str, bool]:
  """Reads a recipe's argument of a variant, `smoke`, or both.

  Args:
    arg: as 'mobilenet_v2,smoke'; see `parse_words`.
    variants: names of models; the first is what no variant means.

  Returns:
    The variant, and whether the recipe is wanted at toy size.

  Raises:
    ValueError: an unknown word, or several variants.
  """
  variant, options = parse_words(arg, variants, ('smoke',))
  return variant, 'smoke' in options
