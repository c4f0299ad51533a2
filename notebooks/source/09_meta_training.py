# %% [markdown]
# # 09 · Full meta-training: one solve, or many steps?
#
# **You will** train three meta-learners side by side on printed letters, stop them when you like, and judge them on
# alphabets that none of them has seen.
#
# 50 minutes · needs: lesson 01, gradients, what a convolutional network is · runs offline in two minutes of computing
#
# You have a short while of computing, and then someone shows you five letters of an unknown alphabet, once each.
# Should you have practised to learn in many small steps, or in one?

# %%
import copy
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from amfs_lab import checks, config, evaluation, explore, kernels, outer, ridge, runs, tasks, training, widgets
from amfs_lab.explore.training import compare

# %% [markdown]
# Training and test letters come from different scripts. A *task* (or *episode*) is five letters with one example
# each, the **support set**, and 75 more images to recognise, the **query set**. Here is a task of the test scripts; σ
# is set for raw pixels, and raw pixels are often wrong.

# %%
letters = explore.CharacterExplorer(task=3)
letters

# %%
shape = tasks.EpisodeConfig(ways=5, shots=1, queries=15)
train, test = (tasks.open_source("glyphs", split, shape) for split in ("train", "test"))
known, unknown = ({label.split("/")[0] for label in source.labels} for source in (train, test))
print(f"{train.classes} letters of {len(known)} scripts to train on")
print(f"{test.classes} letters of {len(unknown)} other scripts to be judged on: {', '.join(sorted(unknown))}")

# %% [markdown]
# ## Three methods
#
# All three share one network, a Conv-4: it turns an image into *features*, a point in a space where distance should
# mean something. They differ in how a task is learned, and in how tasks are put together.
#
# **MAML** learns a task by five gradient steps on the support set. Its outer loop moves the starting point of those
# steps, by differentiating through all five. Tasks are averaged.

# %% [markdown]
# **I-AMFS** learns a task by one solve on the features $z$ of the support set, with the RBF kernel of lesson 01:
#
# $$\alpha = (K + \lambda I)^{-1} y \qquad f(z) = \sum_i \alpha_i\, k(z, z_i)$$
#
# In words: find the weights of the bumps on the five examples so that their sum meets the labels, λ (lambda) holding
# it back a little. The outer loop moves the network, σ and a factor in front of $f$, so that one such solve is enough.

# %%
z = train[0].support.x.flatten(1)
y = train[0].support.targets
K = kernels.rbf_kernel(z, z, kernels.median_bandwidth(z))
alpha = ridge.solve(K, y, lam=0.1)
assert torch.allclose(K @ alpha + 0.1 * alpha, y, atol=1e-5)  # (K + λI) α = y
print("labels the solve would give the five examples themselves:", (K @ alpha).argmax(1).tolist())

# %% [markdown]
# **AMFS** is I-AMFS with another way to put tasks together, **O-AMFS**. Let θ (theta) be all that the outer loop moves,
# and $g_j$ the gradient, by θ, of task $j$'s loss: the cross-entropy of its queries. Instead of the mean, each gradient
# gets a weight: how much it agrees with all of them.
#
# $$c_j = Z \sum_i w_{ij} \qquad w_{ij} = \frac{\langle g_i, g_j \rangle}{\lVert g_i \rVert\, \lVert g_j \rVert} \qquad
# \theta \leftarrow \theta - \beta \sum_j c_j\, g_j$$
#
# In words: the cosines of task $j$ with every task, itself included, added up; β (beta) is the length of a step. Built
# by hand and held against the library:

# %%
grads = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
units = grads / grads.norm(dim=1, keepdim=True)
w = units @ units.T
c = w.sum(0)
c = c * grads.mean(0).norm() / (c @ grads).norm()  # Z: as long a step as the mean's
assert torch.allclose(c, outer.PairwiseCosine().weights(grads), atol=1e-6)
print("weights of four random tasks:", [f"{weight:.2f}" for weight in c])

# %% [markdown]
# ### Our reading
#
# The paper leaves open how long the step is. We name the factor that decides it $Z$. The course's default, `"length"`,
# makes the step of O-AMFS as long as the mean's, unless its weights cancel: only its direction differs, and what O-AMFS
# gains or loses is due to the direction. That a task's cosine with itself counts, $w_{jj} = 1$, is our reading as well.
# So is μ = 0 and γ = 0 in this lesson: the two further terms of the paper's inner loop are left out.

# %% [markdown]
# Before the race, look at the outer loop alone. The thin arrows are gradients of three tasks, the last one in
# conflict with the others. Each thick arrow is what one rule makes of them.

