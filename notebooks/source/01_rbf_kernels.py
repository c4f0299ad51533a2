# %% [markdown]
# # 01 · RBF kernels: similarity with a dial
#
# **You will** turn a distance into a similarity, read a Gram matrix, and see what the dial σ does to what a model can
# learn.
#
# 30 minutes · needs: vectors, exponentials, what an eigenvalue is · runs offline in seconds
#
# Two sketches of a letter are never equal. How alike is alike enough?

# %%
import torch

from amfs_lab import checks, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.kernels import questions, rbf

# %% [markdown]
# Below, six points lie on a line. The heat map says how alike each pair of them is: dark is alike, white is not. One
# dial, **σ** (the Greek letter sigma), sets how far similarity reaches.

# %% [markdown]
# The lower left panel shows the six *eigenvalues* of that table. Take them for now as six directions to learn in: a
# high point is a direction with much to learn along it, a low one is nearly dead. Commit to an answer before you
# touch the dial.

# %%
widgets.predict(
    "σ stands at 0.6. You double it. How many of the six eigenvalues stay above 1 % of the largest?",
    options=["more", "fewer", "the same number"],
    answer=questions.answer_rank_when_sigma_doubles,
    because={
        "more": "a wider kernel makes points more alike, so the rows of the table become more alike too",
        "the same number": "two rows of the table that become equal leave one direction less to tell them apart",
        "fewer": "Points that grow alike share their directions: one gets long, the others die.",
    },
)

# %%
dial = explore.RbfExplorer("six points")
dial

# %% [markdown]
# Move σ slowly from 0.6 to 1.2 and watch the lower left panel: filled points turn hollow as they sink under the dashed
# line. Then press **narrow** and **wide**. Narrow, every point is like itself only; wide, all six are nearly one, and
# two directions are left.
#
# Point at a cell of the heat map. The two points of that pair light up on the line, and the blue bump shows how the
# first one sees its neighbours.

# %% [markdown]
# ## Say it precisely
#
# $$k(x, x') = \exp\left(-\frac{\lVert x - x' \rVert^2}{2\sigma^2}\right)$$
#
# Read aloud: the similarity of two points is *e* to the minus half of their squared distance, counted in σs. This is
# the **RBF kernel** (radial basis function), and σ is its **bandwidth**, in the same unit as the distance. The table
# of all pairs is the **Gram matrix** $K$, with $K_{ij} = k(x_i, x_j)$.

# %%
for apart in (0.0, 0.5, 1.0, 1.5, 3.0):
    similarity = kernels.rbf_kernel(torch.tensor([[0.0]]), torch.tensor([[apart]]), bandwidth=1.0)
    print(f"{apart} σ apart: {100 * similarity.item():5.1f} % similar")

# %% [markdown]
# Those percentages are worth knowing by heart. They hold for every σ, because only the distance *in σs* enters.

# %% [markdown]
# ## Build it once by hand
#
# Six lines of plain loops. Then the library's function on the same points, and an assert that the two agree.

# %%
x, sigma = rbf.POINTS["six points"], 0.6
K = torch.empty(6, 6, dtype=x.dtype)
for i in range(6):
    for j in range(6):
        distance_squared = ((x[i] - x[j]) ** 2).sum()
        K[i, j] = torch.exp(-distance_squared / (2 * sigma**2))

assert torch.allclose(K, kernels.rbf_kernel(x, x, sigma))
print(K.numpy().round(2))

# %% [markdown]
# The library calls the dial `bandwidth`, and so does every lesson here. If you know scikit-learn: its `gamma` is
# $1/(2\sigma^2)$, a different number for the same kernel. In this course γ means something else, from lesson 04 on.

# %% [markdown]
# ## What σ does to learning
#
# Now give each point a label. A model that learns with this kernel draws a curve as a weighted sum of bumps of width
# σ, one bump on each labelled point.

# %%
widgets.predict(
    "The curve must pass near every label. You make σ very small. What does it do between two points?",
    options=["falls back to zero", "joins them by a straight line", "overshoots"],
    answer=explore.ridge.questions.answer_between_two_points,
    because={
        "joins them by a straight line": "each bump ends some three σ from its own point: what is left half-way?",
        "overshoots": "bumps that hardly touch can't add up to more than the larger of them",
        "falls back to zero": "No bump reaches there, and a sum of nothing is zero.",
    },
)

# %%
learner = explore.RidgeExplorer()
learner

