"""Every field of a training config, with defaults that a recipe overrides."""

from collections.abc import Collection, Sequence
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

# The paper's two weight decays (spec 2.4): a larger one after the global
# operator. Norms and slopes do not decay.
PAPER_WEIGHT_DECAY = (
  ('(global|embed)/conv/kernel', 4e-4),
  ('head/class_weights', 4e-4),
  ('.*kernel', 4e-5),
)

# Options that several recipes have: the gradient of InsightFace's ArcFace, and
# Partial FC as its authors begin it, with a tenth of the identities in a step.
HEAD_WORDS = ('straight_through', 'partial_fc')


def _data() -> dict[str, Any]:
  """What is trained on."""
  return {
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
  }


def _loss() -> dict[str, Any]:
  """The margin loss and its constants."""
  return {
    'name': 'arcface',  # see facejax.losses.margins
    # The margin rises from zero over so many steps.
    'warmup_steps': 0,
    # Cosines with other identities above this count as 0: they may be the
    # same person under another label.
    'filter_threshold': placeholder(float),
    # Constants of the loss; None means its own, and one that the chosen
    # loss does not have is refused.
    'scale': placeholder(float),
    'margin': placeholder(float),
    'm1': placeholder(float),  # combined_margin: m1, m2, m3
    'm2': placeholder(float),
    'm3': placeholder(float),
    'easy': placeholder(bool),
    'straight_through': placeholder(bool),  # InsightFace's gradient
    'sub_centers': placeholder(int),
    'concentration': placeholder(float),  # adaface: h
    'lambda_base': placeholder(float),  # a_softmax
    'lambda_gamma': placeholder(float),
    'lambda_power': placeholder(float),
    'lambda_min': placeholder(float),
    'rescale_gradient': placeholder(bool),  # the official layer's
  }


def _hash() -> dict[str, Any]:
  """How a hash layer is trained: nothing of it acts without hash_bits."""
  return {
    # What the classifier sees: 'spliced', embedding and code; or 'hash', the
    # code alone.
    'classifier': 'spliced',
    'activation': 'tanh',  # or sign, with the gradient of the identity
    # The code is tanh(beta logits). As in HashNet beta may rise over the run,
    # such as from 1 to 10; None leaves it.
    'beta': 1.0,
    'beta_final': placeholder(float),
    'quantization': 'l2',  # l2, l1 or none: how far codes are from +-1
    'quantization_weight': 0.1,
    'balance_weight': 0.0,  # for bits that half of the faces set
    'independence_weight': 0.0,  # for bits that do not repeat each other
    # Splice embedding and code at unit length each.
    'normalize_parts': False,
  }


def _rounds() -> dict[str, Any]:
  """Training in rounds, each from the best checkpoint so far (spec 7.1)."""
  return {
    'max_rounds': 0,  # the paper's schedule has 6; 0 is one ordinary run
    # Evaluator of kind 'identification' whose loss tells of overfitting; ''
    # the only one there is.
    'evaluator': '',
    # Rises of that loss in a row, while the training loss falls, that end a
    # round.
    'patience': 5,
    # Gain of a round in checkpoint.best_metric (by default the rank1 of that
    # evaluator) below which there is no other.
    'min_improvement': 0.0005,
    # Peak of round 1, 2, ... by the round before; the last for all after.
    'rate_factors': (0.1, 0.5),
    'decay_factor': 2.0,  # weight decay of a round by the round before
  }


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
        'hash_bits': 0,  # of a hash layer on the embedding, multiples of 8
      },
      'data': _data(),
      'loss': _loss(),
      'hash': _hash(),
      'head': {
        # Share of the identities in a step; below 1 it is Partial FC.
        'sample_rate': 1.0,
        # Whether rows that were not sampled move by momentum and decay.
        'dense_momentum': False,
        'initializer': 'xavier_uniform',  # or normal, of deviation 0.01
        # Axes of the mesh that split the identities.
        'axes': ('data', 'model'),
      },
      'optimizer': {
        'momentum': 0.9,
        'nesterov': False,
        # Longest gradient of the net, not of the head; 0 clips none.
        'clip_norm': 0.0,
      },
      'learning_rate': {
        'kind': 'steps',  # steps, poly, cosine or constant
        'peak': 0.1,
        'warmup_steps': 0,
        'milestones': (),
        'factor': 0.1,
        'power': 1.0,  # of poly
      },
      # (regex over parameter names, rate), first match wins.
      'weight_decay': PAPER_WEIGHT_DECAY,
      # (regex, factor of the learning rate), first match wins.
      'rate_multipliers': (),
      # Parts that a batch goes through the net in, one after the other.
      'micro_batches': 1,
      # Compute activations again instead of keeping them: less memory.
      'remat': False,
      # Of a moving average of the net, which is then what is evaluated and
      # deployed; 0 keeps none.
      'ema_decay': 0.0,
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
      'checkpoint': {
        'every_steps': 1000,
        'keep': 3,  # the newest
        # Metric whose best step is kept too, such as
        # 'evaluation/lfw/accuracy'; '' keeps none.
        'best_metric': '',
        'best_is': 'max',  # or min
      },
      # name -> {kind, every_steps, ...}, see training/evaluators.py.
      'evaluators': {},
      'rounds': _rounds(),
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


def set_head(config: ConfigDict, options: Collection[str]) -> None:
  """Follows those of `HEAD_WORDS` that are among the options of a recipe."""
  if 'straight_through' in options:
    config.loss.straight_through = True
  if 'partial_fc' in options:
    config.head.sample_rate = 0.1
    config.head.initializer = 'normal'


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