# %%
widgets.predict(
    "Two tasks, any angle short of 180° between their gradients. Does O-AMFS point elsewhere than the mean?",
    options=["never", "only beyond 90°", "always"],
    answer=explore.conflict.questions.answer_when_two_tasks_disagree,
    because={
        "only beyond 90°": "write down c₁ and c₂: which cosines does each of them add up?",
        "always": "write down c₁ and c₂: which cosines does each of them add up?",
        "never": "Both weights are 1 + cos, so only the length could change, and Z takes that out.",
    },
)

# %%
conflict = explore.ConflictExplorer()
conflict

# %% [markdown]
# Set **tasks** to 2 and move **angle**: the arrows of the mean and of O-AMFS lie on each other. Set it to 3 and move
# **angle** past 90°: now they part visibly, and the bar of the lonely task falls, for O-AMFS even below zero.

# %% [markdown]
# ## The race
#
# Every method gets the same seconds of training, in turns of one step: next is always the one that has used the least
# time. A fourth runner keeps us honest: **i-amfs again**, the same method with another seed. What divides it from
# I-AMFS is luck.

# %%
short = bool(os.environ.get("AMFS_LAB_FAST"))  # the tests' short path: steps, not seconds
budget = {"steps": 4} if short else {"steps": 100_000, "seconds": 20.0}
every = {"width": 32, "validate_every": 0} | budget
methods = {name: config.preset(name, **every) for name in ("i-amfs", "amfs", "maml")}
methods["i-amfs again"] = replace(methods["i-amfs"], method="i-amfs again", seed=1)
settings = methods["maml"]
clock = f"{settings.steps} steps" if short else f"{settings.seconds:g} s"
print(f"{len(methods)} runners, each trains for {clock}")
print(f"{settings.tasks} tasks a step, Conv-4 of width {settings.width}, Adam at {settings.meta_lr:g}")
print(f"MAML: {settings.inner.steps} inner steps at rate {settings.inner.lr:g}, second order")
print(f"BatchNorm of all of them: {settings.norm}")
results, race = {}, explore.MetaTrainingExplorer()

# %% [markdown]
# Two questions, and nobody knows the answers on your computer yet. Choose; your answers wait until the numbers are
# in. The number of steps in the second one, `mark`, is fixed now: whoever may choose it later can choose the winner.
# *Ahead* is a rule that names a winner among three equally good learners in fewer than one case of twenty.

# %%
contest, winners = ("i-amfs", "amfs", "maml"), ["I-AMFS", "AMFS", "MAML", "no clear winner"]
mark, early, measured_early = 2 if short else 30, {}, {}


def ahead(measured):
    """Of the three trainings, the one that is ahead of both others on unseen letters; None until all are measured."""
    rows = {name: measured[name].per_episode for name in contest if name in measured}
    return compare.ahead(rows) if len(rows) == len(contest) else None


# %%
at_equal_time = widgets.predict(
    "After equal TIME: which training is ahead of both others on unseen letters?",
    options=winners,
    answer=lambda: ahead(results),
)
at_equal_time

# %%
at_equal_steps = widgets.predict(
    "After the same number of STEPS, `mark`: which training is ahead of both others on unseen letters?",
    options=winners,
    answer=lambda: ahead(measured_early),
)
at_equal_steps

# %%
race


# %%
def run(name):
    """The meta-steps of one training; its learner after `mark` of them is put aside."""
    for progress in trainers[name].run():
        if progress.step == mark:
            early[name] = copy.deepcopy(trainers[name].learner)
        yield progress


# %%
trainers = {name: training.MetaTrainer(settings) for name, settings in methods.items()}  # fresh, for a race each time
finish = await widgets.live({name: run(name) for name in trainers}, race)
for name, last in finish.items():
    if last:
        print(f"{name:12} {last.step:4} steps in {last.seconds:4.1f} s: {last.seconds / last.step:.3f} s a step")

# %% [markdown]
# While it runs, the page stays alive: move **smoothing**, or press **Stop** to end the race early and go on with what
# was learned so far. The curves show training tasks; what may be said of unseen letters comes next. Switch
# **against** from seconds to meta-steps, and look again: a step of MAML costs several of the others. For another race
# run the cell again: all start afresh.

# %% [markdown]
# ## Unseen letters
#
# Now the same test tasks for all: letters of scripts that no training task showed. Episode $i$ is the same for every
# method, because it depends on nothing but its number.

# %%
episodes = 30 if short else 200
for name, trainer in trainers.items():
    results[name] = evaluation.evaluate(trainer.learner, test, episodes)
    print(f"{name:12} {results[name].accuracy.percent()}, norm: {methods[name].norm}")
