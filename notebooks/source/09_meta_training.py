# %% [markdown]
# # 09 · Full meta-training: one solve, or many steps?
#
# **You will** train three meta-learners side by side on printed letters, and stop the training when you like. Then you
# will test them on alphabets that none of them has seen.
#
# 50 minutes · needs: lesson 01, gradients, what a convolutional network is · runs offline in two minutes of computing
#
# A learner may train for a short time. Then it gets five letters of an unknown alphabet, with one example each. Is it
# better to train for many small steps on these examples, or for one solve?

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
# The letters for training and for testing come from different scripts. A **task** (or **episode**) is five letters with
# one example each, the **support set**, and 75 more images to recognise, the **query set**. Here is a task of the test
# scripts. The bandwidth σ (sigma) of the kernel is set for raw pixels, and comparing raw pixels is often wrong.

# %%
letters = explore.CharacterExplorer(task=3)
letters

# %%
shape = tasks.EpisodeConfig(ways=5, shots=1, queries=15)
train, test = (tasks.open_source("glyphs", split, shape) for split in ("train", "test"))
known, unknown = ({label.split("/")[0] for label in source.labels} for source in (train, test))
print(f"{train.classes} letters of {len(known)} scripts for training")
print(f"{test.classes} letters of {len(unknown)} other scripts for testing: {', '.join(sorted(unknown))}")

# %% [markdown]
# ## Three methods
#
# All three methods use the same network, a Conv-4. It maps an image to *features*: a point in a space where distances
# should be meaningful. The methods differ in how they learn a task, and in how they combine tasks.
#
# **MAML** learns a task by five gradient steps on the support set. Its outer loop changes the start of these steps,
# differentiates through all five, and takes the mean over the tasks.

# %% [markdown]
# **I-AMFS** learns a task by one solve on the features $z$ of the support set, with the RBF kernel of lesson 01 and its
# Gram matrix $K$:
#
# $$\alpha = (K + \lambda I)^{-1} y \qquad f(z) = \sum_i \alpha_i\, k(z, z_i)$$
#
# In words: find weights α (alpha) of the bumps on the five examples, so that their sum is close to the labels $y$. The
# regulariser λ (lambda) keeps the weights small. The outer loop changes the network, σ and a factor in front of $f$, so
# that one solve is enough.

# %%
z = train[0].support.x.flatten(1)
y = train[0].support.targets
K = kernels.rbf_kernel(z, z, kernels.median_bandwidth(z))
alpha = ridge.solve(K, y, lam=0.1)
assert torch.allclose(K @ alpha + 0.1 * alpha, y, atol=1e-5)  # (K + λI) α = y
print("answers of the solve for the five examples themselves:", (K @ alpha).argmax(1).tolist())

# %% [markdown]
# **AMFS** is I-AMFS with another outer loop, **O-AMFS**. Let θ (theta) be all numbers that the outer loop changes. Let
# $g_j$ be the gradient, with respect to θ, of the loss of task $j$: the cross-entropy on its query set. O-AMFS gives
# each gradient a weight $c_j$, which says how well it agrees with all gradients.
#
# $$c_j = Z \sum_i w_{ij} \qquad w_{ij} = \frac{\langle g_i, g_j \rangle}{\lVert g_i \rVert\, \lVert g_j \rVert} \qquad
# \theta \leftarrow \theta - \beta \sum_j c_j\, g_j$$

# %% [markdown]
# In words: $c_j$ is $Z$ times the sum of the cosines between $g_j$ and all gradients, itself included. β (beta) is the
# outer learning rate. The next cell computes the weights by hand, and compares them with the library.

# %%
grads = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
units = grads / grads.norm(dim=1, keepdim=True)
w = units @ units.T
c = w.sum(0)
c = c * grads.mean(0).norm() / (c @ grads).norm()  # Z: the step is as long as the mean's step
assert torch.allclose(c, outer.PairwiseCosine().weights(grads), atol=1e-6)
print("weights of four random tasks:", [f"{weight:.2f}" for weight in c])

# %% [markdown]
# ### Our reading
#
# The paper does not say how long the step is, so we introduce the factor $Z$. The default of this course, `"length"`,
# makes the step of O-AMFS as long as the step of the mean, unless the weights cancel. So only the direction differs,
# and any gain or loss of O-AMFS comes from the direction. It is also our reading that the cosine of a task with itself
# counts ($w_{jj} = 1$). And this lesson uses μ = 0 and γ = 0: it leaves out two more terms of the paper's inner loop
# (lesson 04).

