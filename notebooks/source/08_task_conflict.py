# %% [markdown]
# # 08 · Task conflict and O-AMFS
#
# **You will** set tasks against each other, see what four rules make of their gradients, prove where O-AMFS ends, and
# learn when to want it and when not.
#
# 60 minutes · needs: lesson 07, inner products · runs offline in two minutes of computing
#
# Three tasks ask you to go left, one asks you to go right, and shouts. Do you take the mean, or do you listen to the
# majority? **O-AMFS**, the outer loop of the paper behind this course, weighs each task by how well it agrees with
# them all.

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
# Each thin arrow below is the gradient of one task, each thick one what a rule makes of them. An outer loop steps
# *against* its arrow.

# %%
widgets.predict(
    "Three tasks pull one way. The fourth pulls exactly the other way, twice as long. Its weight in O-AMFS is …",
    options=["small, but above zero", "zero", "below zero"],
    answer=questions.answer_weight_of_the_opponent,
    because={
        "small, but above zero": "add up its four cosines: one with itself, and three with the others.",
        "zero": "its cosines are 1 with itself and −1 with each of the three others. What is the sum?",
        "below zero": "1 − 1 − 1 − 1 is negative: its gradient is followed uphill. Its length does not change the sum.",
    },
)

# %%
arrows = explore.ConflictExplorer("conflict")
arrows

# %% [markdown]
# The bars are the weights. Move **angle** from 0° to 180°: the further the last task turns away, the less it weighs
# beside the others in O-AMFS, and in the end its bar is below zero. A step goes against its arrow, and where the
# arrow lies in the shaded half of the plane a small step lowers the mean loss. Press **uphill** and see which arrows
# leave it.

# %% [markdown]
# ## Say it precisely
#
# Let $g_1, \dots, g_T$ be the tasks' gradients and $u_j = g_j / \lVert g_j \rVert$ their directions. O-AMFS adds up the
# cosines $w_{ij} = \langle u_i, u_j \rangle$ and steps along
#
# $$d = Z \sum_j c_j\, g_j \qquad c_j = \sum_i w_{ij} = \langle S, u_j \rangle \qquad S = \sum_i u_i$$
#
# In words: each task has one vote, its direction; $S$ is the sum of the votes; a task counts by how far it points along
# $S$.

# %% [markdown]
# Three relatives, on the same gradients. The **mean** has $c_j = 1/T$. **Cosine to mean** replaces $S$ by the direction
# of the mean gradient, so that long gradients have more say. **PCGrad** (Yu and others 2020) takes from each gradient
# what points against another one, and averages.

# %% [markdown]
# $Z$ does not turn the step. It decides how long it is, and has a name: *length* makes it as long as the mean's, so
# that only the direction differs (a step of zero stays zero). *unit* makes $\sum_j |c_j| = 1$, *agreement* is $1/T^2$
# (and $1/T$ for cosine to mean), *none* is 1, the formula as printed. These three change the length too: in the
# figure above, switch **true lengths** on and go through **scale**.

# %% [markdown]
# ## Build it once by hand
#
# The double sum, letter by letter, and the library's two products.

# %%
draw = torch.Generator().manual_seed(8)
g = torch.randn(5, 12, generator=draw, dtype=torch.float64)
d = torch.zeros(12, dtype=torch.float64)
for i in range(5):
    for j in range(5):
        d += (g[i] @ g[j]) / (g[i].norm() * g[j].norm()) * g[j]
assert torch.allclose(d, outer.PairwiseCosine("none")(g))
print("O-AMFS turns the mean's step by", f"{explore.conflict.conflict.turned(d, g.mean(0)):.1f} degrees here")