for name, learner in early.items():
    measured_early[name] = evaluation.evaluate(learner, test, episodes)
    print(f"{name:12} after {mark} steps {measured_early[name].accuracy.percent()}")

# %% [markdown]
# An accuracy without an interval is an anecdote. But two intervals side by side ask the wrong question: some episodes
# are hard for everybody, and that luck is in both. Subtract episode by episode, and it cancels.

# %%
comparison = explore.CompareExplorer({name: result.per_episode for name, result in results.items()})
comparison

# %%
for one, other in (("amfs", "i-amfs"), ("i-amfs", "maml"), ("amfs", "maml")):
    gap = results[one].minus(results[other])
    print(f"{one} − {other}: {gap.points()}")
print("equal time: ", at_equal_time.settle())
print("equal steps:", at_equal_steps.settle())

# %% [markdown]
# Pull **episodes** down: with few episodes nearly nothing can be told apart, and with fewer than 30 there is no
# interval at all. Four learners make six pairs, and six chances of an error. The intervals in the figure therefore hold
# for all pairs together, and are wider than those that were printed last.

# %% [markdown]
# ### May I look again?
#
# Such an interval keeps its promise for *one* number of episodes, fixed before. Here are four made-up learners whose
# true accuracies are **equal**. Move **episodes** from 50 to all, and watch for a pair that leaves the zero line: had
# you stopped there, you would have announced a winner. Now set **interval for** to any number of looks. This is a
# *confidence sequence*: it is wider, and holds at all numbers of episodes at once.

# %%
equals = explore.CompareExplorer(compare.equal_learners(seed=22), episodes="the first 50")
equals

# %% [markdown]
# That is why the step of the second question was fixed before the race. You could press **Stop** at any moment: whoever
# stops when their favourite leads will see it lead.
#
# ### What is the interval about?
#
# More episodes make an interval over episodes as short as you like, yet they are all made of the same few scripts.
# For *other* scripts, the number of scripts counts:

# %%
for name in ("i-amfs", "maml"):
    print(f"{name:6} on more episodes: {results[name].accuracy.percent()}")
    print(f"{'':6} on other scripts: {results[name].over_groups.percent('scripts')}")
over_scripts = results["i-amfs"].minus_over_groups(results["maml"])
print("i-amfs − maml on other scripts:", over_scripts.points("scripts"))

# %% [markdown]
# Does O-AMFS help? AMFS and I-AMFS differ in nothing else. But a question about *methods* needs other trainings, and
# we have three: one of AMFS, two of I-AMFS. Hold the difference against the luck of a seed:

# %%
gap = results["amfs"].minus(results["i-amfs"])
luck = results["i-amfs again"].minus(results["i-amfs"])
print(f"AMFS − I-AMFS, another outer loop:     {gap.points()}")
print(f"I-AMFS again − I-AMFS, another seed:   {luck.points()}")
means = {name: result.accuracy.mean for name, result in results.items()}
again = [means["i-amfs"], means["i-amfs again"]]
print("over trainings:", compare.against_luck("AMFS", "I-AMFS", [means["amfs"]], again))

# %% [markdown]
# An interval over episodes can tell two trainings of *one* method apart, and it is right: they differ. It can't say
# which method is better. With three trainings the interval over trainings is so wide that only a huge difference
# shows; with three of each method, one that is four times the luck of a seed is found nearly always
# (`docs/statistics.md` has the table).
#
# What the gradients say is worth a look, though: weights near one over the number of tasks mean that O-AMFS is nearly
# the mean, whatever the accuracies did.

# %%
learner = trainers["amfs"].learner
gradients = learner.task_gradients([train[100_000 + t] for t in range(8)]).rows
weights = outer.PairwiseCosine().weights(gradients)
mean_direction = gradients.mean(0)
cosine = torch.cosine_similarity(weights @ gradients, mean_direction, dim=0)
print("weights of eight real tasks:", [f"{weight:.2f}" for weight in weights], f"against {1 / 8:.2f} of the mean")
print(f"cosine between the step of O-AMFS and the mean's: {cosine:.3f}")

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Three tasks. The gradients of tasks 1 and 2 point exactly the same way, that of task 3 exactly the other way. Add up
# the three cosines of task 3, with $Z = 1$. Which weight $c_3$ does O-AMFS give it?

# %% tags=["exercise"]
### BEGIN SOLUTION
third_weight = -1
### END SOLUTION

