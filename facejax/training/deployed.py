"""The model of a training state as inference would run it."""

from facejax.array_typing import PyTree
from facejax.compression import ternary
from facejax.training.learner import TernarySchedule
from facejax.training.state import TrainState, split_head


def deployed_rules(
  ternary_schedule: TernarySchedule | None, steps_done: int
) -> ternary.Rules | None:
  """The ternary rules of the model as it stands; None while it is float."""
  if ternary_schedule is None or not ternary_schedule.active(steps_done):
    return None
  return ternary_schedule.rules


def float_variables(state: TrainState) -> PyTree:
  """{'params', 'batch_stats'} of the net, float, averaged if the run does."""
  return {
    'params': state.ema or split_head(state.params)[0],
    'batch_stats': split_head(state.batch_stats)[0],
  }


def deployed_variables(
  state: TrainState, rules: ternary.Rules | None
) -> PyTree:
  """The variables as inference would run them.

  Args:
    state: with float masters.
    rules: `deployed_rules`.

  Returns:
    {'params', 'batch_stats'}, without the head; what the rules select is
    alpha * t.
  """
  variables = float_variables(state)
  if rules is not None:
    params = ternary.ternarize_tree(variables['params'], rules)
    variables = {**variables, 'params': params}
  return variables
