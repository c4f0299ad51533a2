# %% [markdown]
# # 03 · The representer theorem: infinitely many functions, n bumps
#
# **You will** split a function into what the examples see of it and what they can't, and prove with one dial that the
# best function is a sum of bumps, one on each example.
#
# 60 minutes · needs: lesson 02's solve, inner products, arrows in space · runs offline in seconds
#
# Lesson 02 wrote the curve as a sum of bumps on the examples, and gave no reason. There are infinitely many other
# curves. Why does none of them win?

# %%
import torch

from amfs_lab import checks, errors, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.representer import perpendicular, questions

# %% [markdown]
# Begin with arrows, which you can see. The blue arrow **w** is the model: it gives a point x the value
# $\langle w, x \rangle$, the inner product of the two (multiply entry by entry and add up). Two training points, x₁
# and x₂, lie on a floor. Each has a label, and the **training loss** is half the sum of the squared misses.

# %% [markdown]
# The blue arrow rises above the floor. Its shadow at noon is called **w∥** (say *w-parallel*), and what stands upright
# between the shadow and the tip is **w⊥** (*w-perpendicular*): w = w∥ + w⊥. The dial **t** says how much of w⊥ is
# kept.

# %%
widgets.predict(
    "You take w⊥ away entirely: t goes from 1 to 0. What does the training loss do?",
    options=["it rises", "it falls", "it stays"],
    answer=questions.answer_loss_when_the_part_is_removed,
    because={
        "it rises": "the loss looks at ⟨w, x₁⟩ and ⟨w, x₂⟩ only: how much does an upright arrow add to either of them?",
        "it falls": "the loss looks at ⟨w, x₁⟩ and ⟨w, x₂⟩ only: how much does an upright arrow add to either of them?",
        "it stays": "What stands upright on the floor has inner product zero with all that lies on it.",
    },
)

# %%
shadow = explore.ProjectionExplorer("with w⊥")
shadow

# %% [markdown]
# Pull **t** slowly from 1 to 0. On the left the blue tip sinks straight down onto the floor. On the right the dashed
# loss does not move, and the squared length ‖w‖² slides to the bottom of its valley. Then press **from above**: that
# is how the training points see it, and from there w and its shadow are the same.

# %% [markdown]
# ## Why the loss can't move
#
# $$\langle w, x_i \rangle = \langle w_\parallel, x_i \rangle + \langle w_\perp, x_i \rangle
# = \langle w_\parallel, x_i \rangle + 0 \qquad\qquad \lVert w \rVert^2 = \lVert w_\parallel \rVert^2 +
# \lVert w_\perp \rVert^2$$
#
# The left formula: upright on the floor means inner product zero with all that lies on it. The right one is
# Pythagoras. Together: **w⊥ is invisible to the loss and costs length**. A model that pays for its length, however
# little, wants none of it.

# %% [markdown]
# So the best w lies on the floor. All that lies there, the *span* of the two points, can be written α₁x₁ + α₂x₂, and
# the dotted lines show the two pieces. As in lesson 02 there is one **α** (alpha) for each training point: two numbers
# describe the best of all arrows in space.
#
# Press **one point** and **no points**. The floor shrinks to a line, then to nothing, and ever more of w is upright.

# %% [markdown]
# ## Build it once by hand
#
# The same in a space that nobody can draw: five points in 784 dimensions, as many as a small image has pixels. The
# table $K$ holds all inner products of the points. The shadow has w's values at the points, and that is one solve:
# $K\alpha = (\langle w, x_i \rangle)_i$, with no λ.

# %%
draw = torch.Generator().manual_seed(4)
x = torch.randn(5, 784, generator=draw, dtype=torch.float64)
w = torch.randn(784, 1, generator=draw, dtype=torch.float64)
K = x @ x.T
alpha = torch.linalg.solve(K, x @ w)
parallel = x.T @ alpha  # a sum of the five points
rest = w - parallel

