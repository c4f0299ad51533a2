# %% [markdown]
# # 03 · The representer theorem: infinitely many functions, n bumps
#
# **You will** split a function into two parts: one part that the examples determine, and one part that is zero at every
# example. Then you will prove, with one slider, that the best function is a sum of bumps, one on each example.
#
# 60 minutes · needs: lesson 02's solve, inner products, arrows in space · runs offline in seconds
#
# Lesson 02 wrote the curve as a sum of bumps on the examples, and gave no reason. There are infinitely many other
# curves. Why is none of them better?

# %%
import torch

from amfs_lab import checks, errors, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.representer import perpendicular, questions

# %% [markdown]
# Start with arrows, because you can see them. The blue arrow **w** is the model: it gives a point x the value
# $\langle w, x \rangle$, the inner product of w and x (multiply entry by entry and add up). Two training points, x₁ and
# x₂, lie in a horizontal plane, the *floor*. Each point has a label. The **training loss** is half the sum of the
# squared residuals.

# %% [markdown]
# The blue arrow rises above the floor. Its **projection** **w∥** (say *w-parallel*) lies on the floor, straight below
# the tip of w. The **perpendicular part** **w⊥** (*w-perpendicular*) goes straight up from the projection to the tip:
# w = w∥ + w⊥. The slider **t** sets how much of w⊥ is kept.

# %%
widgets.predict(
    "You remove w⊥: t goes from 1 to 0. What does the training loss do?",
    options=["it rises", "it falls", "it stays the same"],
    answer=questions.answer_loss_when_the_part_is_removed,
    because={
        "it rises": "the loss depends only on ⟨w, x₁⟩ and ⟨w, x₂⟩, and the lost part w⊥ adds zero to both",
        "it falls": "w becomes shorter, but the loss does not contain the length of w. It depends only on ⟨w, x₁⟩ and "
        "⟨w, x₂⟩, and w⊥ adds zero to both",
        "it stays the same": "w⊥ is perpendicular to x₁ and x₂, so it adds zero to ⟨w, x₁⟩ and ⟨w, x₂⟩. The loss "
        "depends only on these two values.",
    },
)

# %%
arrows = explore.ProjectionExplorer("with w⊥")
arrows

# %% [markdown]
# Move **t** slowly from 1 to 0. On the left, the blue tip moves straight down to the floor. On the right, the dashed
# loss does not change, and the squared length ‖w‖² falls to its minimum. Then press **from above**. In this view w⊥ is
# hidden, and w looks like its projection.

# %% [markdown]
# ## Why the loss does not change
#
# $$\langle w, x_i \rangle = \langle w_\parallel, x_i \rangle + \langle w_\perp, x_i \rangle
# = \langle w_\parallel, x_i \rangle + 0 \qquad\qquad \lVert w \rVert^2 = \lVert w_\parallel \rVert^2 +
# \lVert w_\perp \rVert^2$$
#
# The left formula: w⊥ is perpendicular to each training point, so their inner product is zero. The right formula is
# Pythagoras. Together: **w⊥ does not change the loss, and it makes w longer**. If the length of w is penalised, even a
# little, the best w has no w⊥.

# %% [markdown]
# So the best w lies on the floor. The floor is the **span** of the two points: all sums α₁x₁ + α₂x₂. The dotted lines
# show the two terms of this sum. As in lesson 02, there is one **α** (alpha) for each training point. So two numbers
# describe the best of all arrows in space.

# %% [markdown]
# Press **one point** and **no points**. The span becomes a line, then only the zero arrow, and w⊥ becomes longer.

# %% [markdown]
# ## Build it once by hand
#
# Now take a space that nobody can draw: five points in 784 dimensions, as many as a small image has pixels. The Gram
# matrix $K$ holds all inner products of the points. The projection has the same values at the points as w. So one solve
# finds it: $K\alpha = (\langle w, x_i \rangle)_i$, with no λ.

# %%
draw = torch.Generator().manual_seed(4)
x = torch.randn(5, 784, generator=draw, dtype=torch.float64)
w = torch.randn(784, 1, generator=draw, dtype=torch.float64)
K = x @ x.T
alpha = torch.linalg.solve(K, x @ w)
parallel = x.T @ alpha  # a sum of the five points
rest = w - parallel