# %% [markdown]
# Before the training, look at the outer loop alone. The thin arrows are the gradients of three tasks, and the last one
# conflicts with the others. Each thick arrow is the combined gradient of one rule.

# %%
widgets.predict(
    "Two gradients have an angle below 180°. At which angles do O-AMFS and the mean have different directions?",
    options=["never", "only beyond 90°", "always"],
    answer=explore.conflict.questions.answer_when_two_tasks_disagree,
    because={
        "only beyond 90°": "beyond 90° the cosine is negative, but c₁ and c₂ still contain the same cosines, 1 and cos",
        "always": "c₁ adds up 1 and the cosine of the two gradients, and c₂ adds up the same two numbers",
        "never": "Both weights are 1 + cos, so they are equal. Only the length could change, and Z keeps it the same.",
    },
)

# %%
conflict = explore.ConflictExplorer()
conflict

# %% [markdown]
# Set **tasks** to 2 and move **angle**: the arrows of the mean and of O-AMFS have the same direction. Set **tasks** to
# 3 and move **angle** beyond 90°. Now the arrows clearly differ, and at larger angles the O-AMFS weight of the last
# task is negative.

# %% [markdown]
# ## The race
#
# Every method trains for the same number of seconds. The methods take turns: the next step always belongs to the method
# that has used the least time. A fourth training is a control: **i-amfs again** is I-AMFS with another random seed. It
# differs from I-AMFS only by chance.

# %%
short = bool(os.environ.get("AMFS_LAB_FAST"))  # in tests: a few steps only
budget = {"steps": 4} if short else {"steps": 100_000, "seconds": 20.0}
every = {"width": 32, "validate_every": 0} | budget
methods = {name: config.preset(name, **every) for name in ("i-amfs", "amfs", "maml")}
methods["i-amfs again"] = replace(methods["i-amfs"], method="i-amfs again", seed=1)
settings = methods["maml"]
clock = f"{settings.steps} steps" if short else f"{settings.seconds:g} s"
print(f"{len(methods)} trainings, each for {clock}")
print(f"{settings.tasks} tasks per step, Conv-4 of width {settings.width}, Adam with {settings.meta_lr:g}")
print(f"MAML: {settings.inner.steps} inner steps with learning rate {settings.inner.lr:g}, second order")
print(f"BatchNorm of all methods: {settings.norm}")
results, race = {}, explore.MetaTrainingExplorer()

# %% [markdown]
# Choose an answer to the next two questions. Your computer does not know the results yet, so it keeps your choices
# until then. The number of steps in the second question, `mark`, is fixed now, because a later choice could favour one
# method. *Ahead* is a rule: if three learners are equally good, it names a winner in at most one case of twenty.

# %%
contest, winners = ("i-amfs", "amfs", "maml"), ["I-AMFS", "AMFS", "MAML", "no clear winner"]
mark, early, measured_early = 2 if short else 30, {}, {}


def ahead(measured):
    """The training that is ahead of both others on unseen letters; None until all three are measured."""
    rows = {name: measured[name].per_episode for name in contest if name in measured}
    return compare.ahead(rows) if len(rows) == len(contest) else None


# %%
at_equal_time = widgets.predict(
    "After equal training TIME: which method is ahead of both others on unseen letters?",
    options=winners,
    answer=lambda: ahead(results),
)
at_equal_time

# %%
at_equal_steps = widgets.predict(
    "After the same number of STEPS (`mark`): which method is ahead of both others on unseen letters?",
    options=winners,
    answer=lambda: ahead(measured_early),
)
at_equal_steps

# %%
race


# %%
def run(name):
    """Runs one training, and keeps a copy of the learner after `mark` meta-steps."""
    for progress in trainers[name].run():
        if progress.step == mark:
            early[name] = copy.deepcopy(trainers[name].learner)
        yield progress


# %%
trainers = {name: training.MetaTrainer(settings) for name, settings in methods.items()}  # a new race each time
finish = await widgets.live({name: run(name) for name in trainers}, race)
for name, last in finish.items():
    if last:
        print(f"{name:12} {last.step:4} steps in {last.seconds:4.1f} s: {last.seconds / last.step:.3f} s per step")

# %% [markdown]
# During the training you can move **smoothing**, or press **Stop** to end the race early and continue with what was
# learned. The curves show training tasks; the next section tests unseen letters. Switch **against** from seconds to
# meta-steps and compare: one step of MAML takes as long as several steps of the others. For another race, run the cell
# again: all methods start again.

# %% [markdown]
# ## Unseen letters
#
# Now all learners get the same test tasks: letters of scripts that no training task contained. Episode $i$ is the same
# for every method, because it depends only on its number.