# %% [markdown]
# Pull σ to its left end: the curve becomes a row of spikes, one at each point, close to its label, and nearly zero
# between them. Pull it to the right end: one stiff curve that can't follow the labels any more. The good σ lies between
# the two. The dial λ (lambda) with its buttons **too free** and **too stiff**, the two panels on the right (what a
# filter keeps along each direction) and the *degrees of freedom* are the subject of lesson 02: leave them aside, and λ
# where it is.

# %% [markdown]
# ## Use it: real characters
#
# The points were a picture. Here are letters: five of one *task*, one printed example each, and 75 more images to
# recognise. An image of 28 × 28 grey values is a point too, in a space of 784 dimensions, and distance works as
# before.

# %%
task = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))[0]
support, query = task.support.x.flatten(1), task.query.x.flatten(1)
sigma = kernels.median_bandwidth(support)
print(f"{len(support)} examples, {len(query)} queries, {support.shape[1]} pixels each")
print(f"the median distance between two examples is {sigma:.1f}")
print(kernels.rbf_kernel(support, support, sigma).numpy().round(2))

# %% [markdown]
# The median distance is where a bandwidth usually starts: there, one half of the pairs is more than 61 % alike and the
# other half less. A query gets the letter of the example that is most similar to it, its *nearest neighbour*.

# %%
widgets.predict(
    "You move σ from 5 to 10. How many of the 75 queries change their nearest example?",
    options=["none", "a few", "most"],
    answer=questions.answer_accuracy_when_sigma_grows,
    because={
        "a few": "for one query σ is the same in all five similarities: can it change which of them is the largest?",
        "most": "for one query σ is the same in all five similarities: can it change which of them is the largest?",
        "none": "The exponential falls with distance whatever σ is, so the nearest example stays the most similar.",
    },
)

# %%
letters = explore.CharacterExplorer("one example each")
letters

# %% [markdown]
# Move σ to the right and watch the bars: all of them grow, and their order stays. Then move **query** and look for
# one that goes wrong: its own letter is marked, the winner is not always it. Set **shots**, the examples
# of each letter, to 5: more examples, more chances to resemble one.

# %% [markdown]
# One task is an anecdote. Here are two hundred, with an interval around the mean: about 95 of 100 intervals made this
# way hold the true mean.

# %%
def nearest_accuracy(task, sigma):
    K_qs = kernels.rbf_kernel(task.query.x.flatten(1), task.support.x.flatten(1), sigma)
    return (task.support.y[K_qs.argmax(1)] == task.query.y).float().mean()


sources = {shots: tasks.open_source("glyphs", "test", tasks.EpisodeConfig(5, shots, 15)) for shots in (1, 5)}
for shots, source in sources.items():
    pixels = torch.stack([nearest_accuracy(source[i], 10.0) for i in range(200)])
    print(f"nearest neighbour on raw pixels, shots = {shots}: {stats.accuracy_interval(pixels).percent('tasks')}")
print(f"guessing: {100 / 5:.0f} %")

# %% [markdown]
# Better than guessing, and far from reading. The kernel is not to blame: pixels are the wrong distance. Lesson 09
# keeps this kernel and *learns* the space it measures in.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Two points lie 2σ apart. How similar are they? Take a pencil, put the distance 2σ into the formula, and watch σ
# cancel. Write it as a decimal number, with three decimals.

# %% tags=["exercise"]
### BEGIN SOLUTION
two_sigma_apart = 0.135
### END SOLUTION

# %% tags=["check"]
checks.two_away(two_sigma_apart)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the kernel for whole sets of points: `x1` has n rows, `x2` has m rows, and the result has n rows and m
# columns. No loops: `x1[:, None] - x2[None]` holds all differences at once, in a tensor of shape (n, m, d).

# %% tags=["exercise"]
def my_rbf(x1, x2, bandwidth):
    ### BEGIN SOLUTION
    differences = x1[:, None] - x2[None]
    squared = (differences**2).sum(-1)
    return torch.exp(-squared / (2 * bandwidth**2))
    ### END SOLUTION

# %% tags=["check"] points=2
checks.rbf(my_rbf)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# Go back to the first explorer and press **wide**: two directions are alive, says the sentence under the figure. Pull
# σ down. What is the widest σ at which all six are alive? Type into the box beside the dial for fine steps; two digits
# behind the point are enough.

# %% tags=["exercise"]
### BEGIN SOLUTION
widest_sigma = 0.64
### END SOLUTION

# %% tags=["check"]
checks.widest_alive(widest_sigma, rbf.POINTS["six points"])

# %% [markdown]
# ## What we claimed
#
# Each line is a sentence of this lesson. It runs, here, on ten random sets of points at three bandwidths.

