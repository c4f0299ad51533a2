# %% [markdown]
# # 08 · Task conflict and O-AMFS
#
# **You will** combine conflicting task gradients with four rules, prove where O-AMFS ends, and learn when to use it and
# when not.
#
# 60 minutes · needs: lesson 07, inner products · runs offline in two minutes of computing
#
# Three task gradients point to the left, and a fourth, longer gradient points to the right. Do you follow the mean
# gradient, or the majority? **O-AMFS** is the outer loop of the paper behind this course. It gives each task a weight:
# the sum of the cosines between its gradient and all gradients.

# %%
import os
import tempfile
from pathlib import Path

import torch

from amfs_lab import checks, config, explore, outer, planes, pretrained, stats, tasks, training, trajectory, widgets
from amfs_lab.experiments import conflict
from amfs_lab.explore.conflict import endpoints, questions
from amfs_lab.runs import load_learner

# %% [markdown]
# In the figure below, each thin arrow is the gradient of one task. Each thick arrow is the combined gradient of one
# **rule**, such as O-AMFS. An outer loop takes a step *against* this arrow.

# %%
widgets.predict(
    "Three gradients are equal. The fourth is opposite to them and twice as long. What is its weight in O-AMFS?",
    options=["small, but above zero", "zero", "below zero"],
    answer=questions.answer_weight_of_the_opponent,
    because={
        "small, but above zero": "opposite gradients have the cosine −1, so the weight can also become negative",
        "zero": "one cosine of −1 cancels the cosine 1 of the fourth task with itself, but there are three of them",
        "below zero": "1 − 1 − 1 − 1 = −2. So a small step raises the loss of this task. Its length does not matter.",
    },
)

# %%
arrows = explore.ConflictExplorer("conflict")
arrows

# %% [markdown]
# The bars show the weights. Move **angle** from 0° to 180°: compared with the other weights, the O-AMFS weight of the
# last task falls, and at the end it is negative. If an arrow lies in the shaded half of the plane, a small step against
# it lowers the mean loss. Press **uphill** and see which arrows lie outside.

# %% [markdown]
# ## Say it precisely
#
# Let $g_1, \dots, g_T$ be the gradients of the tasks, and let $u_j = g_j / \lVert g_j \rVert$ be their unit vectors.
# O-AMFS adds up the cosines $w_{ij} = \langle u_i, u_j \rangle$. Its combined gradient is
#
# $$d = Z \sum_j c_j\, g_j \qquad c_j = \sum_i w_{ij} = \langle S, u_j \rangle \qquad S = \sum_i u_i$$
#
# In words: $S$ is the sum of the unit vectors, so every task counts once. The weight $c_j$ says how far $u_j$ points
# along $S$.

# %% [markdown]
# Three other rules use the same gradients. The **mean** has $c_j = 1/T$. **Cosine to mean** replaces $S$ by the unit
# vector of the mean gradient, so long gradients have more influence. **PCGrad** (Yu and others 2020) removes from each
# gradient the part that points against another gradient, and then takes the mean.

# %% [markdown]
# The factor $Z$ does not change the direction of the step, only its length. With *length*, the step is as long as the
# step of the mean, so only the direction differs (a zero step stays zero). With *unit*, $\sum_j |c_j| = 1$; *agreement*
# is $Z = 1/T^2$ (and $1/T$ for cosine to mean), and *none* is $Z = 1$. These three settings also change the length: in
# the figure above, switch **true lengths** on and try each **scale**.

# %% [markdown]
# ## Build it once by hand
#
# The next cell computes the double sum term by term. The library computes it with two matrix products.

# %%
draw = torch.Generator().manual_seed(8)
g = torch.randn(5, 12, generator=draw, dtype=torch.float64)
d = torch.zeros(12, dtype=torch.float64)
for i in range(5):
    for j in range(5):
        d += (g[i] @ g[j]) / (g[i].norm() * g[j].norm()) * g[j]
assert torch.allclose(d, outer.PairwiseCosine("none")(g))
print(f"angle between O-AMFS and the mean: {explore.conflict.conflict.turned(d, g.mean(0)):.1f} degrees")