assert torch.allclose(alpha, ridge.solve(K, x @ w, lam=0.0))  # the library's solve, with λ = 0
assert (x @ rest).abs().max() < 1e-10  # w⊥ adds zero to every value
assert torch.isclose((w**2).sum(), (parallel**2).sum() + (rest**2).sum())  # Pythagoras
print(f"‖w‖² = {(w**2).sum():.0f}, and ‖w∥‖² = {(parallel**2).sum():.1f}")

# %% [markdown]
# Nearly all of a random w is perpendicular to the points. Only five directions of the 784 matter for the loss.

# %% [markdown]
# ## Functions are vectors, too
#
# Now take functions in place of arrows. Write $k(a, \cdot)$ for the bump with its top at $a$: the RBF kernel of lesson
# 01 with its first argument fixed at $a$. The dot stands for the free second argument. The functions of this lesson are
# sums of bumps,
#
# $$f = \sum_j c_j\, k(z_j, \cdot)$$
#
# with any centres $z_j$ and any coefficients $c_j$. The sum of two such functions, or a multiple of one, is again such
# a function.

# %% [markdown]
# Arrows also have lengths and right angles, and both come from the inner product. For two bumps, we *define* it as
#
# $$\langle k(a, \cdot),\, k(b, \cdot) \rangle = k(a, b)$$
#
# Read aloud: the inner product of two bumps is the similarity of their centres. So a bump has length one, and two bumps
# far apart are nearly perpendicular.

# %% [markdown]
# For sums of bumps, multiply out. The length of $f$ is called its **norm** $\lVert f \rVert$, and $\lVert f
# \rVert^2 = \langle f, f \rangle = \sum_j \sum_m c_j c_m\, k(z_j, z_m) = c^\top K c$.

# %% [markdown]
# A squared length must not be negative. Lesson 01 tested that a Gram matrix has no negative eigenvalue, so $c^\top K c$
# is not negative. You know this number: it is the *squared norm* in the objective of lesson 02. The next cell computes
# it for three bumps: a hill, a dip and a hill.

# %%
z, c = perpendicular.FUNCTIONS["hill and dip"]
sigma, squared_norm = 0.6, 0.0
for j in range(3):
    for m in range(3):
        squared_norm += c[j, 0] * c[m, 0] * torch.exp(-((z[j, 0] - z[m, 0]) ** 2) / (2 * sigma**2))

K_zz = kernels.rbf_kernel(z, z, sigma)
assert torch.isclose(squared_norm, (c.T @ K_zz @ c).squeeze())
print(f"‖f‖² = {squared_norm:.3f}")

# %% [markdown]
# What does the norm measure? Take two points and two functions. One has the smallest norm of all functions with the
# value 1 at both points. The other has the smallest norm of all functions with the values 1 and −1.

# %%
for apart in (3.0, 1.0, 0.3):  # in σs
    pair = torch.tensor([[0.0], [apart]], dtype=torch.float64)
    K = kernels.rbf_kernel(pair, pair, bandwidth=1.0)
    y = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)  # a column for each function
    squared_norms = (y * ridge.solve(K, y, lam=0.0)).sum(0)  # αᵀKα, with Kα = y
    print(f"{apart} σ apart: ‖f‖² = {squared_norms[0]:.2f} for 1 and 1, {squared_norms[1]:.2f} for 1 and −1")

# %% [markdown]
# If the two points are closer, equal values need a smaller norm, and opposite values need a larger norm. So a quick
# change, within a small distance in units of σ, needs a large norm. A function of small norm can't change quickly. But
# a large norm does not prove quick changes: two gentle hills far apart have twice the squared norm of one hill.

# %% [markdown]
# ## To evaluate is to take an inner product
#
# One more formula is needed for the theorem. Take the inner product of any f with the bump at x:
#
# $$\langle f, k(x, \cdot) \rangle = \sum_j c_j \langle k(z_j, \cdot), k(x, \cdot) \rangle = \sum_j c_j\, k(z_j, x)
# = f(x)$$
#
# So the value of f at x is an inner product, as with the arrows. The bump $k(x, \cdot)$ takes the place of the point x.
# This is called the **reproducing property**.

# %% [markdown]
# All sums of bumps and their limits, with this inner product, are the **reproducing kernel Hilbert space** of k, or
# **RKHS**.