# %% [markdown]
# ## What O-AMFS is after
#
# One line of algebra says where it ends. Put $c_j = u_j^\top S$ into the step:
#
# $$d = \sum_j g_j\, u_j^\top S = M\, S \qquad M = \sum_j \frac{g_j\, g_j^\top}{\lVert g_j \rVert} \succeq 0$$
#
# $M$ is a sum of squares, so $\langle d, S \rangle = S^\top M S \ge 0$: every step goes along the vote. It is 0 only
# where $S$ is orthogonal to every gradient, and as $S$ is made of their directions that means $S = 0$. So $M S$ is zero
# exactly where the **directions** cancel, and there O-AMFS rests. (One $Z$ adds a place: with *length* it also rests in
# $\theta^*$, where the mean's step has no length. Walks on a line can end there; in the plane the slightest push leads
# on.)

# %% [markdown]
# For round bowls of any curvature $u_j$ points from the optimum $\theta^*_j$ to θ. The sum of these is the slope of
# $\sum_j \lVert \theta - \theta^*_j \rVert$, the sum of *distances*. Its minimum is the **geometric median** of the
# optima; where that is one of the optima itself, the directions do not cancel around it and O-AMFS trembles about it.
# The mean rule ends in $\theta^*$, the minimum of the mean *loss*, which counts squares of distances.

# %%
M = sum(torch.outer(each, each) / each.norm() for each in g)
S = (g / g.norm(dim=1, keepdim=True)).sum(0)
assert torch.allclose(M @ S, d)
assert torch.linalg.eigvalsh(M).min() > -1e-12
assert d @ S >= 0

# %%
widgets.predict(
    "Four equal round tasks, one of them far from the others. Where does O-AMFS end?",
    options=["in θ*, where the mean ends", "in the geometric median"],
    answer=questions.answer_where_o_amfs_ends,
    because={
        "in θ*, where the mean ends": "at θ* the gradients themselves cancel. Do their directions cancel, too?",
        "in the geometric median": "There the four directions cancel. One task far away has one vote, as any other.",
    },
)

# %%
walks = explore.TrajectoryExplorer("one against three")
walks

# %% [markdown]
# This is the paper's Figure 1 to take hold of. The mean walks to the star, θ*. O-AMFS leaves it aside and walks to
# the hexagon, the geometric median, and cosine to mean stays about the star. Drag **task 4** further away: θ* follows
# it, the median hardly does. Then press **agreement**, where all four are near each other: the ends lie close
# together.

# %% [markdown]
# Press **curved task**: the last task is eight times as steep, so it pulls θ* to itself. Where O-AMFS ends does not
# depend on how curved a task is; only its way there does. Press **two opposed**: between two round tasks the votes
# cancel everywhere on the segment (dotted), every place of it is a geometric median, and O-AMFS stays where it
# starts. Press **chatter** and look at the lower right panel; why it trembles comes at the end.

# %% [markdown]
# For paper or slides, the left panel as a figure of its own; `walks.picture()` draws all three. Save it with
# `picture.savefig("meta_updates.svg")`, or `.png`.

# %%
picture = walks.picture(panel=1)
picture

# %% [markdown]
# ## When do you want it?
#
# A walk is an anecdote. Here are 500 random draws of each of thirteen settings. Every rule takes 400 equally long steps
# that shrink towards the end, so that only *direction* counts, and all distances are kept (`amfs-lab reproduce
# conflict`).

# %%
widgets.predict(
    "Five round tasks, drawn at random. Whose end is nearer to θ*, the minimum of the mean loss?",
    options=["O-AMFS", "the mean", "no difference"],
    answer=lambda: questions.answer_which_rule_ends_nearer("five round tasks"),
    because={
        "O-AMFS": "O-AMFS ends in the geometric median. How often is that θ*?",
        "no difference": "that would need θ* and the geometric median to coincide. Drag some optima above.",
        "the mean": "It walks to θ* itself. What O-AMFS is after is another place.",
    },
)

# %%
draws = explore.EndpointExplorer()
draws