# %% [markdown]
# ## Where O-AMFS ends
#
# One line of algebra shows where O-AMFS ends. Take $Z = 1$, and insert $c_j = u_j^\top S$ into $d$:
#
# $$d = \sum_j g_j\, u_j^\top S = M\, S \qquad M = \sum_j \frac{g_j\, g_j^\top}{\lVert g_j \rVert} \succeq 0$$
#
# The matrix $M$ is positive semidefinite, so $\langle d, S \rangle = S^\top M S \ge 0$. This product is 0 only if $S$
# is orthogonal to every gradient, and then $S = 0$, because $S$ is a sum of their unit vectors. Therefore $d$ is zero
# exactly where the **unit vectors** of the gradients cancel, and there O-AMFS is at rest.

# %% [markdown]
# With *length* there is a second point of rest, $\theta^*$: there the step of the mean, and so the step of O-AMFS, has
# length zero. On a line, a trajectory can end at $\theta^*$. In the plane, a tiny deviation from the line is enough to
# leave it.

# %% [markdown]
# In round bowls of any curvature, $u_j$ points from the optimum $\theta^*_j$ to θ. So $S$ is the gradient of $\sum_j
# \lVert \theta - \theta^*_j \rVert$, the sum of *distances*. The minimum of this sum is the **geometric median** of the
# optima. The mean rule ends at $\theta^*$, the minimum of the mean *loss*, which contains *squared* distances.

# %% [markdown]
# If the median is itself one of the optima, the unit vectors do not cancel near it, and O-AMFS oscillates around it.

# %%
M = sum(torch.outer(each, each) / each.norm() for each in g)
S = (g / g.norm(dim=1, keepdim=True)).sum(0)
assert torch.allclose(M @ S, d)
assert torch.linalg.eigvalsh(M).min() > -1e-12
assert d @ S >= 0

# %%
widgets.predict(
    "Four equal round tasks, one of them far from the others. Where does O-AMFS end?",
    options=["at θ*, where the mean ends", "at the geometric median"],
    answer=questions.answer_where_o_amfs_ends,
    because={
        "at θ*, where the mean ends": "at θ* the gradients cancel. But the gradient of the far task is longer "
        "than the others, so the unit vectors do not cancel",
        "at the geometric median": "There the four unit vectors cancel. Their lengths do not depend on the distances.",
    },
)

# %%
walks = explore.TrajectoryExplorer("one against three")
walks

# %% [markdown]
# This is the paper's Figure 1, and you can change it. The mean goes to the star, θ*. O-AMFS goes to the hexagon, the
# geometric median, and cosine to mean stays near the star. Drag **task 4** further away: θ* follows it, but the median
# hardly moves. Then press **agreement**, where the optima are near each other: the end points are close together.

# %% [markdown]
# Press **curved task**: the last task is eight times as steep, so θ* is nearer to it. The end point of O-AMFS does not
# depend on the curvature, but its trajectory does (here O-AMFS needs more steps than the figure shows).

# %% [markdown]
# Press **two opposed**: between two round tasks, the unit vectors cancel everywhere on the dotted segment. So every
# point of it is a geometric median, and O-AMFS stays at its start. Press **chatter** and look at the lower right panel:
# O-AMFS oscillates. *Where this breaks* explains why.

# %% [markdown]
# For a paper or slides, the next cell draws the left panel alone; `walks.picture()` draws all three. Save it with
# `picture.savefig("meta_updates.svg")`, or `.png`.

# %%
picture = walks.picture(panel=1)
picture

# %% [markdown]
# ## When is O-AMFS better than the mean?
#
# One trajectory proves little. The next figure shows 500 random draws of each of thirteen settings. Every rule takes
# 400 steps. All rules have the same step length, which shrinks towards the end, so only the *direction* counts.
# (`amfs-lab reproduce conflict` computes all distances again.)