assert torch.allclose(alpha, ridge.solve(K, x @ w, lam=0.0))  # the library's solve, with λ = 0
assert (x @ rest).abs().max() < 1e-10  # invisible
assert torch.isclose((w**2).sum(), (parallel**2).sum() + (rest**2).sum())  # Pythagoras
print(f"of ‖w‖² = {(w**2).sum():.0f} the five points see {(parallel**2).sum():.1f}")

# %% [markdown]
# Nearly all of a random w is upright, and nobody would miss it: 784 numbers, of which five matter.

# %% [markdown]
# ## Functions are arrows too
#
# Now put functions in place of arrows. Write $k(a, \cdot)$ for the bump with its top at $a$: the RBF kernel of lesson
# 01 with one place filled and the other, the dot, still open. The functions of this lesson are sums of bumps,
#
# $$f = \sum_j c_j\, k(z_j, \cdot)$$
#
# with centres $z_j$ wherever you like and coefficients $c_j$. The sum of two such functions is one again, and so is a
# multiple: like arrows, they can be added and stretched.

# %% [markdown]
# Arrows also have lengths and right angles, and both come from the inner product. For two bumps, *we choose it to be*
#
# $$\langle k(a, \cdot),\, k(b, \cdot) \rangle = k(a, b)$$
#
# Read aloud: two bumps point the same way as much as their centres are alike. A bump has length one, and two bumps far
# apart stand nearly at right angles. For sums, multiply out. The length of f is called its **norm** $\lVert f \rVert$,
# and $\lVert f \rVert^2 = \langle f, f \rangle = \sum_j \sum_m c_j c_m\, k(z_j, z_m) = c^\top K c$.

# %% [markdown]
# A squared length must never be negative. Lesson 01 asserted that no eigenvalue of a Gram matrix is, so $c^\top K c$
# is not. You know that number: in lesson 02 it was the *effort*, and λ its price. Here is one by hand: three bumps, a
# hill, a dip and a hill.

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
# What does such a norm measure? Take two points, and the shortest function that has the value 1 at both, then the
# shortest that has 1 at one and −1 at the other. (Shortest means: of least norm.)

# %%
for apart in (3.0, 1.0, 0.3):  # in σs
    pair = torch.tensor([[0.0], [apart]], dtype=torch.float64)
    K = kernels.rbf_kernel(pair, pair, bandwidth=1.0)
    y = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)  # a column for each function
    squared_norms = (y * ridge.solve(K, y, lam=0.0)).sum(0)  # αᵀKα, with Kα = y
    print(f"{apart} σ apart: 1 and 1 costs {squared_norms[0]:.2f}, 1 and −1 costs {squared_norms[1]:.2f}")

# %% [markdown]
# The closer the points, the cheaper it is to agree and the dearer to differ. So a quick change, counted in σs, is
# expensive: a function of small norm can't make one. A large norm is no proof of quick changes, though: two gentle
# hills far apart have twice the squared norm of one.

# %% [markdown]
# ## To evaluate is to take an inner product
#
# One more line, and it carries the rest. Take the inner product of any f with the bump at x:
#
# $$\langle f, k(x, \cdot) \rangle = \sum_j c_j \langle k(z_j, \cdot), k(x, \cdot) \rangle = \sum_j c_j\, k(z_j, x)
# = f(x)$$
#
# So the value of f at x *is* an inner product, as it was with the arrows, and the bump $k(x, \cdot)$ plays the part of
# the point x. This is called the *reproducing property*. All sums of bumps and their limits, with this inner product,
# are the *reproducing kernel Hilbert space* of k, **RKHS** for short: the name is longer than the idea, and you have
# built it.

# %% [markdown]
# Now split f as w was split. The bumps on the examples span the floor, **f∥** is the shadow of f on it, and **f⊥** is
# what stands upright on every one of those bumps. Inner product zero with the bump at $x_i$, says the line above, is
# value zero at $x_i$: *upright* and *invisible to the examples* are one thing.

