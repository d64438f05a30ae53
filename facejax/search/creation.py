"""The files of an index without templates."""

import os
from typing import Any

from facejax import files
from facejax.errors import UsageError
from facejax.files import Path, PathLike
from facejax.search.appending import AppendedFiles, sync_folder, write_durably
from facejax.search.manifest import INDEX, empty_manifest


def create_store(path: PathLike, **fields: Any) -> None:
  """Makes an index without templates.

  Args:
    path: a new local folder.
    **fields: of the `Manifest`: bits, embedding_size, vectors, model.

  Raises:
    UsageError: something stands there, or such an index cannot be.
  """
  if '://' in os.fspath(path):
    raise UsageError(f'{path}: an index is mapped, so name a local folder')
  manifest = empty_manifest(**fields)
  with files.new_directory(path) as folder:
    names = manifest.file_names
    AppendedFiles(folder / manifest.folder, names, create=True).close()
    write_durably(folder / INDEX, manifest.to_bytes())
  sync_folder(Path(path).absolute().parent)
