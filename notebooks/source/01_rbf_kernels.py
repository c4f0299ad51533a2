# %% [markdown]
# # 01 · RBF kernels: similarity with a dial
#
# **You will** turn a distance into a similarity, read a Gram matrix, and see how the bandwidth σ changes what a model
# can learn.
#
# 30 minutes · needs: vectors, exponentials, what an eigenvalue is · runs offline in seconds
#
# Two drawings of a letter are never equal. How similar must they be to count as the same letter?

# %%
import torch

from amfs_lab import checks, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.kernels import questions, rbf

# %% [markdown]
# Below, six points lie on a line. The heat map shows how similar each pair of points is: a dark cell means similar, a
# white cell means not similar. The slider **σ** (the Greek letter sigma) sets how far similarity reaches.

# %% [markdown]
# The lower left panel shows the six **eigenvalues** of this table. Each eigenvalue belongs to one eigenvector of the
# table, here called an **eigen-direction**. A model can learn much along an eigen-direction with a large eigenvalue,
# and almost nothing along one with a tiny eigenvalue. (Lesson 02 explains why.) Answer the question before you move σ.

# %%
widgets.predict(
    "σ is 0.6. You double it. How many of the six eigenvalues stay above 1 % of the largest?",
    options=["more", "fewer", "the same number"],
    answer=questions.answer_rank_when_sigma_doubles,
    because={
        "more": "a wider kernel makes the rows of the table more similar, so the small eigenvalues become smaller",
        "the same number": "a wider kernel makes the rows of the table more similar. If two rows became equal, one "
        "eigenvalue would be zero",
        "fewer": "A larger σ makes the rows of the table more similar. The largest eigenvalue grows, and the sum "
        "of all six stays 6. So less is left for the others.",
    },
)

# %%
six_points = explore.RbfExplorer("six points")
six_points

# %% [markdown]
# Move σ slowly from 0.6 to 1.2 and watch the lower left panel. A dot becomes hollow when its eigenvalue falls below the
# dashed line. Then press **narrow** and **wide**. With a small σ each point resembles only itself, and all six
# eigenvalues are large. With a large σ all six points look alike, and only two eigenvalues stay above the line.

# %% [markdown]
# Point at a cell of the heat map. The upper left panel marks the two points of this pair. The blue curve is the
# similarity of the first point to every place on the line; it is called a **bump**.

# %% [markdown]
# ## Say it precisely
#
# $$k(x, x') = \exp\left(-\frac{\lVert x - x' \rVert^2}{2\sigma^2}\right)$$
#
# Read aloud: take the squared distance, divide it by two σ squared, and raise *e* to minus this number. This is the
# **RBF kernel** (radial basis function). σ is its **bandwidth**, in the same unit as the distance. The table of all
# pairs is the **Gram matrix** $K$, with $K_{ij} = k(x_i, x_j)$.

# %%
for apart in (0.0, 0.5, 1.0, 1.5, 3.0):
    similarity = kernels.rbf_kernel(torch.tensor([[0.0]]), torch.tensor([[apart]]), bandwidth=1.0)
    print(f"{apart} σ apart: {100 * similarity.item():5.1f} % similar")

# %% [markdown]
# Remember these percentages. They hold for every σ, because only the distance in units of σ matters.

# %% [markdown]
# ## Build it once by hand
#
# The next cell computes $K$ with plain loops. Then it calls the library's function on the same points and asserts that
# both results agree.

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
# The library calls σ `bandwidth`, and so does every lesson. If you know scikit-learn: its `gamma` is $1/(2\sigma^2)$, a
# different number for the same kernel. In this course γ means something else, from lesson 04 on.

# %% [markdown]
# ## What σ does to learning
#
# Now there are other points on a line, and each point has a label. A model with this kernel draws a curve. The curve is
# a weighted sum of bumps of width σ, one bump on each labelled point.

# %%
widgets.predict(
    "The curve must pass near every label. You make σ very small. What does the curve do between two points?",
    options=["falls back to zero", "joins them by a straight line", "overshoots"],
    answer=explore.ridge.questions.answer_between_two_points,
    because={
        "joins them by a straight line": "each bump is nearly zero at a distance of three σ. Half-way between two "
        "points, no bump is left to form a line",
        "overshoots": "to overshoot, the bumps must add up to more than the labels. Half-way between two points, each "
        "bump is nearly zero",
        "falls back to zero": "Half-way between two points, each bump is nearly zero. So the sum is nearly zero.",
    },
)

