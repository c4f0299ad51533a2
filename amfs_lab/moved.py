"""Old names of public modules and functions, for notebooks and scripts that were written for an earlier version.

The use of an old name raises MovedError with the new name. A module whose functions have old names contains the line
`__getattr__ = moved(__name__)`. For old names of modules, `OldModules` is a finder in `sys.meta_path`.
"""

from collections.abc import Callable

_TOPICS = {
    "conflict": "trajectories",
    "episodes": "blocks clouds",
    "inner_loop": "adaptation figure2 steps",
    "kernels": "characters rbf",
    "outer_loop": "pull",
    "regularisers": "landscape limits teachers",
    "representer": "perpendicular projection",
    "ridge": "filter vote",
    "training": "compare meta_training",
}
# Modules whose old name is now a package: the module `explore.ridge` became `explore.ridge.ridge`.
_SAME_NAME = {
    "conflict": "ConflictExplorer downhill gradients label_place real_conflict rules turned",
    "episodes": "EpisodeExplorer reach",
    "outer_loop": "OuterLoopExplorer end_of limits no_inner_loop pulls_of shares tasks_of",
    "regularisers": "RegulariserExplorer meta_terms rms",
    "ridge": "RidgeExplorer rms",
}
_WIDGETS = "arrows controls drive figure live messages predict strokes Explorer LiveExplorer"

# Old names and their new places, both below `amfs_lab`.
MOVED: dict[str, str] = {
    "checkpoint": "runs.checkpoint",
    "classifier": "prediction.classifier",
    "confusion": "prediction.confusion",
    "lab_server": "lab.server",
    "open_set": "prediction.open_set",
    "path": "trajectory",
    "reader": "pretrained",
    "replay": "runs.replay",
    "state": "runs.checkpoint",
    "backbones.TaskNorm": "backbones.EpisodeNorm",
    "backbones.written_out": "backbones.differentiable_batchnorm",
    "config.AnilConfig": "inner.Anil",
    "config.MamlConfig": "inner.Maml",
    "config.PrototypesConfig": "inner.Prototypes",
    "episode.Split": "episode.Examples",
    "plots.Paper": "plots.SavableFigure",
    "tasks.Split": "tasks.Examples",
    "tasks.chance": "tasks.rng",
    "tasks.inventory": "tasks.data_status",
    "tasks.leftovers": "tasks.junk_files",
    "tasks.pictures": "tasks.images",
    "tasks.places": "tasks.data_dirs",
    "training.check_parameters": "learner.checked_learner",
    "training.check_provenance": "provenance.check_provenance",
    "training.check_record": "runs.saved.check_record",
    "training.load_learner": "runs.load_learner",
    "training.load_run": "runs.load_run",
    "training.meta_step": "meta_step.meta_step",
    "training.pick_precision": "devices.pick_precision",
    "training.save_learner": "runs.save_learner",
    **{
        f"explore.{module}": f"explore.{topic}.{module}"
        for topic, modules in _TOPICS.items()
        for module in modules.split()
    },
    **{
        f"explore.{topic}.{name}": f"explore.{topic}.{topic}.{name}"
        for topic, names in _SAME_NAME.items()
        for name in names.split()
    },
    **{f"explore.{name}": f"widgets.{name}" for name in _WIDGETS.split()},
    "explore.base": "widgets.explorer",
    "explore.beside": "widgets.saved_picture",
    "explore.box": "widgets.box",
    "explore.channels": "explore.ridge.spectra",
    "explore.check": "checks",
    "explore.clock": "widgets.timing",
    "explore.desk": "explore.episodes.sheets",
    "explore.draw": "explore.episodes.draw_your_own",
    "explore.drawing": "widgets.figure",
    "explore.draws": "explore.conflict.endpoints",
    "explore.DrawsExplorer": "explore.EndpointExplorer",
    "explore.ground": "explore.outer_loop.plane",
    "explore.handles": "widgets.draggable",
    "explore.kernel": "widgets.jupyter",
    "explore.PathExplorer": "explore.TrainingTrajectoryExplorer",
    "explore.paths": "explore.training.trajectory",
    "explore.picture": "widgets.png",
    "explore.precise": "explore.regularisers.high_precision",
    "explore.sheet": "widgets.drawing_pad",
    "explore.space": "explore.representer.projection_3d",
    "explore.still": "widgets.static_figure",
    "explore.theme": "widgets.style",
    "explore.waves": "explore.inner_loop.sinusoid_net",
    "explore.words": "widgets.text",
    "explore.conflict.when_two_disagree": "explore.conflict.questions.answer_when_two_tasks_disagree",
    "explore.conflict.what_the_opponent_gets": "explore.conflict.questions.answer_weight_of_the_opponent",
    "explore.conflict.where_tasks_agree": "explore.conflict.questions.answer_where_tasks_agree",
    "explore.outer_loop.who_ignores_the_curved_task": (
        "explore.outer_loop.questions.answer_which_method_ignores_the_curved_task"
    ),
    "explore.outer_loop.fo_maml_runs_away": "explore.outer_loop.outer_loop.fo_maml_diverges",
    "explore.outer_loop.what_fo_maml_does": "explore.outer_loop.questions.answer_what_fo_maml_does",
    "explore.regularisers.when_mu_rises": "explore.regularisers.questions.answer_when_mu_grows",
    "explore.ridge.between_points": "explore.ridge.questions.answer_between_two_points",
}


def check_moved(name: str) -> None:
    """Raises MovedError if `name` is an old name, such as `amfs_lab.reader`. The message has the new name."""
    if place := MOVED.get(name.removeprefix("amfs_lab.")):
        from amfs_lab.errors import MovedError  # imported here, because this module is part of every `import amfs_lab`

        raise MovedError(f"`{name}` is now `amfs_lab.{place}`. Change the name, or open a fresh lesson.")


def moved(module: str) -> Callable[[str], object]:
    """The function `__getattr__` for the module with the name `module`.

    It raises MovedError for an old name, and AttributeError for any other name.
    """

    def missing(name: str) -> object:
        check_moved(f"{module}.{name}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing


class OldModules:
    """A module finder that raises MovedError for the old name of a module. It finds no module."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.startswith("amfs_lab."):
            check_moved(name)
