"""What an embedding model says about a prepared set, as lists for --exclude.

Embeddings are normalised, less the mean of the set's identities, and normalised
again: the common part of all faces, which says nothing about who it is, would
raise every cosine.
"""

from typing import Any

from facejax import files
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.preparation import embedded_faces, embedding_inputs
from facejax.preparation.embedded_faces import EmbeddedFaces
from facejax.preparation.set_check import SetCheck
from facejax.preparation.suspicions import Limits

SUMMARY = 'embedding_check.json'
MIN_IDENTITIES = 10  # fewer strangers than that have no distribution
_FEW_IDENTITIES = 50


def check_output(output: PathLike, *, overwrite: bool) -> None:
  """Refuses to overwrite what is not an earlier check.

  Raises:
    UsageError: `overwrite` would delete something else.
  """
  output = Path(output)
  if not overwrite or not output.exists() or (output / SUMMARY).exists():
    return
  if not output.is_dir() or any(output.iterdir()):
    raise UsageError(
      f'{output} is no earlier check, so it is not overwritten: choose another '
      'folder'
    )


def check_arguments(
  *,
  model: PathLike | None,
  embeddings: PathLike | None,
  test_data: PathLike | None,
  test_embeddings: PathLike | None,
) -> None:
  """Refuses arguments of `check_embeddings` that do not go together.

  Raises:
    UsageError: says what is missing or too much.
  """
  if (model is None) == (embeddings is None):
    raise UsageError('give a model, or embeddings of the set: one of the two')
  if model is not None and test_embeddings is not None:
    raise UsageError(
      'test embeddings belong to embeddings of the set: with a model give the '
      'images of the test set'
    )
  if embeddings is not None and test_data is not None and not test_embeddings:
    raise UsageError(
      f'{test_data} cannot be embedded without a model: give test embeddings '
      'by the model that made those of the set'
    )


def check_embeddings(
  directory: PathLike,
  *,
  report: PathLike,
  model: PathLike | None = None,
  embeddings: PathLike | None = None,
  test_data: PathLike | None = None,
  test_embeddings: PathLike | None = None,
  limits: Limits | None = None,
  batch_size: int = 128,
) -> dict[str, Any]:
  """Looks for near-duplicates, wrong, double and forbidden identities.

  Args:
    directory: a prepared set.
    report: an existing or new folder for near_duplicates, outliers,
      same_person and overlaps (.tsv, .png and exclude_*.txt), histograms of
      scores, embedding_check.json and, with a model, embeddings.npy.
    model: model directory that embeds the faces.
    embeddings: or their embeddings: an .npz of names ('IDENTITY/file'), plain
      and maybe flip, or an .npy of rows in the order of the records.
    test_data: folder, archive or prepared set of a test set, whose people the
      set must not hold.
    test_embeddings: .npz of its embeddings, names 'IDENTITY/file'; pictures of
      it are drawn where `test_data` is given too.
    limits: thresholds, or the errors that estimated ones may make.
    batch_size: images in one call of the model.

  Returns:
    The content of embedding_check.json: counts, thresholds, the numbers
    expected by chance, the separation of scores, and warnings.

  Raises:
    UsageError: what is given does not go together.
    DataError: embeddings are missing, not finite or of different lengths.
  """
  check_arguments(
    model=model,
    embeddings=embeddings,
    test_data=test_data,
    test_embeddings=test_embeddings,
  )
  folder, limits = Path(report), limits or Limits()
  folder.mkdir(parents=True, exist_ok=True)
  loaded = embedding_inputs.load(model)
  faces = embedding_inputs.open_prepared(
    directory,
    model=loaded,
    embeddings=embeddings,
    folder=folder,
    batch_size=batch_size,
  )
  embedded_faces.check_finite(faces, str(directory))
  test = None
  if test_data is not None or test_embeddings is not None:
    test = embedding_inputs.open_test_set(
      data=test_data,
      model=loaded,
      embeddings=test_embeddings,
      folder=folder,
      batch_size=batch_size,
    )
    _check_test_set(faces, test, str(test_data or test_embeddings))
  mean = embedded_faces.mean_identity(faces)
  check = SetCheck(faces.centred_on(mean), limits, folder)
  _run(check, None if test is None else test.centred_on(mean))
  result = check.summary | {'warnings': check.warnings}
  files.write_json(folder / SUMMARY, result)
  return result


def _check_test_set(
  faces: EmbeddedFaces, test: EmbeddedFaces, where: str
) -> None:
  embedded_faces.check_finite(test, where)
  if test.embedding_size != faces.embedding_size:
    raise DataError(
      f'{where}: embeddings of length {test.embedding_size}, those of the set '
      f'have {faces.embedding_size}: use one model for both'
    )
  if test.num_identities < MIN_IDENTITIES:
    raise DataError(
      f'{where}: has {test.num_identities} people: with fewer than '
      f'{MIN_IDENTITIES} nothing tells what a stranger scores'
    )


def _run(check: SetCheck, test: EmbeddedFaces | None) -> None:
  """All parts, in the order in which they build on each other."""
  count = check.faces.num_identities
  if count < MIN_IDENTITIES:
    check.warn(
      f'{count} people are too few to tell what strangers score: only '
      'near-duplicates are looked for'
    )
    check.copies(None, None)
    return
  if count < _FEW_IDENTITIES:
    check.warn(
      f'with {count} people the expected numbers of false alarms are rough'
    )
  judged = check.judge()
  groups = check.names(judged)
  check.copies(check.misfits(judged, groups), judged.own.score)
  if test is not None:
    check.test_set(judged, test)
