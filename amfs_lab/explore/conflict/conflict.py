"""Two to four task gradients in the plane, and the combined gradient of each of four aggregation rules."""

import math
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from amfs_lab import methods, planes, pretrained
from amfs_lab.explore import looks
from amfs_lab.outer import Aggregator, Conflict, MeanCosine, PairwiseCosine, measure
from amfs_lab.outer.aggregation import NORMALIZATIONS
from amfs_lab.runs.saved import load_learner
from amfs_lab.tasks import EpisodeConfig, ImageSource, glyphs
from amfs_lab.widgets.arrows import NOTHING, arrow
from amfs_lab.widgets.controls import Choice, Slider, Toggle
from amfs_lab.widgets.explorer import Explorer
from amfs_lab.widgets.figure import Arrays, State
from amfs_lab.widgets.panels import Panel, Panels, axis
from amfs_lab.widgets.style import GRAY, GRID, INK
from amfs_lab.widgets.traces import area, bars, hatched, vector

MOST = 4
STILL = 1e-9  # a combined gradient shorter than this is zero to within rounding
HEIGHT = 306  # pixels of the panel with the arrows
RULES = tuple(planes.RULES)
# If rules agree, their arrows coincide. The arrows have different widths (in pixels), so all stay visible.
WIDTHS, HEADS = (11, 7, 4, 2), (26, 19, 14, 9)


def gradients(tasks: int, angle: float, spread: float, ratio: float) -> Tensor:
    """Task gradients (t 2). All gradients except the last form a group, and each of them has length 1.

    The directions in the group are evenly spread over the angle `spread`. The last gradient has length `ratio`. The
    angle between the last gradient and the middle of the group is `angle`. Angles are in degrees.
    """
    fan = (
        torch.linspace(-0.5, 0.5, tasks - 1, dtype=torch.float64) * spread
        if tasks > 2
        else torch.zeros(1, dtype=torch.float64)
    )
    directions = torch.cat([fan, fan.new_tensor([angle])]).deg2rad()
    lengths = torch.cat([torch.ones_like(fan), fan.new_tensor([ratio])])
    grads = lengths[:, None] * torch.stack([directions.cos(), directions.sin()], 1)
    return grads.round(decimals=12)  # makes 180 degrees exactly opposite


def rules(normalization: str, negative: str) -> dict[str, Aggregator]:
    """The four aggregation rules by label. The arguments are settings of the two cosine rules."""
    named = dict(normalization=normalization, negative=negative)
    found = {label: methods.RULES[label].aggregator for label in RULES}
    cosine_rules = (PairwiseCosine, MeanCosine)
    return {label: replace(rule, **named) if isinstance(rule, cosine_rules) else rule for label, rule in found.items()}


def turned(a: Tensor, b: Tensor) -> float | None:
    """The angle between two vectors, in degrees; None if one of the vectors is zero."""
    if not a.any() or not b.any():
        return None
    u, v = a / a.norm(), b / b.norm()
    return math.degrees(2 * math.atan2(float((u - v).norm()), float((u + v).norm())))  # accurate for small angles too


@lru_cache(maxsize=2)
def real_conflict(batches: int = 10, tasks: int = 8) -> tuple[Conflict, Conflict]:
    """Agreement of real tasks, measured with gradients of the pretrained learner.

    The tasks are 5-way 1-shot, from scripts that the learner was not trained on. The argument `batches` is the number
    of meta-batches, and `tasks` is the number of tasks in a meta-batch.

    Returns:
        the agreement of meta-batches whose tasks come from one script, and the agreement of meta-batches whose tasks
        come from different scripts.
    """
    data, shape = glyphs.load(), EpisodeConfig(ways=5, shots=1, queries=5)
    sources = []
    for script in sorted(name for name, split in data.splits.items() if split != "train"):
        rows = [i for i, name in enumerate(data.scripts) if name == script]
        sources.append(ImageSource(data.images[rows], tuple(data.labels[i] for i in rows), shape, name=script))
    learner, found = load_learner(pretrained.find(), "cpu")[0], []  # a separate copy, whose gradients can be computed
    for kind in ("one script", "many scripts"):
        grads = []
        for b in range(batches):
            chosen = [sources[(b if kind == "one script" else b + j) % len(sources)] for j in range(tasks)]
            grads.append(learner.task_gradients([source[b * tasks + j] for j, source in enumerate(chosen)]).rows)
        found.append(measure(torch.stack(grads)))
    return found[0], found[1]