# %% [markdown]
# Each curve is one rule, and a curve further left ends nearer. The bars on the right count draws by *O-AMFS − mean*:
# left of zero O-AMFS is nearer. Go through **setting**, at distance to **θ***: in which is O-AMFS ahead? Then press
# **an outlier** and **a noisy task**.

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
# So, in these settings: where three or more tasks want different things, O-AMFS ends farther from θ* than the mean;
# with two tasks it only changes the length.

# %% [markdown]
# It is ahead in two cases. If one task is an **outlier** that nobody should listen to, θ* is not what you want, and
# O-AMFS ends nearer to the others' θ*. And if all tasks want the same and *one* of them is very noisy, O-AMFS ends
# nearer; with noise in all of them it is a little behind. Far from θ* it gives the noisy one less weight. Near θ*,
# where nobody's gradient stands out from its noise, all weigh about alike.

# %% [markdown]
# That is a table of settings and no law. Two counter-examples. Put three equal round tasks at the corners of an
# equilateral triangle: they want different things, and yet the geometric median *is* θ*. And take *noise in one* from
# the table, but with optima a quarter as far apart: now O-AMFS ends nearer to θ*, because the noise matters more than
# the optima.

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
# ## Does it always go downhill?
#
# Along the vote, a small step does. On the mean loss, not always: $\langle d, \bar g \rangle$ can be negative, where
# $\bar g$ is the mean gradient. How often, for random gradients?

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
loud = share_uphill(outer.PairwiseCosine(), 5, 2, spread=1.0)
print(f"lengths that differ        O-AMFS uphill: {told(loud)}")
never = share_uphill(outer.MeanCosine(), 5, 2, spread=1.0)
print(f"the same                   cosine to mean uphill: {told(never)}")
assert never.mean == 0 < loud.low

# %% [markdown]
# Cosine to mean never goes uphill: its step is $M \bar g / \lVert \bar g \rVert$ with the same $M \succeq 0$. O-AMFS
# does, here most where lengths differ. Then it mostly lowers the loss of more than half of the tasks, and the mean
# mostly does not.

# %% [markdown]
# ## And real tasks?
#
# In the plane conflict is easy to come by. A network has many more directions. Below are task gradients of the small
# reader that comes with the course (lesson 05), for eight tasks from *one* script and for eight tasks of eight
# *different* scripts.

# %%
widgets.predict(
    "Eight tasks from one script, or one task each from eight scripts: where do gradients agree more?",
    options=["within one script", "across scripts", "no difference shown"],
    answer=questions.answer_where_tasks_agree,
)

# %%
alike, mixed = explore.conflict.conflict.real_conflict()
for name, found in (("one script", alike), ("eight scripts", mixed)):
    cosine, negative = (stats.mean_interval(each) for each in (found.mean_cosine, found.negative))
    print(f"{name:14} mean cosine {cosine}; pairs in conflict {negative.percent('meta-batches')}")
print("difference of the mean cosines:", stats.paired_difference(alike.mean_cosine, mixed.mean_cosine))

# %% [markdown]
# Either way the mean cosine is small, and most pairs of tasks stand nearly at a right angle. But cosines add up over
# the tasks, $c_j \approx 1 + (T - 1)\, m$ at a mean cosine $m$, and not equally for all. What is left of that in the
# *angle* of the step? Its *length* under agreement would be about $(1 + (T - 1)\, m) / T$ of the mean's if all
# gradients were equally long.