# %% [markdown]
# Now split f in the same way as w. The bumps on the examples have a **span**: all sums of these bumps. **f∥** is the
# projection of f on this span, and **f⊥** is the part that is perpendicular to each of these bumps. By the formula
# above, the inner product of f⊥ with the bump at $x_i$ is the value $f_\perp(x_i)$. So *perpendicular to the bumps* and
# *zero at the examples* mean the same.

# %% [markdown]
# Below are a function f (blue) and four examples, also called **support points**. The dashed curve is f∥, and the lower
# panel shows f⊥.

# %%
widgets.predict(
    "You add support points one by one, from none to six. What does the norm of f⊥ do?",
    options=["it only shrinks", "it only grows", "it goes up and down"],
    answer=questions.answer_when_points_are_added,
    because={
        "it only grows": "each new point is one more place where f⊥ must be zero, so less of f is left for f⊥",
        "it goes up and down": "each new point makes the span larger, so the projection f∥ never becomes shorter. The "
        "norm of f stays the same, so f⊥ never becomes longer",
        "it only shrinks": "Each new point adds a bump to the span. So the projection f∥ becomes longer, and less of f "
        "is left for f⊥.",
    },
)

# %%
unseen = explore.PerpendicularExplorer("with f⊥")
unseen

# %% [markdown]
# Move **t** from 1 to 0. The blue curve moves to the dashed curve. The diamonds, its values at the points, do not
# change, and so the loss does not change. The striped part of the bar, the squared norm of t f⊥, becomes zero.

# %% [markdown]
# Press **with f⊥**, which sets t to 1 again, and move **points** from 0 to 6. With each new point, the lower curve is
# zero at one more place, and the striped part of the bar shrinks. Press **many points**: almost nothing of f⊥ is left.

# %% [markdown]
# ## Say it precisely
#
# $$f = f_\parallel + f_\perp, \qquad f_\parallel = \sum_{i=1}^{n} \alpha_i\, k(x_i, \cdot), \qquad
# K_{SS}\,\alpha = f(x_S), \qquad f_\perp(x_i) = 0$$
#
# Here $K_{SS}$ is the Gram matrix of the n support points, and $f(x_S)$ is the column of the values of f there. Read
# aloud: the projection is the sum of bumps on the points that has the values of f at the points. Every f has exactly
# one projection, and the squared norms of f∥ and f⊥ add up to $\lVert f \rVert^2$. If no point is repeated, there is
# also exactly one α.

# %%
x = perpendicular.PLACES["apart"][:4]
K_ss, K_zs = kernels.rbf_kernel(x, x, sigma), kernels.rbf_kernel(z, x, sigma)
alpha = torch.linalg.solve(K_ss, K_zs.T @ c)  # f(x_S) = K_sz c: to evaluate f at the points
parallel_norm = (alpha.T @ K_ss @ alpha).squeeze()

assert torch.allclose(alpha, ridge.solve(K_ss, K_zs.T @ c, lam=0.0))
at_points = K_zs.T @ c - K_ss @ alpha  # f − f∥ there
assert at_points.abs().max() < 1e-12
print(f"‖f‖² = {squared_norm:.3f}, ‖f∥‖² = {parallel_norm:.3f}, and so ‖f⊥‖² = {squared_norm - parallel_norm:.3f}")

# %% [markdown]
# You can compute the norm of f⊥ without f∥. Each bump has a perpendicular part $k_x^\perp$, and the inner products of
# these parts are
#
# $$\langle k_x^\perp, k_{x'}^\perp \rangle = k(x, x') - k_x^\top K_{SS}^{-1}\, k_{x'}$$
#
# where $k_x$ is the column of similarities of x to the support points. Read aloud: the similarity of x and x′, minus
# the part that comes from the span of the support points. The library calls this table `ridge.covariance` (here with
# λ = 0) and its diagonal `ridge.variance`. The names come from a second use of the formula: it also tells how uncertain
# a model is.

# %%
left = K_zz - K_zs @ torch.linalg.solve(K_ss, K_zs.T)
assert torch.allclose(left, ridge.covariance(K_zz, K_zs, K_ss, lam=0.0))
assert torch.allclose(left.diagonal(), ridge.variance(K_zz.diagonal(), K_zs, K_ss, lam=0.0))