# %%
widgets.predict(
    "Five round tasks are drawn at random. Which rule ends nearer to θ*, the minimum of the mean loss?",
    options=["O-AMFS", "the mean", "no difference"],
    answer=lambda: questions.answer_which_rule_ends_nearer("five round tasks"),
    because={
        "O-AMFS": "O-AMFS ends at the geometric median, and for random optima this point is not θ*",
        "no difference": "the mean ends at θ*, and O-AMFS ends at the geometric median. For random optima, these two "
        "points differ",
        "the mean": "The mean ends at θ* itself. O-AMFS ends at another point, the geometric median.",
    },
)

# %%
draws = explore.EndpointExplorer()
draws

# %% [markdown]
# In the left panel, each curve is one rule, and a curve further to the left means nearer end points. The bars on the
# right count the draws by *O-AMFS − mean*, the difference of the distances: left of zero, O-AMFS ends nearer. Select
# each **setting**, with **distance to** θ*, and look for those where O-AMFS ends nearer. Then press **an outlier** and
# **a noisy task**.

# %%
stored = endpoints.result().config
assert (stored["draws"], stored["steps"], len(conflict.SETTINGS)) == (500, 400, 13)
verdicts = {
    setting: {aim: questions.answer_which_rule_ends_nearer(setting, aim) for aim in endpoints.AIMS}
    for setting in conflict.SETTINGS
}
for setting, nearer in verdicts.items():
    others = f", without the outlier: {nearer['the best without the outlier']}" if "outlier" in setting else ""
    print(f"{setting:26} nearer to θ*: {nearer['θ*']}{others}")

# %% [markdown]
# So in these settings, if three or more tasks have different optima, O-AMFS ends farther from θ* than the mean. With
# two tasks, it changes only the length of the step.

# %% [markdown]
# O-AMFS is better in two cases. First, one task is an **outlier** that should not count. Then θ* is not the goal, and
# O-AMFS ends nearer to the θ* of the other tasks. Second, all tasks have the same optimum, and *one* of them is very
# noisy. If all are noisy, O-AMFS ends slightly farther away than the mean.

# %% [markdown]
# Why does O-AMFS help if one task is noisy? Far from θ*, it gives this task less weight. Near θ*, all gradients are
# mostly noise, and all weights are about equal.

# %% [markdown]
# This table is not a law. Here are two counter-examples. First, put three equal round tasks at the corners of an
# equilateral triangle: the optima differ, but the geometric median *is* θ*. Second, take *noise in one* from the table,
# but with optima a quarter as far apart. Now O-AMFS ends nearer to θ*, because the noise matters more than the optima.

# %%
corner = torch.tensor([90.0, 210.0, 330.0], dtype=torch.float64).deg2rad()
triangle = torch.stack([corner.cos(), corner.sin()], 1)
assert torch.allclose(planes.geometric_median(triangle), triangle.mean(0), atol=1e-6)
some = conflict.SETTINGS["noise in one"].draw(200, seed=0)
near = planes.Quadratics(some.tasks.optima / 4, some.tasks.hessians)
ends = conflict.ConflictConfig().walk("noise in one").along(near, some.start)
away = {rule: (ends[rule][-1] - near.best()).norm(dim=1) for rule in ("O-AMFS", "mean")}
closer = stats.paired_difference(away["O-AMFS"], away["mean"])
print("distance to θ*, O-AMFS − mean:", closer)
assert closer.high < 0

# %% [markdown]
# ## Does O-AMFS always go downhill?
#
# In round bowls, a small step of O-AMFS never raises the sum of distances, because $\langle d, S \rangle \ge 0$. But it
# can raise the mean loss: $\langle d, \bar g \rangle$ can be negative, where $\bar g$ (*g-bar*) is the mean gradient.
# How often does this happen for random gradients?

# %%
def share_uphill(rule, t, p, spread=0.0, draws=2000):
    draw = torch.Generator().manual_seed(t + p)
    up = []
    for _ in range(draws):
        g = torch.randn(t, p, generator=draw, dtype=torch.float64)
        g = g * (spread * torch.randn(t, 1, generator=draw, dtype=torch.float64)).exp()
        up.append(rule(g) @ g.mean(0) < 0)
    return stats.mean_interval(torch.stack(up).double())