# %% [markdown]
# Below, four examples look at a function f (blue). They are also called its *support points*. Dashed is f∥, and the
# lower panel shows f⊥.

# %%
widgets.predict(
    "Support points come one by one, from none to six. What does the norm of f⊥ do?",
    options=["it only shrinks", "it only grows", "it goes up and down"],
    answer=questions.answer_when_points_are_added,
    because={
        "it only grows": "each point is one more place where f⊥ must be zero",
        "it goes up and down": "a shadow on a larger floor is at least as long: what does that leave for the upright?",
        "it only shrinks": "With every point the floor gains a direction, and what lies along it is upright no more.",
    },
)

# %%
unseen = explore.PerpendicularExplorer("with f⊥")
unseen

# %% [markdown]
# Pull **t** from 1 to 0. The blue curve falls onto the dashed one, and the diamonds, its values at the points, stay
# where they are; so does the loss, and the striped part of the bar melts away. Then press **with f⊥** (t is 1 again),
# move **points** from 0 to 6 and watch the lower curve: it is held down at one more place each time, and the striped
# part of the bar gives way to the plain one. Press **many points**: f⊥ has hardly any room left.

# %% [markdown]
# ## Say it precisely
#
# $$f = f_\parallel + f_\perp, \qquad f_\parallel = \sum_{i=1}^{n} \alpha_i\, k(x_i, \cdot), \qquad
# K_{SS}\,\alpha = f(x_S), \qquad f_\perp(x_i) = 0$$
#
# Here $K_{SS}$ is the Gram matrix of the n support points and $f(x_S)$ the column of f's values there. Read aloud: the
# shadow is the one sum of bumps on the points that has f's values at the points. Any f has one, and the squared norms
# of the two parts add up. As long as no point is there twice, α is the only one, too.

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
# The norm of f⊥ can be had without a detour over f∥. Each bump has an upright part of its own, $k_x^\perp$, and the
# inner products of those are
#
# $$\langle k_x^\perp, k_{x'}^\perp \rangle = k(x, x') - k_x^\top K_{SS}^{-1}\, k_{x'}$$
#
# where $k_x$ is the column of similarities of x to the support points. In words: how alike the two are, minus what
# they share through the points. The library calls this table `ridge.covariance` (here with λ = 0) and its diagonal
# `ridge.variance`, because there is a second reading of it, as how unsure a model is.

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
# > Let a model choose f so that *(anything that depends on f's values at $x_1, \dots, x_n$)* plus *(anything that grows
# > with ‖f‖)* is as small as can be. Then $f = \sum_i \alpha_i\, k(x_i, \cdot)$.
#
# Its proof is your dial. Take any f and pull t to 0: the first part can't move, and the second falls, unless f⊥ was
# zero to begin with. Nothing was said about *which* loss, so it may be squared, logistic or your own.

# %% [markdown]
# To search among infinitely many functions is to search for n numbers. With the squared loss and the penalty
# $\frac{\lambda}{2}\lVert f \rVert^2$ they are $\alpha = (K_{SS} + \lambda I)^{-1} y$, the solve of lesson 02: what
# was an assumption there has become a result.
#
# Don't believe it: offer the model more. It gets six bumps on its examples and twenty others in between, and takes the
# best sum of all twenty-six. Call all their places $z$ and the examples $x$: it minimises
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
    "Of the twenty bumps that are not on an example, how many does the best sum use?",
    options=["none", "a few", "all of them"],
    answer={0: "none", 20: "all of them"}.get(
        int((best_of(x, others, y, sigma=0.3, lam=0.1)[6:].abs() > 1e-6).sum()), "a few"
    ),
    because={
        "a few": "split an offered bump into its shadow on the six and what stands upright: which of them can help?",
        "all of them": "split an offered bump into its shadow on the six and what stands upright: which can help?",
        "none": "Its shadow the six bumps can make themselves, and its upright part only costs.",
    },
)