perpendicular_norm = (c.T @ ridge.covariance(K_zz, K_zs, K_ss, lam=0.0) @ c).squeeze()
assert torch.isclose(squared_norm, parallel_norm + perpendicular_norm)  # Pythagoras, for functions
print(f"‖f⊥‖² = {perpendicular_norm:.3f}, as before")

# %% [markdown]
# ## The theorem
#
# > A model minimises the sum of *a loss that depends only on the values of f at $x_1, \dots, x_n$* and *a penalty that
# > grows with ‖f‖*. Then the best f has the form $f = \sum_i \alpha_i\, k(x_i, \cdot)$.
#
# The proof is the slider t. Take any f and move t to 0. The loss does not change, and the penalty falls, unless f⊥ is
# already zero. The theorem holds for *any* loss of this kind: squared, logistic, or your own.

# %% [markdown]
# So a search among infinitely many functions is a search for n numbers. With the squared loss and the penalty
# $\frac{\lambda}{2}\lVert f \rVert^2$, lesson 02 found these numbers: $\alpha = (K_{SS} + \lambda I)^{-1} y$. Lesson 02
# only assumed a sum of bumps, and now this form is a result.

# %% [markdown]
# Test the theorem: give the model more bumps. It gets six bumps on its examples and twenty bumps at other places. It
# takes the best sum of all twenty-six. Let $z$ be all these places and $x$ the examples. The model minimises
# $\frac12\lVert K_{xz} c - y \rVert^2 + \frac{\lambda}{2}\, c^\top K_{zz} c$, and the gradient is zero where
# $(K_{zx} K_{xz} + \lambda K_{zz})\, c = K_{zx}\, y$.

# %%
def best_of(x, others, y, sigma, lam):
    """The coefficients of the best sum of bumps on `x` and on `others`: squared loss at x, plus λ/2 ‖f‖²."""
    z = torch.cat([x, others])
    K_zz, K_xz = kernels.rbf_kernel(z, z, sigma), kernels.rbf_kernel(x, z, sigma)
    return torch.linalg.solve(K_xz.T @ K_xz + lam * K_zz, K_xz.T @ y)


x = perpendicular.PLACES["apart"]
y = torch.tensor([[1.0], [-1.0], [1.0], [1.0], [-1.0], [-1.0]], dtype=torch.float64)
others = torch.linspace(-3, 3, 20, dtype=torch.float64)[:, None]

# %%
widgets.predict(
    "How many of the twenty bumps that are not on an example does the best sum use?",
    options=["none", "a few", "all of them"],
    answer={0: "none", 20: "all of them"}.get(int((best_of(x, others, y, 0.3, 0.1)[6:].abs() > 1e-6).sum()), "a few"),
    because={
        "a few": "the perpendicular part of every new bump is zero at all six examples, also if the bump lies near "
        "one. So it can't reduce the loss, and it increases the norm",
        "all of them": "every new bump adds a perpendicular part, which can't reduce the loss and increases the norm",
        "none": "The six bumps can already form the projection of a new bump. Its perpendicular part can't reduce the "
        "loss, and it increases the norm.",
    },
)

# %%
coefficients = best_of(x, others, y, sigma=0.3, lam=0.1)
alpha = ridge.solve(kernels.rbf_kernel(x, x, 0.3), y, lam=0.1)
print(f"weights on the six examples: {coefficients[:6, 0].numpy().round(3)}")
print(f"the library's α:             {alpha[:, 0].numpy().round(3)}")
print(f"largest of the twenty other weights: {coefficients[6:].abs().max():.1e}")

# %% [markdown]
# ## Use it: what five letters let a model know
#
# Take five letters with one example each. By the theorem, the best function is a sum of five bumps in the space of
# images. A query image x has its own bump $k(x, \cdot)$, of length one. The share of its squared length in the span of
# the five bumps is $\lVert k_x^\parallel \rVert^2 = 1 - v(x)$, with $v$ from `ridge.variance`. Call it the **visible
# share** of x; the five examples tell the model nothing about the rest.

# %%
source = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))


def look(task):
    """For each query of a task: the visible share, and whether the query is recognised correctly."""
    support, query = task.support.x.flatten(1).double(), task.query.x.flatten(1).double()
    sigma = kernels.median_bandwidth(support)
    K_ss, K_qs = kernels.rbf_kernel(support, support, sigma), kernels.rbf_kernel(query, support, sigma)
    seen = 1 - ridge.variance(torch.ones(len(query), dtype=K_qs.dtype), K_qs, K_ss, lam=0.0)
    alpha = ridge.solve(K_ss, task.support.targets.double(), lam=0.0)
    return seen, (K_qs @ alpha).argmax(1) == task.query.y

