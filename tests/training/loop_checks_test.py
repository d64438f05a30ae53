"""Configs that cannot be."""

import os
import shutil

import chex
import numpy as np
import pytest
from absl.testing import parameterized

from facejax.errors import CheckpointError, DataError, UsageError
from facejax.training import loop
from facejax.training.loop_setup import build_run, data_position, make_batches
from tests.preparation.face_sets import write_set
from tests.training import tiny_recipe


class RefusalTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, tmp_path):
    self.face_set, self.workdir = face_set, tmp_path / 'run'

  @parameterized.parameters(
    ({'data__path': ''}, UsageError, r'--config.data.path: name a prepared'),
    ({'data__path': '/no/where'}, DataError, '/no/where is no folder'),
    ({'data__path': '/'}, DataError, 'no manifest.json: it is no prepared set'),
    (
      {'data__batch_size': 20},
      UsageError,
      'batch_size=20 does not divide over 8 devices: use 16 or 24',
    ),
    (
      {'mesh__data': 3},
      UsageError,
      'data=3 x model=1 does not fill the 8 devices',
    ),
    ({'model__name': 'mobilfacenet'}, UsageError, 'use mobilefacenet'),
    ({'loss__name': 'arcfac'}, UsageError, "'arcfac': use .*arcface"),
    ({'learning_rate__kind': 'x'}, UsageError, 'use steps, poly, cosine or'),
    ({'total_steps': 0}, UsageError, 'total_steps=0: use 1 or more'),
    ({'log_every_steps': 0}, UsageError, 'log_every_steps=0: use 1'),
    ({'checkpoint__every_steps': 0}, UsageError, 'checkpoint.every_steps=0'),
    ({'checkpoint__keep': 0}, UsageError, 'checkpoint.keep=0: use 1'),
    ({'seed': -1}, UsageError, 'seed=-1: use 0 or more'),
    ({'seed': 2**32}, UsageError, 'seed=4294967296: use up to 4294967295'),
    ({'data__num_workers': -1}, UsageError, 'data.num_workers=-1: use 0'),
    (
      {'data__augmentation__mirror': 1.5},
      UsageError,
      'augmentation: mirror is 1.5, use 0 to 1',
    ),
    ({'dtype': 'int8'}, UsageError, "dtype 'int8': use float32, bfloat16"),
    ({'model__image_size': (32,)}, UsageError, 'model.image_size=.*height'),
    ({'data__crop': (112, 0)}, UsageError, 'data.crop=.*height and width'),
    ({'data__crop': (112, 120)}, DataError, 'crop .* is larger than'),
    ({'frozen': (5,)}, UsageError, r'frozen=\(5,\): use \(REGEX, ...\)'),
    ({'frozen': ('stm/.*',)}, UsageError, r"frozen: 'stm/\.\*' matches no"),
    ({'frozen': ('(',)}, UsageError, r"frozen: '\(' is not a regular"),
    (
      {'weight_decay': (('kernl', 0.1),)},
      UsageError,
      "weight_decay: 'kernl' matches no parameter",
    ),
    ({'weight_decay': (('.*', 'x'),)}, UsageError, 'weight_decay=.*RATE'),
    ({'ternary__from_step': 6}, UsageError, 'would never be ternary'),
    ({'ternary__from_step': -2}, UsageError, 'ternary.from_step=-2: use -1'),
    (
      {'ternary__from_step': 1, 'ternary__rules': (('kernl', 'filter'),)},
      UsageError,
      "ternary rules: 'kernl' matches no parameter",
    ),
    (
      {'ternary__from_step': 1, 'ternary__rules': (('.*kernel', 'row'),)},
      UsageError,
      "asks for 'row'; use one of",
    ),
    ({'ternary__rules': (5,)}, UsageError, 'ternary.rules=.*GRANULARITY'),
    ({'init_from': '/no/model'}, CheckpointError, 'no such model directory'),
    ({'micro_batches': 0}, UsageError, 'micro_batches=0: use 1 or more'),
    (
      {'micro_batches': 4},
      UsageError,
      'batch_size=16 does not divide over 8 devices in 4 parts: use 32',
    ),
    ({'head__sample_rate': 0.0}, UsageError, 'head.sample_rate=0.0: use above'),
    (
      {'head__dense_momentum': True},
      UsageError,
      'use it with head.sample_rate',
    ),
    ({'head__initializer': 'x'}, UsageError, "head.initializer='x': use xav"),
    ({'head__axes': ('rows',)}, UsageError, 'head.axes=.*use axes of the mesh'),
    ({'ema_decay': 1.0}, UsageError, 'ema_decay=1.0: use 0 or more, below 1'),
    ({'optimizer__clip_norm': -1.0}, UsageError, 'clip_norm=-1.0: use 0 or'),
    ({'loss__m3': 0.2}, UsageError, 'loss.m3: arcface has none; it has'),
    ({'loss__name': 'softmax'}, UsageError, 'softmax has no'),
    (
      {'rate_multipliers': (('hed/.*', 2.0),)},
      UsageError,
      r"rate_multipliers: 'hed/\.\*' matches no parameter",
    ),
    (
      {'checkpoint__best_metric': 'evaluation/lfw/accuracy'},
      UsageError,
      'the recipe has no evaluators',
    ),
    ({'checkpoint__best_is': 'high'}, UsageError, "best_is='high': use max or"),
    ({'data__path': 'a,,b'}, UsageError, "data.path='a,,b': .*by commas"),
    ({'data__path': 'a, a'}, UsageError, "data.path='a, a': .*each once"),
    ({'data__weights': (1, 2)}, UsageError, '2 for 1 folders of data.path'),
    ({'data__weights': (0,)}, UsageError, r'data.weights=\(0,\): use positive'),
    ({'data__weights': ('x',)}, UsageError, "data.weights=.'x',.: use pos"),
    ({'data__path': '/no/a,/no/b'}, DataError, '/no/a is no folder'),
  )
  def test_a_config_that_cannot_be_is_refused_by_name(
    self, overrides, error, message
  ):
    with self.assertRaisesRegex(error, message) as caught:
      loop.train(
        tiny_recipe.make_config(self.face_set, **overrides), self.workdir
      )
    self.assertNotIn('\n', str(caught.exception))
    # At most an empty folder of checkpoints was made.
    self.assertFalse([p for p in self.workdir.rglob('*') if p.is_file()])

  def test_two_sets_with_weights_are_one_source_of_all_their_people(self):
    other = write_set(self.workdir.parent, {'p00': 2, 'zoe': 3})
    config = tiny_recipe.make_config(
      f'{self.face_set}, {other}', data__weights=(3, 1)
    )
    run = build_run(config)
    self.assertEqual(run.exporter.num_identities, 13)
    self.assertEqual(run.source.weights, (3, 1))
    self.assertEqual(data_position(config, run, 2)['weights'], [3, 1])
    batches = make_batches(config, run, 0)
    labels = np.concatenate([next(batches)['label'] for _ in range(5)])
    batches.close()
    self.assertEqual((labels < 11).sum(), 60)
    self.assertEqual((labels == 12).sum(), 12)

  def test_a_truncated_shard_is_refused_by_name(self):
    folder = self.workdir.parent / 'set'
    shutil.copytree(self.face_set, folder)
    (shard,) = (p for p in folder.iterdir() if 'array_record' in p.name)
    os.truncate(shard, shard.stat().st_size // 2)
    with self.assertRaisesRegex(DataError, f'{shard.name} has .* cut short'):
      loop.train(tiny_recipe.make_config(folder), self.workdir)
    self.assertFalse(self.workdir.exists())
