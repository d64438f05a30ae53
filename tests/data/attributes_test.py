"""Tables of attributes, good and bad, and the groups that they make."""

import chex
from absl.testing import absltest, parameterized

from facejax.data.attributes import read_attributes
from facejax.errors import DataError, UsageError

IMAGES = ['A/A_1.jpg', 'A/A_2.jpg', 'B/frontal/01.jpg', 'C/C_1.jpg', 'd.jpg']


class AttributesTest(chex.TestCase):
  def write(self, text):
    content = text if isinstance(text, bytes) else text.encode()
    return self.create_tempfile(content=content, mode='wb').full_path

  def read(self, text, **options):
    return read_attributes(self.write(text), **options)

  def test_a_line_speaks_of_an_image_or_of_a_person(self):
    found = self.read('name,sex\nA,f\nA/A_2.jpg,m\nB,m\nd.jpg,f\nE,x\n')
    groups = found.groups('sex', IMAGES)
    self.assertEqual(groups.values, ('f', 'm', 'x'))
    # The line of an image goes before that of its person; C is not there.
    self.assertEqual(groups.labels.tolist(), [0, 1, 1, -1, 0])
    self.assertEqual(groups.counts().tolist(), [2, 2, 0])
    self.assertEqual(found.num_used(IMAGES), 4)

  def test_an_empty_cell_is_not_known_and_falls_back_to_the_person(self):
    found = self.read(
      'name,sex,age\nA,f,young\nA/A_1.jpg,,\nA/A_2.jpg,m,\nB,,old\n'
    )
    sex, age = (found.groups(column, IMAGES) for column in ('sex', 'age'))
    self.assertEqual(sex.labels.tolist(), [0, 1, -1, -1, -1])
    self.assertEqual(age.values, ('old', 'young'))
    self.assertEqual(age.labels.tolist(), [1, 1, 0, -1, -1])

  @parameterized.parameters(
    'name,sex,age\nA,f,20-29\nB,m,30+\n',
    'name\tsex\tage\nA\tf\t20-29\nB\tm\t30+\n',
    'name;sex;age\nA;f;20-29\nB;m;30+\n',
    'sex,age,name\nf,20-29,A\nm,30+,B',
    '\ufeffname,sex,age\r\n\r\n A , f,20-29 \r\n"B","m","30+"\r\n',
  )
  def test_delimiters_quotes_and_line_ends_do_not_matter(self, text):
    found = self.read(text)
    self.assertEqual(found.names, {'A', 'B'})
    self.assertEqual(
      found.columns,
      {'sex': {'A': 'f', 'B': 'm'}, 'age': {'A': '20-29', 'B': '30+'}},
    )

  def test_quoted_fields_may_hold_the_delimiter(self):
    found = self.read('name,role\n"Lee, Ann","a, b"\n')
    self.assertEqual(found.columns, {'role': {'Lee, Ann': 'a, b'}})

  def test_columns_are_chosen_by_name(self):
    text = 'name,sex,id\n' + ''.join(f'P{i},f,{i}\n' for i in range(51))
    self.assertEqual([*self.read(text, columns=['sex']).columns], ['sex'])
    with self.assertRaisesRegex(DataError, 'id has 51 .*--attribute_columns'):
      self.read(text)
    with self.assertRaisesRegex(
      UsageError, "no attribute 'age': use sex or id"
    ):
      self.read(text, columns=['age'])
    with self.assertRaisesRegex(UsageError, "no attribute 'name'"):
      self.read(text, columns=['name'])

  @parameterized.parameters(
    ('', "is empty: .* name the columns, 'name'"),
    ('\ufeff\n \n', 'is empty'),
    ('name,sex,sex\nA,f,f\n', "a column is called 'sex', twice"),
    ('name,\nA,f\n', 'needs a name'),
    ('image,sex\nA,f\n', "no column 'name' .* only image, sex"),
    ('name\nA\n', "no column beside 'name'"),
    ('name,sex\n', 'no line below its header'),
    ('name,sex\nA,f\nB\n', 'line 3: has 1 fields, the header has 2'),
    ('name,sex\nA,f\n\n,m\n', 'line 4: the name is empty'),
    ('name,sex\nA,f\nB,m\n./A,m\n', 'line 4: A stands in line 2 already'),
    ('name,sex\nA,\n', 'every cell of sex is empty'),
    ('name,sex\n"A,f\n', 'line 2: unexpected end of data'),
    (b'name,sex\nA,f\nJos\xe9,m\n', 'line 3: is not UTF-8'),
  )
  def test_what_does_not_fit_is_refused_with_its_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      self.read(text)

  def test_a_missing_table_is_refused(self):
    with self.assertRaisesRegex(DataError, 'no.csv: .* cannot be read'):
      read_attributes('no.csv')

  def test_a_table_of_other_images_is_refused(self):
    found = self.read('name,sex\nX/1.jpg,f\nY,m\n')
    with self.assertRaisesRegex(DataError, 'none of its 2 names, such as X/1'):
      found.check(IMAGES)
    found = self.read('name,sex\nX/1.jpg,f\nA,m\n')
    found.check(IMAGES)

  def test_names_that_lead_nowhere_end(self):
    found = self.read('name,sex\n/x/A.jpg,f\n')
    groups = found.groups('sex', ['/x/A.jpg', '/', ''])
    self.assertEqual(groups.labels.tolist(), [0, -1, -1])


if __name__ == '__main__':
  absltest.main()
