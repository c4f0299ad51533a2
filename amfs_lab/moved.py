"""Old names of public modules and functions, for notebooks and scripts that were written for an earlier version."""

from collections.abc import Callable
from typing import NoReturn

from amfs_lab.errors import MovedError

_TOPICS = {
    "conflict": "conflict trajectories endpoints",
    "episodes": "blocks clouds draw_your_own episodes sheets",
    "inner_loop": "adaptation figure2 steps",
    "kernels": "characters rbf",
    "outer_loop": "outer_loop plane pull",
    "regularisers": "high_precision landscape limits regularisers teachers",
    "representer": "perpendicular projection projection_3d",
    "ridge": "filter ridge spectra vote",
    "training": "compare meta_training trajectory",
}
_PLACES = {module: f"explore.{topic}.{module}" for topic, modules in _TOPICS.items() for module in modules.split()}

# By the package that is asked: old names, and their new places in `amfs_lab`.
MOVED: dict[str, dict[str, str]] = {
    "amfs_lab": {
        "checkpoint": "runs.checkpoint",
        "classifier": "prediction.classifier",
        "confusion": "prediction.confusion",
        "open_set": "prediction.open_set",
        "path": "trajectory",
        "reader": "pretrained",
        "replay": "runs.replay",
        "state": "runs.checkpoint",
    },
    "amfs_lab.explore": {
        **{name: place for name, place in _PLACES.items() if name not in _TOPICS},
        **{name: f"widgets.{name}" for name in ("Explorer", "LiveExplorer", "drive", "live", "predict", "controls")},
        "channels": "explore.ridge.spectra",
        "check": "checks",
        "clock": "widgets.timing",
        "desk": "explore.episodes.sheets",
        "DrawsExplorer": "explore.EndpointExplorer",
        "PathExplorer": "explore.TrainingTrajectoryExplorer",
        "draw": "explore.episodes.draw_your_own",
        "draws": "explore.conflict.endpoints",
        "ground": "explore.outer_loop.plane",
        "paths": "explore.training.trajectory",
        "theme": "widgets.style",
        "waves": "explore.inner_loop.sinusoid_net",
    },
    "amfs_lab.explore.conflict": {
        "turned": "explore.conflict.conflict.turned",
        "real_conflict": "explore.conflict.conflict.real_conflict",
        "when_two_disagree": "explore.conflict.questions.answer_when_two_tasks_disagree",
        "what_the_opponent_gets": "explore.conflict.questions.answer_weight_of_the_opponent",
        "where_tasks_agree": "explore.conflict.questions.answer_where_tasks_agree",
    },
    "amfs_lab.explore.outer_loop": {
        "who_ignores_the_curved_task": "explore.outer_loop.questions.answer_which_method_ignores_the_curved_task",
        "what_fo_maml_does": "explore.outer_loop.questions.answer_what_fo_maml_does",
    },
    "amfs_lab.explore.regularisers": {"when_mu_rises": "explore.regularisers.questions.answer_when_mu_grows"},
    "amfs_lab.explore.ridge": {"between_points": "explore.ridge.questions.answer_between_two_points"},
    "amfs_lab.training": {
        "check_parameters": "learner.checked_learner",
        "load_learner": "runs.load_learner",
        "load_run": "runs.load_run",
        "pick_precision": "devices.pick_precision",
    },
}


def moved(module: str) -> Callable[[str], NoReturn]:
    """A `__getattr__` for that module: an old name raises MovedError with its new place, any other AttributeError."""

    def missing(name: str) -> NoReturn:
        if place := MOVED[module].get(name):
            raise MovedError(f"`{module}.{name}` is now `amfs_lab.{place}`. Change the name, or open a fresh lesson.")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing
