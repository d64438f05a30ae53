r"""Nets that embed and hash in one pass, on CASIA-WebFace: module A and others.

Zeng et al., Deep Face Recognition Algorithm Based on Weighted Hashing, 2019,
and where its text is silent our reading (docs/hashing.md). The words after the
colon are a net (`VARIANTS`) and a form (`FORMS`):

spliced (module A): the feature layer is gone; global and local pools of the
last map are the features F, a hash layer makes h = tanh(W F + b) of them, and
the classifier sees F and h side by side. usual: the feature layer stays, and
the classifier sees the h behind it alone. hash_alone: the pools, then h alone
(the paper's VGG-P). module_b: the net as it was published, without h.

Loss: classification, A-Softmax as configs/sphereface.py has it, of VGG and
AlexNet softmax with biases; and 0.1 of the mean of (|h| - 1)^2 over 128 bits.
The rate falls in a line, that of the net's own recipe at first, and batch,
steps and decay are those of that recipe too. Module A has no dropout.

Losses that normalise what the classifier sees (arcface, cosface, adaface ...)
scale F and h together, and the longer of the two decides: before taking one
compare feature_norm and hash_norm of metrics.jsonl, or give both the same
length, --config.hash.normalize_parts=True.

Published, not ours, rank-1 on LFW's closed set: SphereFace 95.20 %, spliced
95.58; VGG 83.69, hash_alone 84.95, spliced 85.36. By the width of the last
stage of SphereFace, as a share of 512 channels (--config.model.last_ratio): 1
90.32, 3/4 87.93, 1/2 95.58, 1/3 83.66, 1/4 81.51; 1/2 is what is taken here.

The paper trains in rounds, each from the best of the one before, and begins
with a public net: here with a module B, whose matching layers are taken over,
and the command says which. Not run here at this size; meant for one accelerator
of 16 GB or more.

  python -m launch.train --config=configs/hashing.py:sphereface20,module_b \
    --config.data.path=out/casia --workdir=out/sphereface20
  python -m launch.train --config=configs/hashing.py:sphereface20,spliced \
    --config.data.path=out/casia --workdir=out/spliced \
    --config.init_from=out/sphereface20/model \
    --config.learning_rate.peak=0.01 --config.rounds.max_rounds=6 \
    --config.evaluators='{"held_out": {"kind": "identification",
      "data": "out/held_out", "every_steps": 1000}}'
"""

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import alexnet, base, ir, mobilefacenet, sphereface, vgg16

_NETS = {
  'sphereface20': sphereface,
  'vgg16': vgg16,
  'ir18': ir,
  'alexnet': alexnet,
  'mobilefacenet': mobilefacenet,
}
VARIANTS = tuple(_NETS)
# Whether the features are pooled, and what the classifier sees of the code.
FORMS = {
  'spliced': (True, 'spliced'),
  'usual': (False, 'hash'),
  'hash_alone': (True, 'hash'),
  'module_b': (False, None),
}


def get_config(arg: str = ''):
  """The recipe of a net and a form; `smoke` runs a handful of steps."""
  variant, options = base.parse_words(arg, VARIANTS, (*FORMS, 'smoke'))
  forms = [form for form in FORMS if form in options] or ['spliced']
  if len(forms) > 1:
    raise ValueError(f'{" and ".join(forms)}: name one form')
  smoke = 'smoke' in options
  config = _NETS[variant].get_config(variant + ',smoke' * smoke)
  config.learning_rate.kind = 'poly'
  config.learning_rate.milestones = ()
  if variant not in ('vgg16', 'alexnet'):
    config.loss = sphereface.get_casia(smoke).loss
  pooled, classifier = FORMS[forms[0]]
  if classifier is not None:
    config.hash.classifier = classifier
    config.model.hash_bits = 16 if smoke else 128
  if pooled:
    config.model.update(_pooled_fields(config))
  if variant == 'mobilefacenet':
    config.weight_decay = _mobile_decay(pooled)
  return config


def _pooled_fields(config: ConfigDict) -> dict[str, Any]:
  """What makes a module A of the net of a recipe."""
  fields = {
    'pooled': True,
    'local_pool': 'average',
    'last_ratio': placeholder(float),  # None is the rule of the paper
  }
  return fields | ({'dropout': 0.0} if 'dropout' in config.model else {})


def _mobile_decay(pooled: bool) -> tuple[tuple[str, float], ...]:
  """The paper's decays, the larger one for what is left of the tail."""
  (tail, rate), *rest = base.PAPER_WEIGHT_DECAY
  return ((tail, rate), *rest) if not pooled else (('hash/kernel', rate), *rest)
