"""Trajectories of recorded meta-training in their principal plane.

Other panels show the loss, and the cosines or weights of the tasks.
"""

from typing import Any, NamedTuple

import numpy as np

from amfs_lab.errors import ConfigError
from amfs_lab.explore.looks import METHODS
from amfs_lab.explore.training.curves import MOST, NOTHING, headed, named, slots, smooth, thin
from amfs_lab.trajectory import check_one_kind, paths, random_walk_shares
from amfs_lab.widgets.controls import Choice, HiddenState, Slider
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.live import LiveExplorer
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import INK, Look
from amfs_lab.widgets.text import count, signed
from amfs_lab.widgets.traces import Trace, curve, dots, dotted_curve, reference_line

POINTS = 120  # number of points of a trajectory that are drawn and define the plane; a longer run is thinned
MANY = 20  # a run with fewer steps is not compared with a long random walk
ARROWS = (0.2, 0.4, 0.6, 0.8)  # positions of the direction arrows along a trajectory
SHORTEST = 1e-4  # a step shorter than this share of the picture gets no arrow
COSINE, WEIGHTS = "cosine of tasks", "weights of tasks"


class Run(NamedTuple):
    """A recorded run: loss, cosine and weights at every step, and the trajectory at some steps.

    `kept` has the indices of these steps.
    """

    steps: np.ndarray  # (n)
    loss: np.ndarray  # (n)
    cosine: np.ndarray  # (n), NaN if undefined
    low: np.ndarray  # (n) the smallest t c_j
    high: np.ndarray  # (n) the largest t c_j
    kept: np.ndarray  # (k) indices
    xy: np.ndarray  # (k 2)
    away: np.ndarray  # (k) distance from the start
    positions: np.ndarray  # (k m)


class Picture(NamedTuple):
    """All runs in one plane, and the share of the variance on each axis of the plane.

    `walk` is the share of the variance that the plane would show for random walks. `walk` is None if the runs have
    different starts or too few steps, because such runs cannot be compared with random walks.
    """

    runs: dict[str, Run]
    shares: tuple[float, float]
    walk: float | None


def picture(history: dict[str, Any]) -> Picture | None:
    """The `Picture` of the recorded runs; None without runs.

    Raises:
        ConfigError: the runs have different meta-parameters or sketches, so they have no common plane.
    """
    history = {name: steps for name, steps in history.items() if steps}
    if not history:
        return None
    kept = {name: thin(len(steps), POINTS) for name, steps in history.items()}
    found = paths({name: [steps[i] for i in kept[name]] for name, steps in history.items()})
    runs = {}
    for name, steps in history.items():
        weights = np.array([step.trajectory.weights or (np.nan,) for step in steps])
        positions = found.positions[name].numpy()
        runs[name] = Run(
            steps=np.array([step.step for step in steps], dtype=float),
            loss=np.array([step.loss for step in steps], dtype=float),
            cosine=np.array([step.trajectory.cosine for step in steps], dtype=float),  # None is NaN
            low=weights.shape[1] * weights.min(1),
            high=weights.shape[1] * weights.max(1),
            kept=kept[name],
            xy=found.coordinates[name].numpy(),
            away=np.linalg.norm(positions - positions[0], axis=1),
            positions=positions,
        )
    starts = [run.positions[0] for run in runs.values()]
    together = all(np.array_equal(starts[0], start) for start in starts)
    comparable = together and min(len(run.steps) for run in runs.values()) >= MANY
    return Picture(runs, found.plane.shares, sum(random_walk_shares(len(runs))) if comparable else None)


def of_run(n: int, look: Look) -> dict[str, Trace]:
    """The traces (curves in plotly) of run number `n`, drawn with the colour, dash and marker of `look`."""
    run: dict[str, Any] = dict(named=f"name_{n}", group=str(n))
    arrow_head = dict(color=look.color, symbol="arrow", angleref="previous", opacity=1, line=dict(width=0))
    return {
        f"path_{n}": curve(
            f"x_{n}",
            f"y_{n}",
            listed=False,
            # plotly's default `backoff` leaves gaps at points without an arrow
            more=dict(
                mode="lines+markers",
                line=dict(color=look.color, width=2.5, dash=look.dash, backoff=0),
                marker=arrow_head,
            ),
            marker_size=f"arrows_{n}",
            **run,
        ),
        f"end_{n}": dots(
            f"end_x_{n}",
            f"end_y_{n}",
            look.color,
            11,
            look.marker,
            ("white", 1),
            listed=False,
            hover="step %{customdata[0]:.0f}, %{customdata[1]:.3g} from its start",
            customdata=f"end_{n}",
            **run,
        ),
        f"loss_{n}": dotted_curve(
            f"steps_{n}",
            f"loss_{n}",
            look,
            at="loss",
            hover="step %{x}: %{y:.3f}",
            mode=f"mode_{n}",
            showlegend=f"there_{n}",
            **run,
        ),
        f"low_{n}": dotted_curve(
            f"low_x_{n}",
            f"low_{n}",
            look,
            1.5,
            at="agreement",
            listed=False,
            hover="smallest, step %{x}: %{y:.2f}",
            mode=f"mode_{n}",
            **run,
        ),
        f"right_{n}": dotted_curve(
            f"right_x_{n}",
            f"right_{n}",
            look,
            at="agreement",
            listed=False,
            hover="step %{x}: %{y:.3f}",
            more=dict(fillcolor=f"{look.color}1F"),
            mode=f"mode_{n}",
            fill=f"fill_{n}",
            **run,
        ),
    }