# %%
learner, shape = load_learner(pretrained.find())[0], tasks.EpisodeConfig(5, 1, 15)
real = learner.task_gradients([tasks.open_source("glyphs", "test", shape)[i] for i in range(8)]).rows
step, mean = outer.PairwiseCosine("agreement")(real), real.mean(0)
m = outer.measure(real).mean_cosine.item()
turn = explore.conflict.conflict.turned(step, mean)
print(f"mean cosine {m:.3f}; angle between O-AMFS and the mean {turn:.1f} degrees")
print(f"length of the step, in the mean's: {step.norm() / mean.norm():.3f}; by the formula {(1 + 7 * m) / 8:.3f}")
print("weights c_j:", [f"{c:.2f}" for c in outer.PairwiseCosine("none").weights(real).tolist()])
units = real / real.norm(dim=1, keepdim=True)
pairs = (units @ units.mT)[*torch.triu_indices(8, 8, 1)]
print(f"pairs within 10 degrees of a right angle: {(pairs.abs() < 0.174).double().mean():.0%}")
print("lengths of the gradients:", [f"{length:.2g}" for length in real.norm(dim=1).tolist()])

# %% [markdown]
# ## Where real training goes
#
# Two trainings from the same start, on the same tasks: I-AMFS takes the mean, AMFS the weights of O-AMFS. Their
# meta-parameters are drawn in the plane in which the two paths spread most. **Stop** ends it early.

# %%
short = bool(os.environ.get("AMFS_LAB_FAST"))  # the tests' short path: steps, not seconds
every = {"width": 32, "steps": 3 if short else 100, "validate_every": 0}
paths = explore.TrainingTrajectoryExplorer()
paths

# %%
trainers = {  # fresh, for a race each time
    name: training.MetaTrainer(config.preset(name, **every), trajectory=trajectory.CountSketch())
    for name in ("i-amfs", "amfs")
}
finish = await widgets.live({name: trainer.run() for name, trainer in trainers.items()}, paths)
for name, last in finish.items():
    if last:
        cosine = last.trajectory.cosine
        print(f"{name:7} {last.step} steps, loss {last.loss:.2f}, mean cosine of its last tasks {cosine:+.3f}")

# %% [markdown]
# Set **right panel** to the weights and see how far they stray from 1, the mean's. And beware of the curve of a path:
# a steady drift is a straight line, but a random walk in many dimensions looks like an arc in its first two principal
# axes.

