"""What the tests of preparing share."""

import json
import pathlib
import tempfile

import chex

from facejax.data.records import FaceRecords
from facejax.preparation import prepare
from tests.preparation.face_sets import MemorySource


class PrepareCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
    self.output = self.root / 'set'

  def prepare(self, files, **options):
    source = files if hasattr(files, 'read') else MemorySource(files)
    return prepare.prepare(source, self.output, **options)

  @property
  def manifest(self):
    return json.loads((self.output / 'manifest.json').read_text())

  @property
  def summary(self):
    return json.loads((self.output / 'report' / 'report.json').read_text())

  def table(self, name):
    lines = (self.output / 'report' / name).read_text().splitlines()
    return [tuple(line.split('\t')) for line in lines[1:]]

  def reasons(self):
    return {file: reason for _, file, reason in self.table('rejected.tsv')}

  def keys(self):
    records = FaceRecords(self.output)
    return [r['key'] for r in records.__getitems__(range(len(records)))]