def downhill(mean: Tensor, reach: float) -> tuple[list[float], list[float]]:
    """A rectangle (x, y) that covers the visible directions d with <d, mean> > 0.

    For these d, a step along -d lowers the mean loss. The rectangle is empty if `mean` is zero.
    """
    length = float(mean.norm())
    if length < 1e-9:
        return [], []
    along = mean / length * 2 * reach
    aside = torch.stack([-along[1], along[0]])
    corners = torch.stack([aside, aside + along, along - aside, -aside])
    return corners[:, 0].tolist(), corners[:, 1].tolist()


def label_place(x: float, y: float, last: bool) -> str:
    """The position of the name of an arrow relative to the tip of the arrow.

    The name is on the outer side, away from the names of close arrows.
    """
    height = "top" if y > 0 or last else "bottom" if y < 0 else "middle"
    return f"{height} {'center' if last else 'left' if x < 0 else 'right'}"


class ConflictExplorer(Explorer):
    """The gradients of two to four tasks as arrows, the combined gradient of each rule, and the weight of each task."""

    title = "When tasks disagree: four rules combine their gradients"
    alt = (
        "Two panels. Left: arrows from the origin of a plane, thin ones for the tasks' gradients, thick ones for the "
        "directions of the mean, O-AMFS, cosine to mean and PCGrad, and shaded the half of the plane in which a step "
        "lowers the mean loss. Right: bars with the signed weight that each rule "
        "gives each task."
    )

    tasks = Slider("tasks", 2, MOST, integer=True, start=3, help="number of tasks; all but the last form a group")
    angle = Slider(
        "angle", 0, 180, start=150, step=1, unit="degrees", help="between the last task and the middle of the group"
    )
    spread = Slider("spread", 0, 120, start=30, step=1, unit="degrees", help="the width of the group (3 tasks or more)")
    ratio = Slider("length", 0.2, 5.0, scale="log", start=1.5, unit="× the others", help="of the last task's gradient")
    normalization = Choice("scale", list(NORMALIZATIONS), help="the factor Z of the two cosine rules")
    negative = Choice("negative", ["keep", "clip"], help="what the cosine rules do with weights below zero", rare=True)
    true_lengths = Toggle(
        "true lengths", start=False, help="draw the combined arrows with their true lengths, not all equal"
    )

    presets = {
        "agreement": dict(tasks=3, angle=20, spread=30, ratio=1.0),
        "conflict": dict(tasks=3, angle=150, spread=30, ratio=1.5),
        "long outlier": dict(tasks=4, angle=100, spread=40, ratio=5.0),
        "two opposed": dict(tasks=2, angle=180, ratio=1.0),
        "uphill": dict(tasks=3, angle=180, spread=10, ratio=4.0),
    }

    panels = Panels(
        widths=(0.52, 0.48),
        arrows=Panel(
            "gradients, and their combinations",
            axis("along θ₁", zero=GRAY, showline=False),
            axis("along θ₂", zero=GRAY, showline=False, scaleanchor="x"),
        ),
        weights=Panel(
            "weight of each task",
            axis("task", ticks=list(range(1, MOST + 1)), showgrid=False),
            axis("weight c<sub>j</sub>", zero=INK),
        ),
    )
    layout = dict(height=430, bargap=0.2)
    frame = {"arrows.x.range": "x_range", "arrows.y.range": "y_range", "weights.x.range": "task_range"}
    traces = {
        "downhill": area("downhill_x", "downhill_y", GRID),
        **{
            rule: vector(
                f"rule_{n}",
                looks.RULES[rule].color,
                WIDTHS[n],
                name=rule,
                group=rule,
                hover=f"{rule}: (%{{x:.2f}}, %{{y:.2f}})",
            )
            for n, rule in enumerate(RULES)
        },
        **{
            f"task {j}": vector(
                f"task_{j}",
                INK,
                1.2,
                name="tasks",
                group="tasks",
                listed=j == 1,
                hover=f"task {j}: (%{{x:.2f}}, %{{y:.2f}})",
                more=dict(
                    mode="lines+markers+text", text=["", f"g<sub>{j}</sub>"], textfont=dict(size=14), cliponaxis=False
                ),
                textposition=f"task_{j}_side",
            )
            for j in range(1, MOST + 1)
        },
        **{
            f"weights of {rule}": bars(
                "numbers",
                f"weights_{n}",
                looks.RULES[rule].color,
                hatch=hatched(looks.RULES[rule].pattern, size=6),
                at="weights",
                name=rule,
                group=rule,
                listed=False,
                hover=f"{rule}, task %{{x}}: %{{y:.3f}}",
            )
            for n, rule in enumerate(RULES)
        },
    }

    def compute(self, state: State) -> Arrays:
        grads = gradients(state.tasks, state.angle, state.spread, state.ratio)
        weights = [rule.weights(grads) for rule in rules(state.normalization, state.negative).values()]
        combined = [c @ grads for c in weights]
        lengths = [float(d.norm()) for d in combined]
        view = 1.25 * max(1.0, state.ratio, *(lengths if state.true_lengths else []))  # every arrow is visible in full
        scale, arrays = HEIGHT / (2 * view), {}
        for n, (c, d, length) in enumerate(zip(weights, combined, lengths, strict=True)):
            drawn = d if state.true_lengths or length < STILL else d * (0.75 * view / length)
            pointing = arrow((0.0, 0.0), drawn.tolist(), HEADS[n], scale)
            arrays |= pointing.arrays(f"rule_{n}") | {f"weights_{n}": c}
        for j in range(MOST):
            here = grads[j].tolist() if j < len(grads) else None
            pointing = arrow((0.0, 0.0), here, 11, scale) if here else NOTHING
            arrays |= pointing.arrays(f"task_{j + 1}")
            arrays[f"task_{j + 1}_side"] = label_place(*here, last=j == len(grads) - 1) if here else "middle right"
        agreement = measure(grads)
        arrays["downhill_x"], arrays["downhill_y"] = downhill(combined[0], view)
        return Arrays(
            **arrays,
            state=state,
            mean_cosine=float(agreement.mean_cosine),
            negative=float(agreement.negative),
            grads=grads,
            view=view,
            x_range=[-view, view],
            y_range=[-view, view],
            task_range=[0.4, state.tasks + 0.6],
            numbers=list(range(1, state.tasks + 1)),
            away=turned(combined[1], combined[0]) if min(lengths[:2]) >= STILL else None,
            step=float(combined[1].norm()),
            votes=float((grads / grads.norm(dim=1, keepdim=True)).sum(0).norm()),
            # To first order, a step along -d lowers a loss by <d, its gradient>.
            last_slope=float(combined[1] @ grads[-1]),
            mean_slope=float(combined[1] @ combined[0]),
        )

    def say(self, a: Arrays) -> str:
        state, c = a.state, a.weights_1
        if a.step < STILL:
            if a.votes >= STILL:
                still = "Both steps are zero: the mean gradient is zero, and the scale “length” gives O-AMFS its length"
                return f"{self.scene(a)}. {still}. The unit vectors do not cancel: choose another scale."
            still = "the step of O-AMFS is zero, because the tasks' unit vectors cancel"
            return f"{self.scene(a)}: {still}. The step of the mean is not zero if the lengths differ."
        if a.away is None:
            way = "the mean gradient is zero here, but the step of O-AMFS is not"
        elif a.away < 0.5:
            same = "even the length is the same" if state.normalization == "length" else "only the length can differ"
            way = f"O-AMFS and the mean have the same direction, to half a degree; {same}"
        else:
            way = f"the angle between O-AMFS and the mean is {a.away:.0f}°"
        weight = f"{c[-1]:.2f}".replace("-", "−")
        effects = [(f"task {state.tasks}’s loss", a.last_slope), ("the mean loss", a.mean_slope)]
        verbs = ["lowers" if slope > 1e-6 else "raises" if slope < -1e-6 else "does not change" for _, slope in effects]
        if verbs[0] == verbs[1]:
            change = f"{verbs[0]} {effects[0][0]} and {effects[1][0]}"
        else:
            change = " and ".join(f"{verb} {loss}" for verb, (loss, _) in zip(verbs, effects, strict=True))
        effect = f"O-AMFS gives task {state.tasks} the weight {weight}. A small step of O-AMFS {change}."
        return f"{self.scene(a)}: {way}. {effect}"

    def scene(self, a: Arrays) -> str:
        state = a.state
        group = "the other" if state.tasks == 2 else f"the {state.tasks - 1} others"
        cosine = f"{a.mean_cosine:+z.2f}".replace("-", "−")  # z: no −0.00
        agreement = f"mean cosine {cosine}, {100 * a.negative:.0f} % of the pairs in conflict"
        return f"{state.tasks} tasks, the last at {state.angle:.0f}° to {group} ({agreement})"