# %%
random_walk = torch.randn(100, 2000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(0)
drift = torch.arange(100, dtype=torch.float64)[:, None] * random_walk[:1]
for name, positions in (("steady drift", drift), ("random walk", random_walk)):
    plane = trajectory.Plane.of([positions])
    begin, middle, end = (f"{z:+.0f}" for z in plane.coordinates(positions)[[0, 50, 99], 1])
    print(f"{name}: along axis 2 it begins at {begin}, has its middle at {middle} and ends at {end}")
assert trajectory.Plane.of([drift]).shares[1] < 1e-9 < 0.1 < trajectory.Plane.of([random_walk]).shares[1]

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Four equal round tasks have their optima at (−1, 0), (3, 0), (0, 2) and (0, −1). How far is the end of O-AMFS from the
# end of the mean? (The geometric median of the corners of a convex quadrilateral is where the diagonals cross.)

# %% tags=["exercise"]
### BEGIN SOLUTION
apart = (0.5**2 + 0.25**2) ** 0.5
### END SOLUTION

# %% tags=["check"]
checks.ends_apart(apart)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# The weights of O-AMFS. You are given the gradients `grads` (t, p), one a row. Return $c$ (t), divided by $\sum_j
# |c_j|$.

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
# In the arrows' explorer press **uphill**. Move **length** only. From which length of the third gradient on does a
# small step of O-AMFS raise the mean loss?

# %% tags=["exercise"]
### BEGIN SOLUTION
uphill_from = 2.0
### END SOLUTION

# %% tags=["check"]
checks.uphill_from(uphill_from)

# %% [markdown]
# ## What we claimed
#
# $d = M S$, on random gradients; and round tasks end in the geometric median, whatever their curvature, where that is
# none of the optima.

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
# With *length* a walk on a line ends in θ*, if nothing pushes it off. Far from θ* a noisy task weighs less, near θ* it
# does not. And a step uphill mostly lowers the loss of more than half of the tasks, where the mean mostly does not.

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
# The walks of the figure are those of the library's rules; two tasks change only the length; and the stored table says
# what the text says.

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
# **It does not come to rest.** *Unit* keeps the step long even where $S$ goes to 0, and so does *length* unless the
# median is θ*. Then a fixed rate chatters about the median, at a radius that follows the rate. *Agreement* lets the
# step shrink with $S$, and comes to rest if the rate is small enough and the median is none of the optima, where $S$
# jumps. Cosine to mean chatters about θ*; with *length* its step shrinks there, as the mean's does.

# %%
median = planes.geometric_median(corners)
three = planes.Quadratics(corners, torch.eye(2, dtype=torch.float64).expand(3, 2, 2))
radius = {}
for normalization in ("length", "unit", "agreement"):
    for rate in (0.2, 0.1, 0.05):
        ends = planes.Walk(rate, 3000, normalization=normalization).along(three, start)["O-AMFS"][-100:]
        radius[normalization, rate] = (ends - median).norm(dim=1).mean().item()
        print(f"{normalization:9} rate {rate:4}: {radius[normalization, rate]:.2g} from the median, at the end")
for normalization in ("length", "unit"):
    large, middle, small = (radius[normalization, rate] for rate in (0.2, 0.1, 0.05))
    assert large > 1.5 * middle > 2 * small > 1e-3
assert max(radius["agreement", rate] for rate in (0.2, 0.1, 0.05)) < 1e-6

# %% [markdown]
# **The majority can be wrong, and a minority can win.** If more than half of the tasks have the *same* optimum, the
# geometric median is there, wherever the others are. A majority that only looks the same way has no such power: three
# tasks with one optimum can keep the median against four that all lie to the right of it.

# %%
agreed = torch.tensor([[0.0, 0.0]] * 4 + [[9.0, 1.0], [7.0, -8.0], [30.0, 5.0]], dtype=torch.float64)
assert planes.geometric_median(agreed).norm() < 1e-6  # four of seven
split = torch.tensor([[0.0, 0.0]] * 3 + [[9.0, 9.0], [9.0, -9.0], [9.0, 12.0], [9.0, -12.0]], dtype=torch.float64)
assert planes.geometric_median(split).norm() < 1e-6  # three of seven

# %% [markdown]
# In valleys, bowls that are not round, $S = 0$ is in general no geometric median, and O-AMFS ends where no theorem of
# ours says anything good.

# %%
where = {"mean": [], "O-AMFS": []}
for seed in range(40):
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(5, 2, 2, generator=draw, dtype=torch.float64)
    valleys = planes.Quadratics(torch.randn(5, 2, generator=draw, dtype=torch.float64), A @ A.mT)
    ends = planes.Walk(0.1, 1500, normalization="agreement").along(valleys, start)
    for rule, found in where.items():
        found.append(valleys.losses(ends[rule][-1]).amax())  # of the task that fares worst
gap = stats.paired_difference(torch.stack(where["O-AMFS"]), torch.stack(where["mean"]))
print("loss of the task that fares worst, O-AMFS − mean:", gap)

# %% [markdown]
# **Whose votes count?** That $w_{jj} = 1$ counts, and what $Z$ is, is our reading: the paper leaves both open. Without
# $w_{jj}$ two tasks at a right angle would give no step at all.

# %%
right_angle = torch.eye(2, dtype=torch.float64)
cosines = right_angle @ right_angle.T
assert (cosines.sum(0) - 1 == 0).all()  # without w_jj
assert torch.equal(outer.PairwiseCosine("none").weights(right_angle), torch.ones(2, dtype=torch.float64))

# %% [markdown]
# ## The next question
#
# Both loops are on the table: one solve inside, a vote outside. What do they give together, on letters that nobody has
# seen, in the same time as MAML?
#
# Previous: [07 · The outer loop in the plane](07_outer_loop.ipynb) · Next: [09 · Full
# meta-training](09_meta_training.ipynb)