# %%
coefficients = best_of(x, others, y, sigma=0.3, lam=0.1)
alpha = ridge.solve(kernels.rbf_kernel(x, x, 0.3), y, lam=0.1)
print(f"on the six examples: {coefficients[:6, 0].numpy().round(3)}")
print(f"the library's α:     {alpha[:, 0].numpy().round(3)}")
print(f"largest of the twenty others: {coefficients[6:].abs().max():.1e}")

# %% [markdown]
# ## Use it: what five letters let a model know
#
# Five letters, one example of each. Whatever the model learns is a sum of five bumps in the space of images. A query
# image x has its own bump $k(x, \cdot)$, of length one, and the share of it on the floor is
# $\lVert k_x^\parallel \rVert^2 = 1 - v(x)$, with $v$ from `ridge.variance`. The rest is what five examples can't tell
# the model about x.

# %%
source = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))


def look(task):
    """Of each query of a task: the share that the five examples see, and whether its letter is read rightly."""
    support, query = task.support.x.flatten(1).double(), task.query.x.flatten(1).double()
    sigma = kernels.median_bandwidth(support)
    K_ss, K_qs = kernels.rbf_kernel(support, support, sigma), kernels.rbf_kernel(query, support, sigma)
    seen = 1 - ridge.variance(torch.ones(len(query), dtype=K_qs.dtype), K_qs, K_ss, lam=0.0)
    alpha = ridge.solve(K_ss, task.support.targets.double(), lam=0.0)
    return seen, (K_qs @ alpha).argmax(1) == task.query.y

# %% [markdown]
# Every second query or so is read wrongly, as in lesson 01. Is that because the five examples can't *see* those
# queries? Here are a hundred tasks. Each gives one mean share over its rightly read queries, and one over the others.

# %%
looks = [look(source[i]) for i in range(100)]
read = stats.mean_interval(torch.stack([right.double().mean() for _, right in looks]))
both = [(seen, right) for seen, right in looks if right.any() and not right.all()]  # else there is nothing to pair
rightly = torch.stack([seen[right].mean() for seen, right in both])
wrongly = torch.stack([seen[~right].mean() for seen, right in both])
gap = stats.paired_difference(rightly, wrongly)
print("read rightly:", read.percent("tasks"))

# %%
widgets.predict(
    "How much more of a rightly read query do the five examples see?",
    options=["ten points or more", "a little more", "no more, as far as one can tell"],
    answer=("ten points or more", "a little more", "no more, as far as one can tell")[
        0 if gap.low >= 0.1 else 1 if gap.low > 0 else 2
    ],
    because={
        "ten points or more": "to be seen is not to be read: a blot resembles all five examples",
        "no more, as far as one can tell": "a query that is close to its own example leans on that example's bump",
        "a little more": "What is read rightly is seen a little better, and that is not what decides.",
    },
)

# %%
print("seen of the rightly read:", stats.mean_interval(rightly).percent("tasks"))
print("seen of the wrongly read:", stats.mean_interval(wrongly).percent("tasks"))
print("difference, task by task:", gap.points("tasks"))

# %% [markdown]
# The interval lies above zero, so luck alone is a poor explanation. But the difference is small. More than a third of a
# typical query is out of sight, whether it is read rightly or not: how much the model sees of a query hardly tells
# whether it reads it rightly.

# %% [markdown]
# What is out of sight has a price. Of all functions that are zero on the five examples and one at the query x, the
# shortest is $k_x^\perp / v(x)$, and its squared length is $1 / v(x)$. Call it a *whim*: add it to what the model
# learned about some letter, and no example notices, but the query leans to that letter. The more of x is out of sight,
# the cheaper a whim is.

