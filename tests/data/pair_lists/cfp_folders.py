"""Writes the protocol folder of CFP in small."""

import pathlib


def write_cfp(root, *, people=4, folds=2, pairs=3):
  """Protocol/ under `root`: ten frontal and four profile images a person.

  Fold f has the people 2 f and 2 f + 1: pairs (0, k) of the first, and its
  image k against image k of the second.
  """
  root = pathlib.Path(root, 'Protocol')
  for pose, name, count in (('F', 'frontal', 10), ('P', 'profile', 4)):
    lines = [
      f'{person * count + i + 1} '
      f'../Data/Images/{person + 1:03d}/{name}/{i + 1:02d}.jpg'
      for person in range(people)
      for i in range(count)
    ]
    root.mkdir(exist_ok=True, parents=True)
    (root / f'Pair_list_{pose}.txt').write_text('\n'.join(lines) + '\n')
  for poses, count in (('FF', 10), ('FP', 4)):
    for fold in range(folds):
      folder = root / 'Split' / poses / f'{fold + 1:02d}'
      folder.mkdir(parents=True)
      one, other = 2 * fold, 2 * fold + 1
      same = [f'{10 * one + 1},{count * one + k + 2}' for k in range(pairs)]
      diff = [
        f'{10 * one + k + 1},{count * other + k + 1}' for k in range(pairs)
      ]
      (folder / 'same.txt').write_text('\n'.join(same) + '\n')
      (folder / 'diff.txt').write_text('\n'.join(diff) + '\n')
  return root