# %% [markdown]
# About half of the queries are recognised wrongly, as in lesson 01. Is their visible share too small? Here are a
# hundred tasks. Each task gives two mean visible shares: one over the queries that are recognised correctly, and one
# over the others.

# %%
looks = [look(source[i]) for i in range(100)]
read = stats.mean_interval(torch.stack([right.double().mean() for _, right in looks]))
both = [(seen, right) for seen, right in looks if right.any() and not right.all()]  # tasks with both kinds of query
rightly = torch.stack([seen[right].mean() for seen, right in both])
wrongly = torch.stack([seen[~right].mean() for seen, right in both])
gap = stats.paired_difference(rightly, wrongly)
print("recognised correctly:", read.percent("tasks"))

# %%
widgets.predict(
    "How much larger is the visible share of the queries that are recognised correctly?",
    options=["ten points or more", "a little larger", "no clear difference"],
    answer=("ten points or more", "a little larger", "no clear difference")[(gap.low < 0.1) + (gap.low <= 0)],
    because={
        "ten points or more": "a large visible share can also come from the example of a wrong letter",
        "no clear difference": "a query close to the example of its own letter has a large visible share, and it is "
        "often recognised correctly. This makes a small difference",
        "a little larger": "A query close to the example of its own letter has a large visible share and is often "
        "recognised. But a query can also be close to the example of a wrong letter.",
    },
)

# %%
print("visible share, recognised correctly:", stats.mean_interval(rightly).percent("tasks"))
print("visible share, recognised wrongly:  ", stats.mean_interval(wrongly).percent("tasks"))
print("difference, task by task:", gap.points("tasks"))

# %% [markdown]
# The interval lies above zero, so chance alone is an unlikely explanation. But the difference is small. On average,
# more than a third of a query is invisible, whether the query is recognised correctly or wrongly. So the visible share
# hardly tells whether a query is recognised correctly.

# %% [markdown]
# The invisible part has a consequence. Let $g$ be the function of smallest norm that is zero at the five examples and
# one at the query x. It is $g = k_x^\perp / v(x)$, and its squared norm is $1 / v(x)$. Add $g$ to the function of one
# letter: no value at an example changes, but the query gets a higher score for this letter. The larger the invisible
# part of x is, the smaller the norm of $g$ is.

# %%
images = torch.cat([source[0].support.x, source[0].query.x]).flatten(1).double()
K_images = kernels.rbf_kernel(images, images, kernels.median_bandwidth(images[:5]))
left = ridge.covariance(K_images, K_images[:, :5], K_images[:5, :5], lam=0.0)  # of the perpendicular parts
invisible = left[:, 5] / left[5, 5]  # the values of g at all eighty images, for the first query
g_norms = 1 / left.diagonal()[5:]  # ‖g‖² for each query
print(f"g at the five examples: at most {invisible[:5].abs().max():.0e}; at the query: {invisible[5]:.3f}")
print(f"‖g‖² = {g_norms[0]:.2f}; over all 75 queries, from {g_norms.min():.2f} to {g_norms.max():.2f}")
assert invisible[:5].abs().max() < 1e-12

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# The centres a and b are 50 % similar: $k(a, b) = 1/2$. What is $\lVert f \rVert^2$ for
# $f = 2\,k(a, \cdot) - k(b, \cdot)$? Write down all four terms of the double sum.

# %% tags=["exercise"]
### BEGIN SOLUTION
squared_length = 3
### END SOLUTION

# %% tags=["check"]
checks.two_bumps(squared_length)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# You know the values of f at n support points (`values`, of shape (n, 1)) and at q new places (`values_new`, of shape
# (q, 1)). You also know the similarities: `K_ss` among the support points, and `K_qs` of the new places (rows) with the
# support points (columns). Return the values of f⊥ at the new places, of shape (q, 1). You do not need the coefficients
# of f.

# %% tags=["exercise"]
def my_perpendicular(values_new, K_qs, K_ss, values):
    ### BEGIN SOLUTION
    alpha = torch.linalg.solve(K_ss, values)
    parallel = K_qs @ alpha
    return values_new - parallel
    ### END SOLUTION