# %%
images = torch.cat([source[0].support.x, source[0].query.x]).flatten(1).double()
K_images = kernels.rbf_kernel(images, images, kernels.median_bandwidth(images[:5]))
left = ridge.covariance(K_images, K_images[:, :5], K_images[:5, :5], lam=0.0)  # of every image's bump
whim = left[:, 5] / left[5, 5]  # for the first query: its values at all eighty images
prices = 1 / left.diagonal()[5:]
print(f"on the five examples at most {whim[:5].abs().max():.0e}, at the query {whim[5]:.3f}")
print(f"squared length: {prices[0]:.2f}, and over all 75 queries from {prices.min():.2f} to {prices.max():.2f}")
assert whim[:5].abs().max() < 1e-12

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# The centres a and b are half alike: $k(a, b) = 1/2$. How much is $\lVert f \rVert^2$ for
# $f = 2\,k(a, \cdot) - k(b, \cdot)$? Write down all four terms of the double sum.

# %% tags=["exercise"]
### BEGIN SOLUTION
squared_length = 3
### END SOLUTION

# %% tags=["check"]
checks.two_bumps(squared_length)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# You know f at n support points (`values`, of shape (n, 1)) and at q new places (`values_new`, of shape (q, 1)), and
# you know who is alike: `K_ss` among the points, `K_qs` of the new places (rows) with the points (columns). Return f⊥
# at the new places, of shape (q, 1). Any f will do: its coefficients are not needed.

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
# Go back to the second explorer and press **with f⊥**: four points, and about half of the squared length is out of
# sight, as the sentence under the figure says. Move σ only (f is made of bumps of that width, so it widens as well).
# From which σ on is less than 5 % out of sight? A σ up to a tenth above it is good enough.

# %% tags=["exercise"]
### BEGIN SOLUTION
smallest_sigma = 1.16
### END SOLUTION

# %% tags=["check"]
checks.almost_all_seen(smallest_sigma)

# %% [markdown]
# ## What we claimed
#
# Each line runs. First ten random functions, each a sum of eight bumps in the plane, seen by five random points.

# %%
draw = torch.Generator().manual_seed(1)
for _ in range(10):
    z, x, c = (torch.randn(n, d, generator=draw, dtype=torch.float64) for n, d in ((8, 2), (5, 2), (8, 1)))
    K_zz, K_zs, K_ss = kernels.rbf_kernel(z, z, 0.7), kernels.rbf_kernel(z, x, 0.7), kernels.rbf_kernel(x, x, 0.7)
    alpha = ridge.solve(K_ss, K_zs.T @ c, lam=0.0)
    whole, parallel_norm = (c.T @ K_zz @ c).squeeze(), (alpha.T @ K_ss @ alpha).squeeze()
    perpendicular_norm = (c.T @ ridge.covariance(K_zz, K_zs, K_ss, lam=0.0) @ c).squeeze()

    assert torch.allclose(K_ss @ alpha, K_zs.T @ c)  # f∥ has f's values at the points: f⊥ is zero there
    assert torch.isclose(whole, parallel_norm + perpendicular_norm)  # Pythagoras
    assert 0 < parallel_norm < whole  # and so the shadow is shorter

# %% [markdown]
# To evaluate is to take an inner product, and f⊥ stands upright on every bump of the floor. Here f is the last of the
# ten, written on z and x together: as f∥ it has the coefficients α on x, as f⊥ it has c on z and −α on x.

# %%
places = torch.cat([z, x])
K = kernels.rbf_kernel(places, places, 0.7)  # its column i: all inner products with the bump on place i
f, f_par, f_perp = torch.cat([c, 0 * alpha]), torch.cat([0 * c, alpha]), torch.cat([c, -alpha])
values = kernels.rbf_kernel(places, z, 0.7) @ c
assert torch.allclose(K @ f, values)  # ⟨f, k(x, ·)⟩ = f(x)
assert (K @ f_perp)[8:].abs().max() < 1e-9  # ⟨f⊥, k(x_i, ·)⟩ = 0
assert (f_par.T @ K @ f_perp).abs() < 1e-9  # ⟨f∥, f⊥⟩ = 0
assert torch.isclose((f_perp.T @ K @ f_perp).squeeze(), perpendicular_norm)  # ‖f⊥‖² by the other road