# %%
episodes = 30 if short else 200
for name, trainer in trainers.items():
    results[name] = evaluation.evaluate(trainer.learner, test, episodes)
    print(f"{name:12} {results[name].accuracy.percent()}, norm: {methods[name].norm}")
for name, learner in early.items():
    measured_early[name] = evaluation.evaluate(learner, test, episodes)
    print(f"{name:12} after {mark} steps {measured_early[name].accuracy.percent()}")

# %% [markdown]
# An accuracy without an interval says little. But two separate intervals do not answer the question. Some episodes are
# hard for every method, and this effect is in both accuracies. Subtract the accuracies episode by episode, and the
# common effect cancels.

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
# Set **episodes** to fewer episodes: then almost no pair differs clearly, and with fewer than 30 there is no interval
# at all. Four learners make six pairs, so there are six chances of an error. For this reason the intervals in the
# figure hold for all pairs together. They are wider than the printed intervals, which hold for one pair each.

# %% [markdown]
# ### May I look again?
#
# Such an interval is valid for *one* number of episodes that was fixed before. Here are four simulated learners whose
# true accuracies are **equal**. Move **episodes** from 50 to all, and look for a pair whose interval leaves the zero
# line: a stop there would give a false winner. Now set **interval for** to any number of looks. This is a **confidence
# sequence**: it is wider, and it is valid at all numbers of episodes together.

# %%
equals = explore.CompareExplorer(compare.equal_learners(seed=22), episodes="the first 50")
equals

# %% [markdown]
# For the same reason, `mark` was fixed before the race. You could press **Stop** at any moment: if you stop when your
# favourite method leads, it will seem to be the best.
#
# ### What is the interval about?
#
# With more episodes, an interval over episodes becomes as short as you like. But all episodes use the same few scripts.
# For *other* scripts, the number of scripts matters:

# %%
for name in ("i-amfs", "maml"):
    print(f"{name:6} on more episodes: {results[name].accuracy.percent()}")
    print(f"{'':6} on other scripts: {results[name].over_groups.percent('scripts')}")
over_scripts = results["i-amfs"].minus_over_groups(results["maml"])
print("i-amfs − maml on other scripts:", over_scripts.points("scripts"))

# %% [markdown]
# Does O-AMFS help? AMFS and I-AMFS differ only in the outer loop. But a question about *methods* needs several
# trainings of each method. You have three trainings: one of AMFS, and two of I-AMFS. Compare the difference of the
# methods with the difference between two seeds:

# %%
gap = results["amfs"].minus(results["i-amfs"])
luck = results["i-amfs again"].minus(results["i-amfs"])
print(f"AMFS − I-AMFS, another outer loop:     {gap.points()}")
print(f"I-AMFS again − I-AMFS, another seed:   {luck.points()}")
means = {name: result.accuracy.mean for name, result in results.items()}
again = [means["i-amfs"], means["i-amfs again"]]
print("over trainings:", compare.against_luck("AMFS", "I-AMFS", [means["amfs"]], again))

# %% [markdown]
# An interval over episodes can separate two trainings of *one* method, and it is right: the two learners differ. It
# does not say which method is better. With three trainings, the interval over trainings is so wide that only a very
# large difference is clear. With three of each method, a difference of four times the standard deviation between seeds
# is usually found (`docs/statistics.md` has the table).

# %% [markdown]
# The weights also tell you something. If they are all near one over the number of tasks, the step of O-AMFS is nearly
# the step of the mean.

# %%
learner = trainers["amfs"].learner
gradients = learner.task_gradients([train[100_000 + t] for t in range(8)]).rows
weights = outer.PairwiseCosine().weights(gradients)
mean_direction = gradients.mean(0)
cosine = torch.cosine_similarity(weights @ gradients, mean_direction, dim=0)
print("weights of eight real tasks:", [f"{weight:.2f}" for weight in weights], f"(in the mean: {1 / 8:.2f})")
print(f"cosine between the step of O-AMFS and the step of the mean: {cosine:.3f}")

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# The gradients of tasks 1 and 2 have exactly the same direction, and the gradient of task 3 has exactly the opposite
# direction. Add up the three cosines of task 3, with $Z = 1$. Which weight $c_3$ does O-AMFS give to task 3?

# %% tags=["exercise"]
### BEGIN SOLUTION
third_weight = -1
### END SOLUTION