# %%
def told(share):
    return share.percent("draws") if share.half_width else f"in none of {share.n} draws"


cases = {"2 tasks in the plane": (2, 2), "5 tasks in the plane": (5, 2), "5 tasks in 10 dimensions": (5, 10)}
for words, (t, p) in cases.items():
    print(f"{words:26} O-AMFS uphill: {told(share_uphill(outer.PairwiseCosine(), t, p))}")
unequal = share_uphill(outer.PairwiseCosine(), 5, 2, spread=1.0)
print(f"5 tasks, unequal lengths   O-AMFS uphill: {told(unequal)}")
never = share_uphill(outer.MeanCosine(), 5, 2, spread=1.0)
print(f"5 tasks, unequal lengths   cosine to mean uphill: {told(never)}")
assert never.mean == 0 < unequal.low

# %% [markdown]
# Cosine to mean never raises the mean loss: its combined gradient is $M \bar g / \lVert \bar g \rVert$ with the same $M
# \succeq 0$. O-AMFS can raise it, most often here if the gradients have different lengths. Then it mostly lowers the
# loss of more than half of the tasks, and a step of the mean mostly does not.

# %% [markdown]
# ## Do real tasks conflict?
#
# In the plane, tasks easily conflict. A network has many more dimensions. The next question is about task gradients of
# the course's small pretrained network (lesson 05). Eight tasks come from *one* script, and eight tasks come from eight
# *different* scripts.

# %%
widgets.predict(
    "Where do the gradients agree more: in eight tasks from one script, or in eight tasks from eight scripts?",
    options=["within one script", "across scripts", "no difference shown"],
    answer=questions.answer_where_tasks_agree,
    because={
        "within one script": "Letters of one script are more alike, so the gradients of their tasks are more alike.",
        "across scripts": "letters of different scripts are less alike, so the gradients of their tasks agree less",
    },
)

# %%
alike, mixed = explore.conflict.conflict.real_conflict()
for name, found in (("one script", alike), ("eight scripts", mixed)):
    cosine, negative = (stats.mean_interval(each) for each in (found.mean_cosine, found.negative))
    print(f"{name:14} mean cosine {cosine}; pairs in conflict {negative.percent('meta-batches')}")
print("difference of the mean cosines:", stats.paired_difference(alike.mean_cosine, mixed.mean_cosine))

# %% [markdown]
# In both cases the mean cosine is small, and most pairs of gradients are nearly orthogonal. But a weight adds up the
# cosines of all tasks: $c_j \approx 1 + (T - 1)\, m$ at a mean cosine $m$. How much does this change the *angle* of the
# step? If all gradients were equally long, the step with *agreement* would be about $(1 + (T - 1)\, m) / T$ times as
# *long* as the step of the mean.

# %%
learner, shape = load_learner(pretrained.find())[0], tasks.EpisodeConfig(5, 1, 15)
real = learner.task_gradients([tasks.open_source("glyphs", "test", shape)[i] for i in range(8)]).rows
step, mean = outer.PairwiseCosine("agreement")(real), real.mean(0)
m = outer.measure(real).mean_cosine.item()
turn = explore.conflict.conflict.turned(step, mean)
print(f"mean cosine {m:.3f}; angle between O-AMFS and the mean {turn:.1f} degrees")
print(f"length of the step, mean = 1: {step.norm() / mean.norm():.3f}; by the formula {(1 + 7 * m) / 8:.3f}")
print("weights c_j:", [f"{c:.2f}" for c in outer.PairwiseCosine("none").weights(real).tolist()])
units = real / real.norm(dim=1, keepdim=True)
pairs = (units @ units.mT)[*torch.triu_indices(8, 8, 1)]
print(f"pairs within 10 degrees of a right angle: {(pairs.abs() < 0.174).double().mean():.0%}")
print("lengths of the gradients:", [f"{length:.2g}" for length in real.norm(dim=1).tolist()])