# %% [markdown]
# A quick change is expensive: $|f(x) - f(x')|^2 \le \lVert f \rVert^2\, (2 - 2 k(x, x'))$, an inner product with the
# difference of two bumps. Two hills far apart have twice the squared norm of one, and are no steeper.

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
# A thousand random functions with the values of f at the points: the shadow is shorter than each of them.

# %%
wild = torch.randn(8, 1000, generator=draw, dtype=torch.float64)
rests = torch.cat([wild, -ridge.solve(K_ss, K_zs.T @ wild, lam=0.0)])  # a thousand f⊥, a column each
rivals = f_par + rests
assert torch.allclose((K @ rivals)[8:], values[8:].expand(-1, 1000))
assert ((rivals * (K @ rivals)).sum(0) > parallel_norm).all()

# %% [markdown]
# The best sum takes nothing that is not on an example. So it is with the squared loss.

# %%
x = perpendicular.PLACES["apart"]
z = torch.cat([x, others])  # six examples, and twenty places more
K, K_xz = kernels.rbf_kernel(z, z, 0.3), kernels.rbf_kernel(x, z, 0.3)
assert torch.allclose(coefficients[:6], ridge.solve(K[:6, :6], y, lam=0.1))
assert coefficients[6:].abs().max() < 1e-8

# %% [markdown]
# So it is with another, the logistic loss $\log(1 + e^{-y f})$ (`softplus`), and with an optimiser that knows nothing
# of floors and shadows (L-BFGS, a general one that only asks for values and slopes).

# %%
free = torch.zeros(26, 1, dtype=torch.float64, requires_grad=True)
patient = dict(max_iter=500, tolerance_grad=1e-12, tolerance_change=0)
search = torch.optim.LBFGS([free], line_search_fn="strong_wolfe", **patient)


def cost():
    search.zero_grad()
    value = torch.nn.functional.softplus(-y * (K_xz @ free)).sum() + 0.05 * (free * (K @ free)).sum()
    value.backward()
    return value


search.step(cost)
assert free[6:].abs().max() < 1e-6 < 1 < free[:6].abs().min()

# %% [markdown]
# And on the letters: about half of them are read, what is read is seen better by less than ten points, and of all
# functions with those six values the whim is the shortest.

# %%
assert 0.4 < read.low < read.high < 0.6
assert 0 < gap.low < gap.high < 0.1
assert max(rightly.mean(), wrongly.mean()) < 2 / 3  # more than a third is out of sight
six_values = torch.eye(6, dtype=torch.float64)[:, 5:]  # zero on five examples, one at the query
shortest = ridge.solve(K_images[:6, :6], six_values, lam=0.0)
assert torch.allclose((K_images[:, :6] @ shortest)[:, 0], whim)
assert torch.isclose((six_values.T @ shortest).squeeze(), prices[0])  # αᵀKα = αᵀ(values) = 1 / v(x)

# %% [markdown]
# ## Where this breaks
#
# **Length without a price.** The proof needs a second part that grows with ‖f‖. Gradient descent shows how badly:
# a step of rate $a$ is $f \leftarrow f - a\,\bigl(\sum_i r_i\, k(x_i, \cdot) + \lambda f\bigr)$ with the misses
# $r_i = f(x_i) - y_i$. The loss moves f along the floor only, so an f⊥ that was there at the start is touched by λ and
# by nothing else.

# %%
start = torch.randn(26, 1, generator=draw, dtype=torch.float64)
left = ridge.covariance(K[6:, 6:], K[6:, :6], K[:6, :6], lam=0.0)
for lam in (0.1, 0.01, 0.0):
    c = start.clone()
    for _ in range(300):
        misses = K_xz @ c - y
        c = (1 - 0.1 * lam) * c
        c[:6] -= 0.1 * misses
    kept = ((c[6:].T @ left @ c[6:]) / (start[6:].T @ left @ start[6:])).sqrt().item()
    print(f"λ = {lam:4g}: after 300 steps {kept:7.2%} of f⊥ is left, and the largest miss is {misses.abs().max():.3f}")
    assert abs(kept - (1 - 0.1 * lam) ** 300) < 1e-9