# %% tags=["check"]
checks.lone_opponent(third_weight)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the inner loop of I-AMFS. You are given the Gram matrix `K` (n, n), the targets `y` (n, classes) and λ as `lam`.
# Return α. `torch.linalg.solve(A, b)` gives the $x$ with $Ax = b$. Give the identity the dtype of `K`.


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
# In the conflict explorer, press **Reset**, and set **spread** to 0 and **length** to 1. Now tasks 1 and 2 have equal
# gradients, and the gradient of task 3 has the same length. From which angle on, in degrees, is the O-AMFS weight of
# task 3 *negative*? (The loss of task 3 begins to rise at a smaller angle.)

# %% tags=["exercise"]
### BEGIN SOLUTION
turning_angle = 120
### END SOLUTION

# %% tags=["check"]
checks.turning_angle(turning_angle)

# %% [markdown]
# ## What we claimed
#
# No test script occurs in the training, and every method was tested on the same episodes.

# %%
assert not known & unknown  # no script is in both
again = tasks.open_source("glyphs", "test", shape)
assert torch.equal(again[7].query.x, test[7].query.x)  # episode 7 is always the same
assert all(len(result.per_episode) == episodes for result in results.values())
assert torch.isclose((weights @ gradients).norm(), mean_direction.norm())  # Z keeps the length of the step

# %% [markdown]
# Meta-training also helps on unseen letters: the next cell compares a few steps from scratch with no step at all, on
# the same episodes.

# %%
pupil = training.MetaTrainer(config.preset("i-amfs", width=32, steps=20, validate_every=0))
pupil.learner.start(train[0])
before = evaluation.evaluate(pupil.learner, test, 30)
*_, progress = pupil.run()
after = evaluation.evaluate(pupil.learner, test, 30)
print(f"{progress.step} steps of I-AMFS: {after.minus(before).points()}")
assert after.minus(before).low > 0

# %% [markdown]
# A learner that is saved and loaded again gives the same results.

# %%
with tempfile.TemporaryDirectory() as folder:
    runs.save_learner(Path(folder), pupil.learner, pupil.config, progress)
    returned, settings = runs.load_learner(folder)
assert settings == pupil.config
assert torch.equal(evaluation.evaluate(returned, test, 30).per_episode, after.per_episode)

# %% [markdown]
# ## Where this breaks
#
# **Test one query alone.** With `norm: transductive`, the network's BatchNorm takes its statistics from all images of a
# forward pass, including the other queries. The published results of MAML use this setting. So the scores of a query
# depend on the other queries:

# %%
task, alone = test[0], torch.arange(1)
everyone = returned.scores(task)[:1]
single = returned.scores(type(task)(task.support, tasks.Examples(task.query.x[alone], task.query.y[alone], 5)))
print("scores of the first query among 75:", [f"{score:.2f}" for score in everyone[0]])
print("scores of the same query alone:    ", [f"{score:.2f}" for score in single[0]])
assert not torch.allclose(everyone, single, atol=1e-3)

# %% [markdown]
# The setting `norm="support"` takes the statistics only from the support set. Then the other queries have no effect,
# and you can classify one query without the other 74.

# %%
honest = config.preset("i-amfs", width=32, norm="support").build()
honest.start(task)
everyone = honest.scores(task)[:1]
single = honest.scores(type(task)(task.support, tasks.Examples(task.query.x[alone], task.query.y[alone], 5)))
assert torch.allclose(everyone, single, atol=1e-4)
print("norm=support: the same scores, alone or with the other queries")

# %% [markdown]
# **Change the number of letters.** MAML's network ends in five outputs, so MAML cannot learn a task with ten letters.
# The solve has no such limit: it uses one column of labels for each letter.

# %%
ten = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=10, shots=1, queries=15))
try:
    trainers["maml"].learner.scores(ten[0])
except ValueError as error:
    print(f"MAML: {error}")
print("I-AMFS on ten letters:", evaluation.evaluate(trainers["i-amfs"].learner, ten, 20).accuracy.percent())

# %% [markdown]
# ## In three sentences
#
# I-AMFS learns a task by one solve on features, and meta-training learns features for which one solve is enough. To
# compare learners, test them on the same episodes, subtract the accuracies episode by episode, and fix the number of
# episodes before you look. To compare methods, train each method with several seeds, because the seed alone can change
# the accuracy.

# %% [markdown]
# ## The next question
#
# This lesson used one seed, one data set and a short training. What is still true with several seeds, on Omniglot, with
# tuned learning rates? Lesson 10 will answer this, but it is not ready yet.
#
# Previous: [08 · Task conflict and O-AMFS](08_task_conflict.ipynb) · Back to the map: [00 · Start
# here](00_start_here.ipynb)