# %% tags=["check"] points=2
checks.perpendicular(my_perpendicular)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# Go back to the second explorer and press **with f⊥**. With these four points, f⊥ has about half of the squared norm,
# as the sentence under the figure says. Move only σ (the bumps of f have the same width, so f becomes wider, too). What
# is the smallest σ at which f⊥ has less than 5 % of the squared norm? A σ up to 10 % above it is good enough.

# %% tags=["exercise"]
### BEGIN SOLUTION
smallest_sigma = 1.16
### END SOLUTION

# %% tags=["check"]
checks.almost_all_seen(smallest_sigma)

# %% [markdown]
# ## What we claimed
#
# Each assert tests a claim. The first cell takes ten random functions, each a sum of eight bumps in the plane, and five
# random support points for each.

# %%
draw = torch.Generator().manual_seed(1)
for _ in range(10):
    z, x, c = (torch.randn(n, d, generator=draw, dtype=torch.float64) for n, d in ((8, 2), (5, 2), (8, 1)))
    K_zz, K_zs, K_ss = kernels.rbf_kernel(z, z, 0.7), kernels.rbf_kernel(z, x, 0.7), kernels.rbf_kernel(x, x, 0.7)
    alpha = ridge.solve(K_ss, K_zs.T @ c, lam=0.0)
    whole, parallel_norm = (c.T @ K_zz @ c).squeeze(), (alpha.T @ K_ss @ alpha).squeeze()
    perpendicular_norm = (c.T @ ridge.covariance(K_zz, K_zs, K_ss, lam=0.0) @ c).squeeze()

    assert torch.allclose(K_ss @ alpha, K_zs.T @ c)  # f∥ has the values of f at the points: f⊥ is zero there
    assert torch.isclose(whole, parallel_norm + perpendicular_norm)  # Pythagoras
    assert 0 < parallel_norm < whole  # so the projection is shorter than f

# %% [markdown]
# To evaluate is to take an inner product, and f⊥ is perpendicular to every bump on a support point. Here f is the last
# of the ten functions, written with the centres z and x together. Then f∥ has the coefficients α on x, and f⊥ has the
# coefficients c on z and −α on x.

# %%
places = torch.cat([z, x])
K = kernels.rbf_kernel(places, places, 0.7)  # its column i: all inner products with the bump at place i
f, f_par, f_perp = torch.cat([c, 0 * alpha]), torch.cat([0 * c, alpha]), torch.cat([c, -alpha])
values = kernels.rbf_kernel(places, z, 0.7) @ c
assert torch.allclose(K @ f, values)  # ⟨f, k(x, ·)⟩ = f(x)
assert (K @ f_perp)[8:].abs().max() < 1e-9  # ⟨f⊥, k(x_i, ·)⟩ = 0
assert (f_par.T @ K @ f_perp).abs() < 1e-9  # ⟨f∥, f⊥⟩ = 0
assert torch.isclose((f_perp.T @ K @ f_perp).squeeze(), perpendicular_norm)  # the same ‖f⊥‖², computed in another way

# %% [markdown]
# A quick change needs a large norm: $|f(x) - f(x')|^2 \le \lVert f \rVert^2\, (2 - 2 k(x, x'))$. (This is the
# inequality of Cauchy and Schwarz, for f and the difference of two bumps.) Two hills far apart have twice the squared
# norm of one hill, and the same largest slope.

# %%
size, pairs = (f.T @ K @ f).squeeze(), 2 - 2 * K
assert ((values - values.T).square() <= size * pairs + 1e-12).all()
far = torch.tensor([[0.0], [100.0]], dtype=torch.float64)
grid = torch.linspace(-5, 105, 2201, dtype=torch.float64)[:, None]
one, two = kernels.rbf_kernel(grid, far[:1], 1.0)[:, 0], kernels.rbf_kernel(grid, far, 1.0).sum(1)
assert torch.isclose(kernels.rbf_kernel(far, far, 1.0).sum(), torch.tensor(2.0, dtype=torch.float64))  # of one: 1
assert torch.isclose(one.max(), two.max())
assert torch.isclose(one.diff().abs().max(), two.diff().abs().max())