# %% [markdown]
# With λ = 0 all labels are learned and all of f⊥ is still there: as good as can be, and no sum of bumps on the
# examples. (A learner that starts from zero has no f⊥ and never gets one.)

# %% [markdown]
# **Another measure of size.** Pythagoras was shown for *this* length. Measure f by the area under f² instead, or by
# its largest value, and some f⊥ can make it smaller: here, a little of it turned upside down, t below zero.

# %%
parts, (parallel, rest) = perpendicular.split("hill and dip", "apart", 4, 0.6)  # both on a grid, 0.04 apart
sizes = {}
for t in (0.0, -0.4, -0.6):
    f = parallel + t * rest
    sizes[t] = 0.04 * (f @ f), f.abs().max(), parts.parallel_norm + t**2 * parts.perpendicular_norm
    print(f"t = {t:4g}: area {sizes[t][0]:.3f}, largest value {sizes[t][1]:.3f}, ‖f‖² = {sizes[t][2]:.3f}")
assert sizes[-0.6][0] < sizes[0.0][0]  # less area,
assert sizes[-0.4][1] < sizes[0.0][1]  # a smaller largest value,
assert sizes[-0.6][2] > sizes[-0.4][2] > sizes[0.0][2]  # and a longer f

# %% [markdown]
# **A loss that looks elsewhere.** Let the loss ask for a slope as well, say at x = 0.9, between two points. It sees f⊥
# now, so it moves with t.

# %%
around = torch.tensor([[0.899], [0.901]], dtype=torch.float64)
seen, hidden = parts.at(around)
slope = (seen[1] - seen[0]) / 0.002
print(f"slope of f∥: {slope:.2f}; of f: {slope + (hidden[1] - hidden[0]) / 0.002:.2f}")
assert (hidden[1] - hidden[0]).abs() > 0.001

# %% [markdown]
# The remedy is in the proof: a slope is an inner product too, with the slope of a bump. Give the floor that direction,
# and the theorem holds again, with n + 1 numbers.

# %% [markdown]
# **A point twice.** Press **a point twice**: two bumps are one, $K_{SS}$ has two equal rows, and no α is the only one.
# The solve with λ = 0 says so. The floor and the shadow are as they were: keep the point once.

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
print(f"coefficients: {once[:, 0].numpy().round(3)} once, {halves[:, 0].numpy().round(3)} shared out")
assert refused is not None
assert torch.allclose(K[:, 1:] @ once, K @ halves)  # one shadow, two ways to write it

# %% [markdown]
# **Another kernel.** What counts as short is up to the kernel. Each σ has a shortest function through the same four
# values, and between the points they differ. The theorem says how many numbers to look for, never which kernel to
# trust.

# %%
x, between = perpendicular.PLACES["apart"][:4], torch.tensor([[1.8]], dtype=torch.float64)
values, said = torch.tensor([[1.0], [1.0], [-1.0], [1.0]], dtype=torch.float64), []
for sigma in (0.2, 0.6, 2.0):
    alpha = ridge.solve(kernels.rbf_kernel(x, x, sigma), values, lam=0.0)
    said.append((kernels.rbf_kernel(between, x, sigma) @ alpha).item())
    print(f"σ = {sigma}: 1 at 1.2 and at 2.4, and {said[-1]:.2f} half-way")
assert max(said) - min(said) > 0.5

# %% [markdown]
# ## The next question
#
# Infinitely many functions have become n numbers, and any price on the norm is enough for that. What else can be
# priced, and who chooses λ and σ when the examples are all there is to ask? That is lesson 04.
#
# Previous: [02 · One solve, one filter](02_one_solve_one_filter.ipynb) · Next: [04 · Regularisers and choosing
# σ](04_regularisers_and_sigma.ipynb)