# %% [markdown]
# ## Where real training goes
#
# Two trainings have the same start and the same tasks: I-AMFS uses the mean, and AMFS uses the weights of O-AMFS. The
# left panel shows their meta-parameters in the plane in which the two trajectories vary most. **Stop** ends the
# training early.

# %%
short = bool(os.environ.get("AMFS_LAB_FAST"))  # in tests: a few steps only
every = {"width": 32, "steps": 3 if short else 100, "validate_every": 0}
paths = explore.TrainingTrajectoryExplorer()
paths

# %%
trainers = {  # a new race at each run of the cell
    name: training.MetaTrainer(config.preset(name, **every), trajectory=trajectory.CountSketch())
    for name in ("i-amfs", "amfs")
}
finish = await widgets.live({name: trainer.run() for name, trainer in trainers.items()}, paths)
for name, last in finish.items():
    if last:
        cosine = last.trajectory.cosine
        print(f"{name:7} {last.step} steps, loss {last.loss:.2f}, mean cosine of the last tasks {cosine:+.3f}")

# %% [markdown]
# Set **right panel** to the weights, and see how far they are from 1, the weight in the mean. But be careful with
# curved trajectories. A steady drift gives a straight line, but a random walk in many dimensions looks like an arc in
# its first two principal axes.