# %% tags=["check"]
checks.lone_opponent(third_weight)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the inner loop of I-AMFS: from the Gram matrix `K` (n, n), the targets `y` (n, classes) and λ to α.
# `torch.linalg.solve(A, b)` gives the $x$ with $Ax = b$. Give the identity the dtype of `K`.


# %% tags=["exercise"]
def my_solve(K, y, lam):
    ### BEGIN SOLUTION
    identity = torch.eye(len(K), dtype=K.dtype)
    return torch.linalg.solve(K + lam * identity, y)
    ### END SOLUTION


# %% tags=["check"] points=2
checks.solve(my_solve)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# In the conflict explorer, press **Reset**, set **spread** to 0 and **length** to 1: tasks 1 and 2 agree, the third
# is as long as they are. Find the angle, in degrees, at which O-AMFS begins to give the third task a *negative* weight:
# there its bar falls below zero. (Its loss begins to rise earlier, because the other two outvote it.)

# %% tags=["exercise"]
### BEGIN SOLUTION
turning_angle = 120
### END SOLUTION

# %% tags=["check"]
checks.turning_angle(turning_angle)

# %% [markdown]
# ## What we claimed
#
# Letters for testing are strangers, and every method was judged on the same ones.

# %%
assert not known & unknown  # no script is in both
again = tasks.open_source("glyphs", "test", shape)
assert torch.equal(again[7].query.x, test[7].query.x)  # episode 7 is episode 7
assert all(len(result.per_episode) == episodes for result in results.values())
assert torch.isclose((weights @ gradients).norm(), mean_direction.norm())  # Z keeps the length of the step

# %% [markdown]
# Meta-training learns, also on letters it never saw: a few steps from scratch against no step at all, on the same
# episodes.

# %%
pupil = training.MetaTrainer(config.preset("i-amfs", width=32, steps=20, validate_every=0))
pupil.learner.start(train[0])
before = evaluation.evaluate(pupil.learner, test, 30)
*_, progress = pupil.run()
after = evaluation.evaluate(pupil.learner, test, 30)
print(f"{progress.step} steps of I-AMFS: {after.minus(before).points()}")
assert after.minus(before).low > 0

# %% [markdown]
# What was learned can be put away and comes back the same.

# %%
with tempfile.TemporaryDirectory() as folder:
    runs.save_learner(Path(folder), pupil.learner, pupil.config, progress)
    returned, settings = runs.load_learner(folder)
assert settings == pupil.config
assert torch.equal(evaluation.evaluate(returned, test, 30).per_episode, after.per_episode)

# %% [markdown]
# ## Where this breaks
#
# **Ask one query alone.** `norm: transductive` means that the network's BatchNorm takes its statistics from all
# images of a pass, the other queries included. Published numbers of MAML are made so. A query's scores then depend on
# its neighbours:

# %%
task, alone = test[0], torch.arange(1)
everyone = returned.scores(task)[:1]
single = returned.scores(type(task)(task.support, tasks.Examples(task.query.x[alone], task.query.y[alone], 5)))
print("scores of the first query among 75:", [f"{score:.2f}" for score in everyone[0]])
print("scores of the same query alone:    ", [f"{score:.2f}" for score in single[0]])
assert not torch.allclose(everyone, single, atol=1e-3)

# %% [markdown]
# The setting `norm="support"` takes the statistics from the support set only. Then the company does not matter, and
# nobody has to wait for 75 queries to answer one.

# %%
honest = config.preset("i-amfs", width=32, norm="support").build()
honest.start(task)
everyone = honest.scores(task)[:1]
single = honest.scores(type(task)(task.support, tasks.Examples(task.query.x[alone], task.query.y[alone], 5)))
assert torch.allclose(everyone, single, atol=1e-4)
print("norm=support: the same scores alone and in company")

# %% [markdown]
# **Change the number of letters.** MAML's network ends in five outputs, so a task of ten letters is out of its reach.
# The solve has no such end: it takes as many columns of labels as there are letters.

# %%
ten = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=10, shots=1, queries=15))
try:
    trainers["maml"].learner.scores(ten[0])
except ValueError as error:
    print(f"MAML: {error}")
print("I-AMFS on ten letters:", evaluation.evaluate(trainers["i-amfs"].learner, ten, 20).accuracy.percent())

# %% [markdown]
# ## The next question
#
# One seed, one data set, a short while of training: what of this holds with several seeds, on Omniglot, with tuned
# step lengths? That is lesson 10's question; it is on its way.
#
# Previous: [08 · Task conflict and O-AMFS](08_task_conflict.ipynb) · Back to the map: [00 · Start
# here](00_start_here.ipynb)