# %% [markdown]
# The next cell takes a thousand random functions with the values of f at the points. The projection has a smaller norm
# than each of them.

# %%
wild = torch.randn(8, 1000, generator=draw, dtype=torch.float64)
rests = torch.cat([wild, -ridge.solve(K_ss, K_zs.T @ wild, lam=0.0)])  # a thousand f⊥, one in each column
rivals = f_par + rests
assert torch.allclose((K @ rivals)[8:], values[8:].expand(-1, 1000))
assert ((rivals * (K @ rivals)).sum(0) > parallel_norm).all()

# %% [markdown]
# With the squared loss, the best sum uses only the bumps on the examples.

# %%
x = perpendicular.PLACES["apart"]
z = torch.cat([x, others])  # six examples and twenty other places
K, K_xz = kernels.rbf_kernel(z, z, 0.3), kernels.rbf_kernel(x, z, 0.3)
assert torch.allclose(coefficients[:6], ridge.solve(K[:6, :6], y, lam=0.1))
assert coefficients[6:].abs().max() < 1e-8

# %% [markdown]
# The same holds for the logistic loss $\log(1 + e^{-y f})$ (`softplus`). The optimiser L-BFGS uses only values and
# gradients of the objective, and no projection.

# %%
free = torch.zeros(26, 1, dtype=torch.float64, requires_grad=True)
precise = dict(max_iter=500, tolerance_grad=1e-12, tolerance_change=0)
search = torch.optim.LBFGS([free], line_search_fn="strong_wolfe", **precise)


def cost():
    search.zero_grad()
    value = torch.nn.functional.softplus(-y * (K_xz @ free)).sum() + 0.05 * (free * (K @ free)).sum()
    value.backward()
    return value


search.step(cost)
assert free[6:].abs().max() < 1e-6 < 1 < free[:6].abs().min()

# %% [markdown]
# About half of the queries are recognised. Their visible share is larger by less than ten points. Of all functions with
# the same six values, $g$ has the smallest norm.

# %%
assert 0.4 < read.low < read.high < 0.6
assert 0 < gap.low < gap.high < 0.1
assert max(rightly.mean(), wrongly.mean()) < 2 / 3  # on average, more than a third of a query is invisible
six_values = torch.eye(6, dtype=torch.float64)[:, 5:]  # zero on five examples, one at the query
shortest = ridge.solve(K_images[:6, :6], six_values, lam=0.0)
assert torch.allclose((K_images[:, :6] @ shortest)[:, 0], invisible)
assert torch.isclose((six_values.T @ shortest).squeeze(), g_norms[0])  # αᵀKα = αᵀ(values) = 1 / v(x)

# %% [markdown]
# ## Where this breaks
#
# **No penalty on the norm.** The proof needs a penalty that grows with ‖f‖. Gradient descent shows what happens without
# it. A step with learning rate $a$ is $f \leftarrow f - a\,\bigl(\sum_i r_i\, k(x_i, \cdot) + \lambda f\bigr)$, with
# the residuals $r_i = f(x_i) - y_i$. The loss changes f only along the span. So if there is an f⊥ at the start, only λ
# makes it smaller.

# %%
start = torch.randn(26, 1, generator=draw, dtype=torch.float64)
left = ridge.covariance(K[6:, 6:], K[6:, :6], K[:6, :6], lam=0.0)
for lam in (0.1, 0.01, 0.0):
    c = start.clone()
    for _ in range(300):
        residuals = K_xz @ c - y
        c = (1 - 0.1 * lam) * c
        c[:6] -= 0.1 * residuals
    kept = ((c[6:].T @ left @ c[6:]) / (start[6:].T @ left @ start[6:])).sqrt().item()
    print(f"λ = {lam:4g}: after 300 steps {kept:7.2%} of f⊥ is left; largest residual: {residuals.abs().max():.3f}")
    assert abs(kept - (1 - 0.1 * lam) ** 300) < 1e-9

# %% [markdown]
# With λ = 0 the labels are learned, and all of f⊥ is still there. So this f has nearly the smallest possible loss, but
# it is not a sum of bumps on the examples. (A model that starts at zero has no f⊥, and never gets one.)

# %% [markdown]
# **Another measure of size.** Pythagoras holds for *this* norm. Now measure f by the area under f², or by its largest
# absolute value. Then f⊥ can make f smaller: here f∥ + t f⊥ with a negative t is smaller than f∥.

