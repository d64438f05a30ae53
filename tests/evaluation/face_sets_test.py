"""Faces of folders and prepared sets, and what an index makes of them."""

import os

import numpy as np
import pytest

from facejax.data.records import FaceRecords
from facejax.errors import DataError
from facejax.evaluation import enrolment
from facejax.evaluation.face_sets import FaceReader, open_faces
from facejax.search.index import FaceIndex
from tests.evaluation import faces


@pytest.fixture
def folder(tmp_path):
  return os.path.join(faces.write_folder(str(tmp_path), 'data'), 'data')


def test_a_prepared_set_gives_its_records(face_set):
  found = open_faces(face_set)
  records = FaceRecords(face_set)
  assert len(found.names) == len(records) == 44
  assert found.names[5] == records[5]['key']
  assert found.person(5) == 'p01'
  assert found.read(5).shape == (112, 112, 3)


def test_people_are_folders_and_a_lone_image_is_one(tmp_path, folder):
  path = os.path.join(folder, 'alone.jpg')
  os.rename(os.path.join(folder, 'P0', 'P0_0001.jpg'), path)
  found = open_faces(folder)
  people = [found.person(place) for place in range(len(found.names))]
  assert people.count('P0') == 3
  assert people[found.names.index('alone.jpg')] == 'alone.jpg'
  zipped = open_faces(faces.write_zip(str(tmp_path / 'faces.zip'), folder))
  assert zipped.names == found.names
  (tmp_path / 'empty').mkdir()
  with pytest.raises(DataError, match='has no images'):
    open_faces(tmp_path / 'empty')


@pytest.mark.parametrize('hash_bits', [0, 32])
def test_batches_have_one_size_and_skip_what_is_unreadable(folder, hash_bits):
  with open(os.path.join(folder, 'P2', 'P2_0002.jpg'), 'wb') as file:
    file.write(b'\xff\xd8\xff')
  model = faces.PixelModel(hash_bits=hash_bits)
  reader = FaceReader(model, batch_size=9)
  names, people, probes = reader.probes(open_faces(folder))
  assert len(names) == reader.num_images == 23
  assert [name for name, _ in reader.rejected] == ['P2/P2_0002.jpg']
  assert people[:5] == ['P0'] * 4 + ['P1']
  assert {shape for shape, _ in model.shapes} == {(9, 112, 112, 3)}
  np.testing.assert_allclose(
    np.linalg.norm(probes.embeddings, axis=1), 1, rtol=1e-5
  )
  assert (probes.codes is None) == (hash_bits == 0)


def test_a_set_without_readable_images_is_refused(tmp_path):
  (tmp_path / 'P').mkdir()
  (tmp_path / 'P' / 'a.jpg').write_bytes(b'no')
  with pytest.raises(DataError, match='none of its images'):
    FaceReader(faces.PixelModel()).probes(open_faces(tmp_path))


def test_work_is_committed_while_more_is_embedded(
  tmp_path, folder, monkeypatch
):
  monkeypatch.setattr(enrolment, '_COMMIT_SECONDS', 0.0)
  model = faces.PixelModel(hash_bits=32)
  with FaceIndex.create(
    tmp_path / 'index', bits=32, embedding_size=16, vectors='float32'
  ) as index:
    reader, found = FaceReader(model, batch_size=5), open_faces(folder)
    assert enrolment.enrol(index, reader, found) == 0
    assert index.snapshot.manifest.commit == 5  # 24 images
    assert enrolment.enrol(index, reader, found) == 24
    assert reader.num_images == 24
    probes = FaceReader(model, batch_size=5).probes(found)[2]
    people = index.search(probes, top_k=1).people
    assert people == [[found.person(place)] for place in range(24)]