# %%
draw = torch.Generator().manual_seed(1)
clouds = [torch.randn(8, 3, generator=draw, dtype=torch.float64) for _ in range(10)]
for cloud in clouds:
    for sigma in (0.3, 1.0, 10.0):
        K = kernels.rbf_kernel(cloud, cloud, sigma)
        assert torch.equal(K, K.T)  # symmetric: a is as like b as b is like a
        assert ((K > 0) & (K <= 1)).all()  # a similarity, between never and always
        assert ridge.Spectrum.of(K).eigenvalues.min() > -1e-12  # positive semi-definite
        assert torch.isclose(K.trace(), torch.tensor(8.0, dtype=K.dtype))  # trace n: everything is like itself

# %% [markdown]
# The two ends of the dial, and what doubling does on the way.

# %%
for cloud in clouds:
    ones, identity = torch.ones(8, 8, dtype=cloud.dtype), torch.eye(8, dtype=cloud.dtype)
    assert torch.allclose(kernels.rbf_kernel(cloud, cloud, 1e-3), identity)  # σ → 0: everyone is alone
    assert torch.allclose(kernels.rbf_kernel(cloud, cloud, 1e5), ones)  # σ → ∞: all are one, and K has rank one
    alive = [rbf.alive(cloud, 0.1 * 2**doubling) for doubling in range(12)]
    assert alive == sorted(alive, reverse=True)  # on these points, doubling σ never wakes a direction
    assert (alive[0], alive[-1]) == (8, 1)  # from all to one
    assert torch.allclose(kernels.rbf_kernel(3 * cloud, 3 * cloud, 3.0), kernels.rbf_kernel(cloud, cloud, 1.0))  # units

# %% [markdown]
# And on the letters: σ does not change who is nearest, and raw pixels are better than guessing, though far from
# right.

# %%
for i in range(20):
    assert nearest_accuracy(sources[1][i], 5.0) == nearest_accuracy(sources[1][i], 10.0)
one_shot = stats.mean_interval(torch.stack([nearest_accuracy(sources[1][i], 10.0) for i in range(200)]))
assert 1 / 5 < one_shot.low < one_shot.high < 0.6

# %% [markdown]
# ## Where this breaks
#
# **Far too narrow.** On paper σ never changes who is nearest. In the computer's 32-bit numbers it does: press **too
# narrow** on the letters. Every similarity is smaller than the smallest number there is, and all of them become
# exactly zero. Among equal numbers the first is called the largest, so every query is read as letter 1, in each task
# alike.

# %%
narrow = torch.stack([nearest_accuracy(sources[1][i], 0.2) for i in range(200)])
K_qs = kernels.rbf_kernel(query, support, 0.2)
print(f"the largest of {K_qs.numel()} similarities at σ = 0.2: {K_qs.max().item()}")
print("nearest neighbour:", stats.accuracy_interval(narrow).percent("tasks"))
assert K_qs.max() == 0
assert (narrow == 1 / 5).all()  # one letter of five, in each task

# %% [markdown]
# **A point twice.** Press **a point twice** on the first explorer: two rows of $K$ are equal, so one eigenvalue is
# zero at every σ. If their labels differ, no function has them both. The solve of the next lesson settles in the
# middle, however small its λ is.

# %%
twice = rbf.POINTS["a point twice"]
K = kernels.rbf_kernel(twice, twice, 0.4)
y = torch.arange(6.0, dtype=K.dtype)[:, None]
for lam in (1e-2, 1e-4, 1e-6):
    fitted = (K @ ridge.solve(K, y, lam))[1:3, 0]
    print(f"λ = {lam:g}: the labels {y[1].item():g} and {y[2].item():g} become {fitted[0]:.3f} and {fitted[1]:.3f}")
assert torch.equal(K[1], K[2])
assert ridge.Spectrum.of(K).eigenvalues.min().abs() < 1e-12

# %% [markdown]
# **The wrong distance.** Shift a letter by three pixels. You see the same letter; the kernel sees one that is hardly
# more similar than another letter altogether.

# %%
shifted = task.support.x.roll(3, dims=-1).flatten(1)
K = kernels.rbf_kernel(support, shifted, kernels.median_bandwidth(support))
others = K[~torch.eye(5, dtype=torch.bool)]
print(f"with itself, shifted: {K.diagonal().mean():.2f} on average; with another letter, shifted: {others.mean():.2f}")
assert K.diagonal().mean() - others.mean() < 0.1

# %% [markdown]
# ## The next question
#
# You can say how alike two images are. How does a model turn five examples and these similarities into a decision, in
# one step, and what does λ do in it? Lesson 02 opens that step up.
#
# Previous: [00 · Start here](00_start_here.ipynb) · Next: [02 · One solve, one filter](02_one_solve_one_filter.ipynb)
