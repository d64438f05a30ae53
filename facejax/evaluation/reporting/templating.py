"""Pages from the templates of this package."""

import base64
import functools
import json
import re
from typing import Any

import jinja2
import markupsafe

_MAGIC = {
  b'\xff\xd8': 'jpeg',
  b'\x89P': 'png',
  b'BM': 'bmp',
  b'RI': 'webp',
}


def data_uri(data: bytes) -> str:
  """An encoded image as the address of itself."""
  kind = _MAGIC.get(bytes(data[:2]), 'jpeg')
  return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def breakable(text: str) -> markupsafe.Markup:
  """Text, escaped, whose lines may break after '/' and '_'."""
  parts = re.split(r'(?<=[/_])(?![/_]|$)', text)
  return markupsafe.Markup('<wbr>').join(parts)


@functools.cache
def _environment() -> jinja2.Environment:
  """The templates; every value is escaped, an unknown one is an error."""
  environment = jinja2.Environment(
    loader=jinja2.PackageLoader('facejax.evaluation.reporting'),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters['breakable'] = breakable
  environment.filters['data_uri'] = data_uri
  return environment


def fill(template: str, **values: Any) -> bytes:
  """A page from a template of this package.

  Args:
    template: its file name.
    **values: what it shows; escaped.
  """
  text = _environment().get_template(template).render(values)
  # Names of files may hold bytes that are no text.
  return text.encode('utf-8', errors='replace')


def to_json_text(value: Any) -> str:
  """JSON for the eye."""
  return json.dumps(value, indent=2, ensure_ascii=False)