# %%
learner = explore.RidgeExplorer()
learner

# %% [markdown]
# Move σ to its left end. The curve has a narrow spike at each point: it is close to each label, and nearly zero between
# the points. Move σ to its right end. Now the curve is so smooth that it can't follow the labels. A good σ lies between
# the two ends.

# %% [markdown]
# Leave λ (lambda) where it is. Lesson 02 explains λ, the buttons **too free** and **too stiff**, and the two panels on
# the right.

# %% [markdown]
# ## Use it: real characters
#
# Now take one **task** with real letters: five letters, one printed example of each, and 75 more images to recognise.
# An image of 28 × 28 grey values is a point, too, in a space of 784 dimensions. The distance of two images is computed
# as before.

# %%
task = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))[0]
support, query = task.support.x.flatten(1), task.query.x.flatten(1)
sigma = kernels.median_bandwidth(support)
print(f"{len(support)} examples, {len(query)} queries, {support.shape[1]} pixels each")
print(f"the median distance between two examples is {sigma:.1f}")
print(kernels.rbf_kernel(support, support, sigma).numpy().round(2))

# %% [markdown]
# The median distance of the examples is a common first choice for σ. At this σ, half of the pairs are more than 61 %
# similar, and the other half are less similar. The most similar example of a query is its **nearest neighbour**. The
# query gets the letter of its nearest neighbour.

# %%
widgets.predict(
    "You move σ from 5 to 10. For how many of the 75 queries does the nearest neighbour change?",
    options=["none", "a few", "most"],
    answer=questions.answer_accuracy_when_sigma_grows,
    because={
        "a few": "all similarities of a query change together, because σ is the same in all of them. So the order "
        "of the examples stays the same",
        "most": "the similarities change much, but σ is the same in all of them. So the order of the examples "
        "stays the same",
        "none": "At every σ, the similarity falls with the distance. So the nearest neighbour stays the same.",
    },
)

# %%
letters = explore.CharacterExplorer("one example each")
letters

# %% [markdown]
# Move σ to the right and watch the bars: all bars grow, and their order stays the same. Then move **query** until the
# longest bar is not the bar *its own*. Set **shots**, the number of examples of each letter, to 5. Now each bar shows
# the most similar of five examples.

# %% [markdown]
# One task is too few to measure an accuracy. Here are two hundred tasks, with a 95 % interval around the mean. About 95
# of 100 intervals made this way contain the true mean.

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
# The nearest neighbour is better than guessing, but makes many mistakes. The reason is not the kernel but the distance:
# pixels are compared. Lesson 09 keeps this kernel and *learns* the space in which distances are measured.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# The distance of two points is 2σ. How similar are they? Put the distance 2σ into the formula: σ cancels. Write the
# similarity as a decimal number with three decimals.

# %% tags=["exercise"]
### BEGIN SOLUTION
two_sigma_apart = 0.135
### END SOLUTION

# %% tags=["check"]
checks.two_away(two_sigma_apart)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the kernel for two sets of points. `x1` has n rows, `x2` has m rows, and the result has n rows and m columns.
# Use no loops: `x1[:, None] - x2[None]` holds all differences at once, in a tensor of shape (n, m, d).

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
# Go back to the first explorer and press **wide**. The sentence under the figure counts the eigenvalues above 1 % of
# the largest. Move σ down. What is the largest σ at which all six eigenvalues are above this limit? Type σ into the box
# beside the slider; two decimals are enough.

# %% tags=["exercise"]
### BEGIN SOLUTION
widest_sigma = 0.64
### END SOLUTION

# %% tags=["check"]
checks.widest_alive(widest_sigma, rbf.POINTS["six points"])

# %% [markdown]
# ## What we claimed
#
# Each assert tests a claim of this lesson, on ten random sets of points and at three bandwidths.

# %%
draw = torch.Generator().manual_seed(1)
clouds = [torch.randn(8, 3, generator=draw, dtype=torch.float64) for _ in range(10)]
for cloud in clouds:
    for sigma in (0.3, 1.0, 10.0):
        K = kernels.rbf_kernel(cloud, cloud, sigma)
        assert torch.equal(K, K.T)  # symmetric: a is as similar to b as b is to a
        assert ((K > 0) & (K <= 1)).all()  # each similarity lies between 0 and 1
        assert ridge.Spectrum.of(K).eigenvalues.min() > -1e-12  # positive semi-definite: no negative eigenvalue
        assert torch.isclose(K.trace(), torch.tensor(8.0, dtype=K.dtype))  # the trace is the number of points