# %%
random_walk = torch.randn(100, 2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(0)
drift = torch.arange(100, dtype=torch.float64)[:, None] * random_walk[:1]
for name, positions in (("steady drift", drift), ("random walk", random_walk)):
    plane = trajectory.Plane.of([positions])
    begin, middle, end = (f"{z:+.0f}" for z in plane.coordinates(positions)[[0, 50, 99], 1])
    print(f"{name}, coordinate along axis 2: start {begin}, middle {middle}, end {end}")
assert trajectory.Plane.of([drift]).shares[1] < 1e-9 < 0.1 < trajectory.Plane.of([random_walk]).shares[1]

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Four equal round tasks have their optima at (−1, 0), (3, 0), (0, 2) and (0, −1). What is the distance between the end
# points of O-AMFS and of the mean? (The geometric median of the corners of a convex quadrilateral is the point where
# its diagonals cross.)

# %% tags=["exercise"]
### BEGIN SOLUTION
apart = (0.5**2 + 0.25**2) ** 0.5
### END SOLUTION

# %% tags=["check"]
checks.ends_apart(apart)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the weights of O-AMFS. You are given the gradients `grads` (t, p), one gradient in each row. Return $c$ (t),
# divided by $\sum_j |c_j|$.

# %% tags=["exercise"]
def my_weights(grads):
    ### BEGIN SOLUTION
    units = grads / grads.norm(dim=1, keepdim=True)
    c = units @ units.sum(0)
    return c / c.abs().sum()
    ### END SOLUTION

# %% tags=["check"] points=2
checks.weights(my_weights)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# In the explorer with the arrows, press **uphill**. Move only **length**. From which length of the third gradient on
# does a small step of O-AMFS raise the mean loss?

# %% tags=["exercise"]
### BEGIN SOLUTION
uphill_from = 2.0
### END SOLUTION

# %% tags=["check"]
checks.uphill_from(uphill_from)

# %% [markdown]
# ## What we claimed
#
# For random gradients, $d = M S$. Round tasks of any curvature end at the geometric median, if it is none of the
# optima.

# %%
draw = torch.Generator().manual_seed(0)
start = torch.tensor([3.0, -3.0], dtype=torch.float64)
for _ in range(20):
    g = torch.randn(4, 3, generator=draw, dtype=torch.float64)
    M = sum(torch.outer(each, each) / each.norm() for each in g)
    S = (g / g.norm(dim=1, keepdim=True)).sum(0)
    assert torch.allclose(outer.PairwiseCosine("none")(g), M @ S)
    assert outer.PairwiseCosine("none")(g) @ S >= 0

# %%
corners = torch.tensor([[0.0, 0.0], [2.0, 0.2], [0.7, 1.9]], dtype=torch.float64)
for curvature in (0.2, 1.0, 3.0):
    h = torch.tensor([1.0, 1.0, curvature], dtype=torch.float64)
    three = planes.Quadratics(corners, h[:, None, None] * torch.eye(2, dtype=torch.float64))
    walk = planes.Walk(0.1, 4000, normalization="agreement").along(three, start)
    assert torch.allclose(walk["O-AMFS"][-1], planes.geometric_median(corners), atol=1e-6)
    assert torch.allclose(walk["mean"][-1], three.best(), atol=1e-6)

# %% [markdown]
# With *length*, a trajectory on a line ends at θ*, if nothing moves it off the line. A noisy task has less weight far
# from θ*, but not near θ*. Suppose that a step of O-AMFS raises the mean loss. Then it mostly lowers the loss of more
# than half of the tasks, and a step of the mean mostly does not.

# %%
on_a_line = torch.tensor([[-1.0, 0.0], [-0.5, 0.0], [2.0, 0.0]], dtype=torch.float64)
in_line = planes.Quadratics(on_a_line, torch.eye(2, dtype=torch.float64).expand(3, 2, 2))
for aside, rests in ((0.0, in_line.best()), (1e-3, planes.geometric_median(on_a_line))):
    from_right = torch.tensor([2.5, aside], dtype=torch.float64)
    went = planes.Walk(0.1, 2000, normalization="length").along(in_line, from_right)["O-AMFS"]
    assert (went[-1] - rests).norm() < 0.1

# %%
noise = torch.tensor([1.0, 1.0, 1.0, 1.0, 10.0], dtype=torch.float64)[:, None]
noisy = {}
for far in (3.0, 0.0):
    g = torch.randn(1000, 5, 2, generator=draw, dtype=torch.float64) * noise + torch.tensor([far, 0.0])
    c = torch.stack([outer.PairwiseCosine("none").weights(each) for each in g]).mean(0)
    noisy[far] = (c[-1] / c[:-1].mean()).item()
assert noisy[3.0] < 0.5 < 0.8 < noisy[0.0] < 1.25
g = torch.randn(1000, 5, 2, generator=draw, dtype=torch.float64) * torch.randn(1000, 5, 1, generator=draw).exp()
up = [(outer.PairwiseCosine()(each), each.mean(0), each) for each in g]
lowered = [((each @ d > 0).sum() > 2, (each @ m > 0).sum() > 2) for d, m, each in up if d @ m < 0]
assert sum(o for o, _ in lowered) > 0.8 * len(lowered) > 2 * sum(m for _, m in lowered)

# %% [markdown]
# The trajectories in the figure come from the rules of the library. With two tasks, O-AMFS changes only the length. The
# stored table agrees with the text.

# %%
theta = start
for _ in range(50):
    theta = theta - 0.1 * outer.PairwiseCosine("agreement")(three.gradients(theta))
assert torch.allclose(theta, walk["O-AMFS"][50])
two = torch.randn(2, 6, generator=draw, dtype=torch.float64) * torch.tensor([[1.0], [9.0]])
assert torch.allclose(outer.PairwiseCosine()(two), two.mean(0))
ahead = [setting for setting, nearer in verdicts.items() if nearer["θ*"] == "O-AMFS"]
assert ahead == ["one optimum, noise in one"]
outliers = [setting for setting in verdicts if "outlier" in setting]
assert all(verdicts[setting]["the best without the outlier"] == "O-AMFS" for setting in outliers)

# %%
with tempfile.TemporaryDirectory() as folder:
    for ending in ("svg", "png"):
        walks.picture(panel=1).savefig(Path(folder) / f"meta_updates.{ending}")
        assert (Path(folder) / f"meta_updates.{ending}").stat().st_size > 10_000

# %% [markdown]
# ## Where this breaks
#
# **O-AMFS may not come to rest.** With *unit* the step stays long even where $S$ goes to 0. With *length* it also stays
# long, unless the median is θ*. Then, at a fixed rate, the trajectory **chatters**: it oscillates around the median,
# with a radius that grows with the rate.

# %% [markdown]
# With *agreement* the step becomes shorter when $S$ does. O-AMFS comes to rest if the rate is small enough and the
# median is none of the optima (at an optimum, $S$ jumps). Cosine to mean chatters around θ*; with *length* its step
# becomes shorter near θ*, like the step of the mean.

# %%
median = planes.geometric_median(corners)
three = planes.Quadratics(corners, torch.eye(2, dtype=torch.float64).expand(3, 2, 2))
radius = {}
for normalization in ("length", "unit", "agreement"):
    for rate in (0.2, 0.1, 0.05):
        ends = planes.Walk(rate, 3000, normalization=normalization).along(three, start)["O-AMFS"][-100:]
        radius[normalization, rate] = (ends - median).norm(dim=1).mean().item()
        print(f"{normalization:9} rate {rate:4}: {radius[normalization, rate]:.2g} from the median at the end")
for normalization in ("length", "unit"):
    large, middle, small = (radius[normalization, rate] for rate in (0.2, 0.1, 0.05))
    assert large > 1.5 * middle > 2 * small > 1e-3
assert max(radius["agreement", rate] for rate in (0.2, 0.1, 0.05)) < 1e-6

# %% [markdown]
# **The majority can be wrong, and a minority can decide.** If more than half of the tasks have the *same* optimum, this
# optimum is the geometric median, wherever the others are. Fewer tasks can be enough: three tasks with one optimum can
# keep the median there, although four optima all lie to the right of it.

# %%
agreed = torch.tensor([[0.0, 0.0]] * 4 + [[9.0, 1.0], [7.0, -8.0], [30.0, 5.0]], dtype=torch.float64)
assert planes.geometric_median(agreed).norm() < 1e-6  # four of seven
split = torch.tensor([[0.0, 0.0]] * 3 + [[9.0, 9.0], [9.0, -9.0], [9.0, 12.0], [9.0, -12.0]], dtype=torch.float64)
assert planes.geometric_median(split).norm() < 1e-6  # three of seven

# %% [markdown]
# **Bowls may not be round.** In *valleys* (long bowls), the point with $S = 0$ is in general not a geometric median.
# Then our theory does not say that the end point of O-AMFS is a good one.

# %%
where = {"mean": [], "O-AMFS": []}
for seed in range(40):
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(5, 2, 2, generator=draw, dtype=torch.float64)
    valleys = planes.Quadratics(torch.randn(5, 2, generator=draw, dtype=torch.float64), A @ A.mT)
    ends = planes.Walk(0.1, 1500, normalization="agreement").along(valleys, start)
    for rule, found in where.items():
        found.append(valleys.losses(ends[rule][-1]).amax())  # the largest loss of a task
gap = stats.paired_difference(torch.stack(where["O-AMFS"]), torch.stack(where["mean"]))
print("largest loss of a task, O-AMFS − mean:", gap)

# %% [markdown]
# **Our reading may not be the paper's.** The paper does not say if $w_{jj} = 1$ counts, and what $Z$ is. Without
# $w_{jj}$, two tasks with orthogonal gradients would give no step at all.

# %%
right_angle = torch.eye(2, dtype=torch.float64)
cosines = right_angle @ right_angle.T
assert (cosines.sum(0) - 1 == 0).all()  # without w_jj
assert torch.equal(outer.PairwiseCosine("none").weights(right_angle), torch.ones(2, dtype=torch.float64))

# %% [markdown]
# ## In three sentences
#
# O-AMFS weights each task by the sum of the cosines between its gradient and all gradients, so long gradients do not
# get more weight. In round bowls it ends at the geometric median of the optima, while the mean ends at θ*, the minimum
# of the mean loss. O-AMFS is better if one task is an outlier, or if all optima are equal and one task is very noisy.

# %% [markdown]
# ## The next question
#
# You now know both loops: one solve in the inner loop, and O-AMFS in the outer loop. What do they reach together on
# unseen letters, in the same time as MAML?
#
# Previous: [07 · The outer loop in the plane](07_outer_loop.ipynb) · Next: [09 · Full
# meta-training](09_meta_training.ipynb)