# %%
parts, (parallel, rest) = perpendicular.split("hill and dip", "apart", 4, 0.6)  # both on a grid, 0.04 apart
sizes = {}
for t in (0.0, -0.4, -0.6):
    f = parallel + t * rest
    sizes[t] = 0.04 * (f @ f), f.abs().max(), parts.parallel_norm + t**2 * parts.perpendicular_norm
    print(f"t = {t:4g}: area {sizes[t][0]:.3f}, largest value {sizes[t][1]:.3f}, ‖f‖² = {sizes[t][2]:.3f}")
assert sizes[-0.6][0] < sizes[0.0][0]  # a smaller area,
assert sizes[-0.4][1] < sizes[0.0][1]  # a smaller largest value,
assert sizes[-0.6][2] > sizes[-0.4][2] > sizes[0.0][2]  # but a larger norm

# %% [markdown]
# **A loss that depends on more than values.** Let the loss also depend on a slope, for example at x = 0.9, between two
# points. The slope of f⊥ is not zero there, so the loss changes with t.

# %%
around = torch.tensor([[0.899], [0.901]], dtype=torch.float64)
seen, hidden = parts.at(around)
slope = (seen[1] - seen[0]) / 0.002
print(f"slope of f∥: {slope:.2f}; of f: {slope + (hidden[1] - hidden[0]) / 0.002:.2f}")
assert (hidden[1] - hidden[0]).abs() > 0.001

# %% [markdown]
# The proof also shows the remedy: a slope is an inner product, too, with the slope of a bump. Add this function to the
# span. Then the theorem holds again, with n + 1 numbers.

# %% [markdown]
# **A repeated point.** Press **a point twice**: two bumps are equal, so $K_{SS}$ has two equal rows, and there are many
# possible α. The solve with λ = 0 raises an error. The span and the projection do not change, so keep the point only
# once.

# %%
twice = perpendicular.PLACES["a point twice"][:4]
f_at, K = kernels.rbf_kernel(twice, parts.z, 0.6) @ parts.c, kernels.rbf_kernel(twice, twice, 0.6)
refused = None
try:
    ridge.solve(K, f_at, lam=0.0)
except errors.NumericalError as error:
    refused = error
once, halves = ridge.solve(K[1:, 1:], f_at[1:], lam=0.0), torch.linalg.pinv(K, hermitian=True) @ f_at
print(refused)
print(f"α: {once[:, 0].numpy().round(3)} for distinct points, {halves[:, 0].numpy().round(3)} with the repeated point")
assert refused is not None
assert torch.allclose(K[:, 1:] @ once, K @ halves)  # one projection, two ways to write it

# %% [markdown]
# **Another kernel.** The kernel defines the norm. For each σ, another function through the same four values has the
# smallest norm, and between the points these functions differ. The theorem tells how many numbers to look for. It does
# not tell which kernel to choose.

# %%
x, between = perpendicular.PLACES["apart"][:4], torch.tensor([[1.8]], dtype=torch.float64)
values, said = torch.tensor([[1.0], [1.0], [-1.0], [1.0]], dtype=torch.float64), []
for sigma in (0.2, 0.6, 2.0):
    alpha = ridge.solve(kernels.rbf_kernel(x, x, sigma), values, lam=0.0)
    said.append((kernels.rbf_kernel(between, x, sigma) @ alpha).item())
    print(f"σ = {sigma}: f = 1 at 1.2 and at 2.4, and f = {said[-1]:.2f} half-way")
assert max(said) - min(said) > 0.5

# %% [markdown]
# ## In three sentences
#
# Every function of this lesson has two parts: a sum of bumps on the examples, and a part that is zero at every example.
# The second part does not change the loss, and it only makes the norm larger. So the best of infinitely many functions
# is a sum of n bumps, one on each of the n examples.

# %% [markdown]
# ## The next question
#
# Infinitely many functions have become n numbers, and any penalty that grows with the norm is enough for this result.
# What else can be penalised? And how do you choose λ and σ if you have only the examples? Lesson 04 answers both
# questions.
#
# Previous: [02 · One solve, one filter](02_one_solve_one_filter.ipynb) · Next: [04 · Regularisers and choosing
# σ](04_regularisers_and_sigma.ipynb)