# %% [markdown]
# Both ends of the slider σ, and the effect of doubling σ:

# %%
for cloud in clouds:
    ones, identity = torch.ones(8, 8, dtype=cloud.dtype), torch.eye(8, dtype=cloud.dtype)
    assert torch.allclose(kernels.rbf_kernel(cloud, cloud, 1e-3), identity)  # σ → 0: each point resembles only itself
    assert torch.allclose(kernels.rbf_kernel(cloud, cloud, 1e5), ones)  # σ → ∞: all are alike, and K has rank one
    alive = [rbf.alive(cloud, 0.1 * 2**doubling) for doubling in range(12)]  # eigenvalues above 1 % of the largest
    assert alive == sorted(alive, reverse=True)  # on these points, doubling σ never gives more large eigenvalues
    assert (alive[0], alive[-1]) == (8, 1)  # their number falls from all to one
    stretched = kernels.rbf_kernel(3 * cloud, 3 * cloud, 3.0)
    assert torch.allclose(stretched, kernels.rbf_kernel(cloud, cloud, 1.0))  # only distances in units of σ matter

# %% [markdown]
# On the letters, σ does not change the nearest neighbour. Raw pixels are better than guessing, but they give many
# mistakes.

# %%
for i in range(20):
    assert nearest_accuracy(sources[1][i], 5.0) == nearest_accuracy(sources[1][i], 10.0)
one_shot = stats.mean_interval(torch.stack([nearest_accuracy(sources[1][i], 10.0) for i in range(200)]))
assert 1 / 5 < one_shot.low < one_shot.high < 0.6

# %% [markdown]
# ## Where this breaks
#
# **Far too small a σ.** In exact arithmetic σ never changes the nearest neighbour. In 32-bit numbers it can: press
# **too narrow** on the letters. Every similarity is smaller than the smallest positive 32-bit number, so all
# similarities become exactly zero. If all numbers are equal, `argmax` returns the first. So every query gets letter 1,
# in each task.

# %%
narrow = torch.stack([nearest_accuracy(sources[1][i], 0.2) for i in range(200)])
K_qs = kernels.rbf_kernel(query, support, 0.2)
print(f"the largest of {K_qs.numel()} similarities at σ = 0.2: {K_qs.max().item()}")
print("nearest neighbour:", stats.accuracy_interval(narrow).percent("tasks"))
assert K_qs.max() == 0
assert (narrow == 1 / 5).all()  # one letter of five, in each task

# %% [markdown]
# **A repeated point.** Press **a point twice** on the first explorer: two rows of $K$ are equal, so one eigenvalue is
# zero at every σ. If the two labels differ, no function has both values at one place. The smaller λ is, the closer the
# solve of the next lesson comes to the mean of the two labels.

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
# **The wrong distance.** Shift a letter by three pixels. You see the same letter. For the kernel, the shifted letter is
# hardly more similar to the original than another shifted letter is.

# %%
shifted = task.support.x.roll(3, dims=-1).flatten(1)
K = kernels.rbf_kernel(support, shifted, kernels.median_bandwidth(support))
others = K[~torch.eye(5, dtype=torch.bool)]
print(f"with itself, shifted: {K.diagonal().mean():.2f} on average; with another letter, shifted: {others.mean():.2f}")
assert K.diagonal().mean() - others.mean() < 0.1

# %% [markdown]
# ## In three sentences
#
# The RBF kernel turns the distance of two points into a similarity between 0 and 1, and the bandwidth σ sets how far
# similarity reaches. With a small σ each point resembles only itself, and with a large σ all points look alike and only
# a few eigenvalues stay large. On raw pixels the most similar example is often the wrong letter, and no σ changes that.

# %% [markdown]
# ## The next question
#
# You can now measure how similar two images are. How does a model turn five examples and these similarities into a
# decision, in one step? What does λ do in this step? Lesson 02 answers both questions.
#
# Previous: [00 · Start here](00_start_here.ipynb) · Next: [02 · One solve, one filter](02_one_solve_one_filter.ipynb)
