"""Writes .params of MXNet in each of its versions, and symbols."""

import json
import struct

import numpy as np

V1, V2, V3, LEGACY = 0xF993FAC8, 0xF993FAC9, 0xF993FACA, None
FLAGS = {'f4': 0, 'f8': 1, 'f2': 2, 'u1': 3, 'i4': 4, 'i1': 5, 'i8': 6, 'b1': 7}


def array_bytes(array, version=V2, storage=0, flag=None):
  """One array."""
  kind, ndim, shape = array.dtype.str[1:], array.ndim, array.shape
  if version is LEGACY:
    head = struct.pack(f'<I{ndim}I', ndim, *shape)
  else:
    head = struct.pack('<I', version)
    if version != V1:
      head += struct.pack('<i', storage)
    head += struct.pack(f'<i{ndim}q', ndim, *shape)
  flag = FLAGS[kind] if flag is None else flag
  return head + struct.pack('<iii', 1, 0, flag) + array.tobytes()


def params_bytes(arrays, version=V2, entries=None):
  """A file of named arrays, or of entries that are bytes already."""
  entries = entries or [array_bytes(a, version) for a in arrays.values()]
  names = [name.encode() for name in arrays]
  parts = [struct.pack('<QQQ', 0x112, 0, len(entries)), *entries]
  parts.append(struct.pack('<Q', len(names)))
  parts += [struct.pack('<Q', len(name)) + name for name in names]
  return b''.join(parts)


def symbol_text(steps, *, key='attrs', output=None):
  """Steps are (operation, name, inputs, parameters); JSON as MXNet's.

  Inputs that are no step become entries from outside, in front of it.
  """
  nodes, places = [], {}
  for op, name, inputs, *parameters in steps:
    for outside in inputs:
      if outside not in places:
        places[outside] = len(nodes)
        nodes.append({'op': 'null', 'name': outside, 'inputs': []})
    links = [[places[i], 0, 0] for i in inputs]
    places[name] = len(nodes)
    values = {k: str(v) for k, v in dict(*parameters).items()}
    nodes.append({'op': op, 'name': name, 'inputs': links, key: values})
  head = [places[output or steps[-1][1]], 0, 0]
  return json.dumps({'nodes': nodes, 'heads': [head]})


def norm_arrays(name, size):
  """What a BatchNorm stores, its scale not 1."""
  values = np.arange(1, size + 1, dtype='<f4')
  parts = ('gamma', 'beta', 'moving_mean', 'moving_var')
  kinds = ('arg', 'arg', 'aux', 'aux')
  return {
    f'{kind}:{name}_{part}': values * (i + 2)
    for i, (kind, part) in enumerate(zip(kinds, parts, strict=True))
  }