class TrainingTrajectoryExplorer(LiveExplorer):
    """Trajectories of recorded runs, with one colour, dash and marker for each run.

    The runs come from `MetaTrainer(config, trajectory=CountSketch())`.

    explorer = TrainingTrajectoryExplorer()                                        # the last line of one cell shows it
    await live({name: trainer.run() for name, trainer in trainers.items()}, explorer)         # another cell sends data

    During a run, each drawing computes the plane and all trajectories again from the steps so far. So the picture may
    turn slowly, but it does not flip (see `trajectory.Plane`). After the run, the plane is computed from the whole run
    and does not change. All runs have equal weight in the plane. All runs must have the same inner loop and the same
    width.
    """

    title = "Trajectories of meta-updates: real training in its principal plane"
    alt = (
        "Three panels with one curve for each run. Left: the trajectory of the meta-parameters in the plane with the "
        "largest variance, from a hollow start to a filled end, with arrows along it. Middle: the loss on the query "
        "sets. Right: the mean cosine between the tasks’ gradients, or the smallest and the largest task weight."
    )

    until = Slider(
        "up to", 0, 100, integer=True, start=100, unit="% of the steps", help="move along the curves; the plane stays"
    )
    smoothing = Slider(
        "smoothing",
        1,
        100,
        integer=True,
        start=10,
        unit="steps",
        help="number of last steps in each mean, for the loss and the right panel",
    )
    found = HiddenState(None)
    right = Choice("right panel", [COSINE, WEIGHTS], help="mean cosine of the tasks, or their weights")

    panels = Panels(
        widths=(0.4, 0.3, 0.3),
        path=Panel("trajectory of the meta-parameters θ", axis("axis 1"), axis("axis 2", scaleanchor="x")),
        loss=Panel(
            "loss on query sets",
            axis("meta-steps", rangemode="tozero"),
            axis("cross-entropy (nats)", rangemode="tozero"),
        ),
        agreement=Panel(
            "agreement of the tasks", axis("meta-steps", rangemode="tozero"), axis("mean pairwise cosine", zero=INK)
        ),
    )
    layout = dict(height=400)
    frame = {
        "path.x.title.text": "x_title",
        "path.y.title.text": "y_title",
        "path.x.range": "x_range",
        "path.y.range": "y_range",
        "loss.x.range": "step_range",
        "agreement.x.range": "step_range",
        "agreement.y.title.text": "right_title",
        "agreement.y.rangemode": "right_from",
        "agreement.title": "right_head",
    }
    traces = {
        **{name: trace for n, look in enumerate(METHODS.values()) for name, trace in of_run(n, look).items()},
        "start": dots(
            "start_x", "start_y", "white", 12, "circle", (INK, 2), name="start", hover=None, showlegend="there_0"
        ),
        "even": reference_line("even_x", "even", 1, "dot", INK, at="agreement"),
    }

    def push(self, item: Any) -> None:
        others = [record[0] for name, record in self._record.items() if name != self.name_of(item)]
        check_one_kind([item, *others])  # checked now, so that the recorded data can always be drawn
        super().push(item)

    def recorded(self) -> dict[str, Any]:
        kept = super().recorded()
        return kept | {"found": picture(kept["history"])}

    def compute(self, state: State) -> Arrays:
        runs = dict(state.found.runs) if state.found else {}
        if len(runs) > MOST:
            raise ConfigError(f"One figure can show at most {MOST} runs. Got {len(runs)}: open a second explorer.")
        placed = {n: (name, runs[name]) for name, n in slots(runs).items()}
        longest = max((run.steps[-1] for run in runs.values()), default=1.0)
        limit = max(1.0, round(state.until / 100 * longest))
        by_weights = state.right == WEIGHTS
        arrays: dict[str, Any] = {}
        standing, ends = [], []
        everywhere = np.concatenate([run.xy for run in runs.values()]) if runs else np.array([[-1.0, -1.0], [1.0, 1.0]])
        extent = float(np.ptp(everywhere, axis=0).max())
        for n in range(MOST):
            name, run = placed.get(n, ("", EMPTY_RUN))
            seen = int((run.steps <= limit).sum())  # steps
            path = run.xy[run.kept < seen]
            drawn = thin(seen, POINTS)
            measured = np.flatnonzero(np.isfinite(run.cosine[:seen]))
            if by_weights:
                right, right_x = smooth(run.high[:seen], state.smoothing)[drawn], run.steps[drawn]
                low = smooth(run.low[:seen], state.smoothing)[drawn]
            else:
                few = thin(len(measured), POINTS)
                right, low = smooth(run.cosine[measured], state.smoothing)[few], np.zeros(0)
                right_x = run.steps[measured][few]
            last = len(path) - 1
            sizes = np.zeros(len(path))
            if last >= len(ARROWS) + 1:
                at = np.array([round(share * last) for share in ARROWS])
                steps = np.linalg.norm(path[at] - path[at - 1], axis=1)
                sizes[at[steps > SHORTEST * extent]] = 13  # a step of length zero has no direction
            loss = smooth(run.loss[:seen], state.smoothing)[drawn]
            arrays |= {
                f"name_{n}": named(name),
                f"there_{n}": bool(name),
                f"mode_{n}": "lines+markers" if seen == 1 else "lines",  # a single point draws no line
                f"x_{n}": path[:, 0],
                f"y_{n}": path[:, 1],
                f"arrows_{n}": sizes,
                f"end_x_{n}": path[-1:, 0],
                f"end_y_{n}": path[-1:, 1],
                f"end_{n}": [[run.steps[run.kept[last]], run.away[last]]] if name else [],
                f"steps_{n}": run.steps[drawn],
                f"loss_{n}": loss,
                f"low_x_{n}": right_x if by_weights else np.zeros(0),
                f"low_{n}": low,
                f"right_x_{n}": right_x,
                f"right_{n}": right,
                f"fill_{n}": "tonexty" if by_weights else "none",
            }
            if name:
                tail = [float(values[-1]) if len(values) else None for values in (low, right)]
                standing.append((named(name), seen, float(run.away[last]), float(loss[-1]), *tail))
                ends.append((run.steps[run.kept[last]], run.positions[last]))
        shares = state.found.shares if state.found else (0.0, 0.0)
        words = [f"axis {k}: {share:.0%} of the variance" if runs else f"axis {k}" for k, share in enumerate(shares, 1)]
        return Arrays(
            **arrays,
            x_title=words[0].replace("%", " %"),
            y_title=words[1].replace("%", " %"),
            x_range=padded(everywhere[:, 0]),
            y_range=padded(everywhere[:, 1]),
            step_range=[0.0, float(longest)],
            right_title="task weights t · c<sub>j</sub>: smallest, largest" if by_weights else "mean pairwise cosine",
            right_head="weights of the tasks" if by_weights else "agreement of the tasks",
            right_from="normal" if by_weights else "tozero",
            start_x=[float(run.xy[0, 0]) for run in runs.values()],
            start_y=[float(run.xy[0, 1]) for run in runs.values()],
            even_x=[0.0, float(longest)] if by_weights else [],  # the mean's weight
            even=[1.0, 1.0] if by_weights else [],
            standing=standing,
            apart=float(np.linalg.norm(ends[0][1] - ends[1][1]))
            if len(ends) == 2 and ends[0][0] == ends[1][0]
            else None,
            share=sum(shares),
            walk=state.found.walk if state.found else None,
            by_weights=by_weights,
            status=state.status,
        )

    def say(self, a: Arrays) -> str:
        if not a.standing:
            return NOTHING[a.status]
        parts = []
        for name, seen, away, loss, low, right in a.standing:
            where = f"{away:.3g} from its start after {count(seen, 'step')}" if away else "at its start"
            said = f"{name} is {where}, loss {loss:.2f}"
            if a.by_weights:
                said += f", weights {signed(low)} to {signed(right)} times the weight of the mean"
            elif right is not None:
                said += f", mean cosine {signed(right)}"
            parts.append(said)
        said = headed(a.status, "; ".join(parts))
        if a.apart is not None:
            said += f" The distance between them is {a.apart:.3g}."
        said += f" The plane shows {a.share:.0%} of the variance"
        if a.walk is not None:
            walkers = "a random walk" if len(a.standing) == 1 else f"{len(a.standing)} random walks from one start"
            said += f"; the plane of {walkers} would show {a.walk:.0%}"
        return f"{said}.".replace("%", " %")


NONE = np.zeros(0)
EMPTY_RUN = Run(NONE, NONE, NONE, NONE, NONE, np.zeros(0, dtype=int), np.zeros((0, 2)), NONE, np.zeros((0, 0)))


def padded(values: np.ndarray) -> list[float]:
    """The range of the values, with a margin for the marks at both ends."""
    low, high = float(values.min()), float(values.max())
    room = 0.1 * (high - low) or 1.0
    return [low - room, high + room]
