# %% [markdown]
# # 02 · One solve, one filter
#
# **You will** turn labels into a function with one linear solve, and see that this solve is a filter on the labels. You
# will move λ from a vote of the examples to a curve that passes through every label.
#
# 50 minutes · needs: lesson 01, eigenvectors of a symmetric matrix, gradient descent · runs offline in seconds
#
# You know how similar the examples are, and you know their labels. How does one step turn them into a prediction? And
# how closely should the prediction follow the labels?

# %%
import torch

from amfs_lab import checks, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.ridge import questions, spectra, vote

# %% [markdown]
# Below are 24 labelled points. Their labels are the sum of a slow, large wave, a fast, small wave, and a little noise.
# The slider **λ** (the Greek letter lambda) sets how closely the blue curve follows the labels. Answer the question
# before you move λ.

# %%
widgets.predict(
    "λ is 0.02. You move it to 0.2. Which of the two waves does the blue curve lose first?",
    options=["the slow one", "the fast one", "both equally"],
    answer=questions.answer_first_direction_to_vanish,
    because={
        "the slow one": "wide bumps form a slow wave easily, with small weights. So the slow wave is lost last",
        "both equally": "the curve is a sum of wide bumps. They form a slow wave more easily than a fast wave, so λ "
        "does not shrink both equally",
        "the fast one": "The curve is a sum of wide bumps. The slow wave needs only small weights of these bumps, and "
        "the fast wave needs large weights. A larger λ allows only smaller weights.",
    },
)

# %%
first_figure = explore.FilterExplorer("two waves")
first_figure

# %% [markdown]
# Move λ slowly to the right and watch the blue curve: first it loses the fast wave, and much later the slow wave. Press
# **slow wave only**: hardly anything else is left. Then press **all kept**, which also makes σ small. Now the curve
# passes through each label, so it also follows the noise.

# %% [markdown]
# The lower right panel splits the labels into parts. Each part belongs to one **eigen-direction** of the Gram matrix
# (lesson 01), the largest eigenvalue first. The empty bar is the size of this part in the labels. The filled bar is the
# size that the curve keeps.

# %% [markdown]
# Press **one eigen-direction**. The green crosses are the part of the labels along this eigen-direction, and the green
# line is what the curve keeps of this part. Move λ down: the green line moves back to its crosses. The next section
# explains the upper right panel.

# %% [markdown]
# ## Say it precisely
#
# The curve is a sum of bumps, one on each labelled point: $f(x) = \sum_i \alpha_i\, k(x, x_i)$, with the kernel $k$ and
# the Gram matrix $K$ of lesson 01. The **fitted values**, the values of the curve at the points, are $K\alpha$. The
# weights $\alpha$ (alpha) minimise this **objective**:
#
# $$J(\alpha) = \tfrac12 \lVert K\alpha - y \rVert^2 + \tfrac{\lambda}{2}\, \alpha^\top K \alpha$$

# %% [markdown]
# Read aloud: half the sum of the squared residuals, plus half of λ times $\alpha^\top K \alpha$. A **residual** is the
# difference between a fitted value and its label $y$. The number $\alpha^\top K \alpha$ is the **squared norm** of the
# curve. A curve with quick changes has a large norm. (Lesson 03 shows why.)

# %% [markdown]
# The gradient of $J$ is $K(K\alpha - y + \lambda\alpha)$, and it is zero where
#
# $$(K + \lambda I)\,\alpha = y$$
#
# This is one linear system, solved once. The method is called **kernel ridge regression**, and λ is its
# **regulariser**.

# %% [markdown]
# ## Build it once by hand
#
# The next cell takes the points and labels of the figure and the solve of the library. It tests the linear system, and
# it tests that $J$ is larger for two other values of α. (In exercise 2 you write the solve yourself.)

# %%
x, y, K, spectrum = spectra.first()
lam = 0.02
alpha = ridge.solve(K, y, lam)
fitted = K @ alpha

assert torch.allclose(fitted + lam * alpha, y)  # the linear system
J = [(K @ each - y).square().sum() + lam * each.T @ K @ each for each in (alpha, alpha + 0.01, 0.99 * alpha)]
assert J[0] < min(J[1:])  # J is larger for other α
print(f"{len(y)} labels, mean size of a residual: {(fitted - y).abs().mean():.3f}")

# %% [markdown]
# Now the filter. $K$ is symmetric, so its eigenvectors $u_i$ are perpendicular: $K u_i = s_i u_i$, where $s_i$ is the
# eigenvalue of the eigen-direction $u_i$. Along the eigen-directions, the linear system splits into single equations,
# $(s_i + \lambda)\, u_i^\top \alpha = u_i^\top y$. So the fitted values are
#
# $$K\alpha = \sum_i u_i\; h(s_i)\; u_i^\top y \qquad h(s) = \frac{s}{s + \lambda}$$

# %% [markdown]
# Read aloud: split the labels into their parts along the eigen-directions, keep the share $h$ of each part, and add the
# parts again. The function $h$ is the **filter** of the upper right panel. No eigen-direction influences another.

# %%
by_directions = torch.zeros_like(y)
for s, u in zip(spectrum.eigenvalues, spectrum.eigenvectors.T, strict=True):
    by_directions += u[:, None] * (s / (s + lam)) * (u @ y)

assert torch.allclose(by_directions, fitted)  # the same fit, computed in another way
share = spectrum.filter(lam)  # h(s_i), by the library
for i in (0, 11, 13, 23):
    print(f"eigen-direction {i + 1:2}: s = {spectrum.eigenvalues[i]:8.2g}, keeps {100 * share[i]:6.2f} %")

# %% [markdown]
# So λ has the unit of an eigenvalue and a simple meaning: **at s = λ exactly half is kept**. The star in the figure
# marks this point. If $s$ is much larger than λ, nearly everything is kept. If $s$ is much smaller, nearly nothing is
# kept.

# %%
widgets.predict(
    "You double every label. Does the filter keep a larger or a smaller share of them along an eigen-direction?",
    options=["larger", "smaller", "the same share"],
    answer=questions.answer_when_labels_double,
    because={
        "larger": "the kept part becomes larger, but so do the labels. The formula h = s / (s + λ) does not contain y",
        "smaller": "the residuals become larger, but so do the labels. The formula h = s / (s + λ) does not contain y",
        "the same share": "The filter h depends only on the eigenvalues and λ, not on the labels. So doubled labels "
        "give a doubled fit.",
    },
)

# %% [markdown]
# The filter depends on the positions of the points, and not on their labels. You can compute the filter before you know
# any label. If you double all labels, the curve doubles.

# %% [markdown]
# ## How many degrees of freedom does a curve use?
#
# Add up all shares: $d = \sum_i h(s_i)$. This number is the **degrees of freedom** in the sentence under the figure. A
# curve with $d = 5$ can follow the labels in about five independent ways, for any number $n$ of points. With a huge λ,
# $d$ is nearly zero. For λ → 0, $d$ goes to $n$, if no point is repeated.

# %%
for each in (1e-12, 1e-4, 0.02, 1.0, 100.0, 1e9):
    print(f"λ = {each:<7g} uses {spectrum.degrees_of_freedom(each):6.2f} of {len(y)} degrees of freedom")

# %% [markdown]
# Go back to the figure and move **σ** to its right end. Most eigenvalues become smaller: their dots move to the left
# and down the curve. So $d$ falls, although λ stays the same. Lesson 01 counted the eigenvalues above a sharp limit,
# 1 % of the largest. $d$ counts the eigenvalues with a soft limit at λ.

# %% [markdown]
# Then press **each place twice**. Half of the eigenvalues are zero. Along these eigen-directions, nothing is kept at
# any λ. The curve passes near the mean of the two labels of each place.

# %% [markdown]
# ## Many small steps make a filter too
#
# Gradient descent reaches a similar fit without λ. Start with the zero function. In each step, every point adds a small
# multiple of its own bump: $\alpha \leftarrow \alpha - a\,(K\alpha - y)$, where $a$ is the **learning rate**. So the
# fitted values change by $-a\,K(\text{fitted} - y)$. Stop after $k$ steps.

# %% [markdown]
# (This is *gradient descent* on the squared residuals. The steps are taken in the space of functions, not in the space
# of the weights α. Lesson 03 shows the formula of such a step.) What share of the labels has been learned along each
# eigen-direction?

# %%
rate, steps = 1 / spectrum.eigenvalues[0].item(), 150
walked = torch.zeros_like(y)
for _ in range(steps):
    walked = walked - rate * K @ (walked - y)

u = spectrum.eigenvectors
learned = 1 - (1 - rate * spectrum.eigenvalues) ** steps
assert torch.allclose(walked, u @ (learned[:, None] * (u.T @ y)))
assert torch.allclose(learned, spectrum.descent_filter(rate, steps))
print(f"largest difference at the points to one solve at λ = {lam}: {(walked - fitted).abs().max():.3f}")

# %% [markdown]
# Each step multiplies the residual along an eigen-direction by $1 - a\,s$. So after $k$ steps the share
# $1 - (1 - a\,s)^k$ is learned. Eigen-directions with large eigenvalues are learned first, and those with small
# eigenvalues last.

# %% [markdown]
# The next figure shows one solve and a number of steps with nearly the same result. Move **steps k** and watch the
# dotted curves. One solve replaces all these steps; lesson 06 tests how well, and for which λ. (The sentence compares
# the two fits everywhere, and the cell above compares them only at the points.)

# %%
steps_against_solve = explore.FilterExplorer("gradient descent")
steps_against_solve

# %% [markdown]
# ## The two ends of λ
#
# Now the labels are classes, +1 or −1, and the sign of $f$ decides. Below are eight points. Point 5 has the class −1,
# and its three nearest neighbours have the class +1. The **query**, the place whose class is asked for, lies exactly on
# point 5.

# %%
widgets.predict(
    "λ becomes larger and larger. Which class does the sign of f give at point 5 in the end?",
    options=["its own", "its neighbours'", "neither"],
    answer=questions.answer_label_of_the_outvoted_point,
    because={
        "its own": "for a huge λ, α is nearly y/λ, so all weights have the same size. Three near neighbours together "
        "have more influence than one point",
        "neither": "f shrinks towards zero, but it does not become zero. Its sign still gives a class",
        "its neighbours'": "For a huge λ all weights have the same size. So three near neighbours together have more "
        "influence than one point.",
    },
)

# %%
ends = explore.VoteExplorer("between")
ends

# %% [markdown]
# Move λ to its right end: the blue curve lies on the dashed curve. Move λ to its left end: the blue curve lies on the
# dotted curve and passes through the labels, which are drawn as rings. Then move **query x**: the right panel shows
# what each point adds to $f$ at the query.

# %% [markdown]
# For large λ the curve shrinks like 1/λ. So the figure rescales each curve to height 1, and the rings are the labels on
# the blue curve's scale. If the blue curve is small, the rings lie outside the figure.

# %% [markdown]
# **λ → ∞: a vote.** For a huge λ, $K$ is tiny compared with $\lambda I$, so $\alpha \approx y/\lambda$ and
#
# $$\lambda f(x) \to k_x^\top y = \sum_i k(x, x_i)\, y_i$$
#
# where $k_x$ holds the similarities of $x$ to the examples. Each example votes for its own class, and its similarity is
# the weight of its vote. *Matching networks* (Vinyals et al. 2016) use the same idea. Their similarity is the cosine of
# the angle between the features of two images, and a softmax makes the weights add up to one.

# %% [markdown]
# **λ → 0: an interpolant.** For λ → 0 the curve passes through every label. Of all such curves, it has the smallest
# norm. In symbols $f(x) \to k_x^\top K^{+} y$, with the *pseudo-inverse* $K^+$. If $K$ is invertible, $K^+$ is
# $K^{-1}$.

# %% [markdown]
# Press **a point twice**: two labels lie at one place, and no curve passes through both, so the curve goes to their
# mean. (There $f$ has a limit for λ → 0, but α has no limit. The weights of the two equal bumps grow without limit, one
# positive and one negative, and cancel.) Press **one class only**: without a second class, the sign of $f$ says
# nothing.

# %%
points, labels = vote.TASKS["two classes"]
G = kernels.rbf_kernel(points, points, 0.6)
k_x = kernels.rbf_kernel(torch.linspace(-3, 3, 61, dtype=G.dtype)[:, None], points, 0.6)
sum_of_votes, interpolant = k_x @ labels, k_x @ torch.linalg.pinv(G) @ labels
for each in (1e-10, 1e-4, 1.0, 1e4, 1e8):
    f = k_x @ ridge.solve(G, labels, each)
    gaps = [(f - interpolant).abs().max(), (each * f - sum_of_votes).abs().max()]
    print(f"λ = {each:<7g} f is {gaps[0]:8.1g} from the interpolant, λf is {gaps[1]:8.1g} from the vote")

# %% [markdown]
# ## Use it: five letters, one example each
#
# A task of lesson 01 has five letters, one printed example of each, and 75 images to recognise. Give each example a row
# of five labels: one for its own letter, and zero elsewhere (*one-hot*). The solve takes all five columns at once. A
# query gets the letter with the largest score.

# %%
def accuracy(task, kernel, lam):
    support, query = task.support.x.flatten(1).double(), task.query.x.flatten(1).double()
    alpha = ridge.solve(kernel(support, support), task.support.targets.double(), lam)
    scores = kernel(query, support) @ alpha
    return (scores.argmax(1) == task.query.y).double().mean()


rbf, cosine = (lambda a, b: kernels.rbf_kernel(a, b, 10.0)), kernels.Cosine()
source = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))
lams = (1e-4, 1e-2, 1.0, 1e2, 1e4)
results = {lam: torch.stack([accuracy(source[i], rbf, lam) for i in range(200)]) for lam in lams}

# %%
for lam, result in results.items():
    against = stats.paired_difference(result, results[1e-4]).points("tasks")
    print(f"λ = {lam:<6g} {stats.accuracy_interval(result).percent('tasks')}   minus the first: {against}")

# %% [markdown]
# Differences of percentages are counted in *points*: from 45 % to 47 % is two points. As in lesson 00, the number after
# ± is the 95 % margin of error.

# %% [markdown]
# There are two results. Up to λ = 1, the choice of λ hardly matters. The vote (the last line) is worse than the solve.
# With one example of each letter, the vote is the *nearest neighbour* of lesson 01, but the solve also uses the
# similarities among the examples. If all examples were equally similar, λ would change no answer, because the order of
# the five scores would stay the same.

# %%
nearest = torch.stack([
    (kernels.rbf_kernel(t.query.x.flatten(1), t.support.x.flatten(1), 10.0).argmax(1) == t.query.y).double().mean()
    for t in (source[i] for i in range(200))
])
by_cosine = {lam: torch.stack([accuracy(source[i], cosine, lam) for i in range(200)]) for lam in (1e-4, 1e4)}
assert (nearest - results[1e4]).abs().mean() < 0.005  # λ → ∞ is the nearest neighbour
print("RBF kernel,    solve − vote:", stats.paired_difference(results[1e-4], results[1e4]).points("tasks"))
print("cosine kernel, solve − vote:", stats.paired_difference(by_cosine[1e-4], by_cosine[1e4]).points("tasks"))

# %% [markdown]
# Compare the two lines: the gain depends on the kernel. With the cosine of the angle between two images
# (`kernels.Cosine` of the library), the solve gains less than a point. No λ makes pixels good enough. A better input
# for the kernel helps: lesson 09 learns it.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Four points have labels. One eigen-direction of their Gram matrix has the eigenvalue $s = 3$, and $\lambda = 1$. What
# share of the labels does the fit keep along this eigen-direction? Write a fraction of one.

# %% tags=["exercise"]
### BEGIN SOLUTION
kept = 3 / 4
### END SOLUTION

# %% tags=["check"]
checks.kept_share(kept)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Compute the fitted values at the points from the Gram matrix `K` (n, n), the labels `y` (n, columns) and λ (`lam`).
# Use one solve and no inverse: `torch.linalg.solve(A, b)` gives the $x$ with $Ax = b$. Give the identity matrix the
# dtype of `K`.

# %% tags=["exercise"]
def my_fit(K, y, lam):
    ### BEGIN SOLUTION
    identity = torch.eye(len(K), dtype=K.dtype)
    alpha = torch.linalg.solve(K + lam * identity, y)
    return K @ alpha
    ### END SOLUTION

# %% tags=["check"] points=2
checks.fit(my_fit)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# In the first explorer, press **Reset**. Find a λ at which the fit uses five degrees of freedom: between 4.9 and 5.1.
# The sentence under the figure shows this number. Type λ into the box beside the slider for fine steps.

# %% tags=["exercise"]
### BEGIN SOLUTION
lam_of_five = 2.0
### END SOLUTION

# %% tags=["check"]
checks.freedom(lam_of_five)

# %% [markdown]
# ## What we claimed
#
# Each assert tests a claim of this lesson, on ten random sets of points and with a kernel of medium width.

# %%
draw = torch.Generator().manual_seed(2)
clouds = [torch.randn(12, 2, generator=draw, dtype=torch.float64) for _ in range(10)]
for cloud in clouds:
    K, y = kernels.rbf_kernel(cloud, cloud, 0.5), torch.randn(12, 3, generator=draw, dtype=torch.float64)
    spectrum, fitted = ridge.Spectrum.of(K), K @ ridge.solve(K, y, 0.3)
    u, s = spectrum.eigenvectors, spectrum.eigenvalues
    assert torch.allclose(fitted, u @ ((s / (s + 0.3))[:, None] * (u.T @ y)))  # one solve is one filter
    assert torch.allclose(K @ ridge.solve(K, 2 * y, 0.3), 2 * fitted)  # doubled labels give a doubled fit
    assert abs(spectrum.filter(s[4].item())[4] - 0.5) < 1e-12  # at s = λ exactly half is kept
    assert abs(spectrum.degrees_of_freedom(1e-12) - 12) < 1e-4  # λ → 0: all n degrees of freedom are used
    assert spectrum.degrees_of_freedom(1e12) < 1e-9  # λ → ∞: no degrees of freedom are used

# %% [markdown]
# Gradient descent is a filter too. And the α of the solve has the smallest objective $J$: every other α has a larger
# $J$, if no point is repeated.

# %%
def objective(alpha, K, y, lam):
    return ((K @ alpha - y) ** 2).sum() / 2 + lam / 2 * (alpha * (K @ alpha)).sum()


# %%
for cloud in clouds:
    K, y = kernels.rbf_kernel(cloud, cloud, 0.5), torch.randn(12, 1, generator=draw, dtype=torch.float64)
    spectrum, walked = ridge.Spectrum.of(K), torch.zeros_like(y)
    for _ in range(30):
        walked = walked - 0.2 * K @ (walked - y)
    u = spectrum.eigenvectors
    assert torch.allclose(walked, u @ (spectrum.descent_filter(0.2, steps=30)[:, None] * (u.T @ y)))
    alpha = ridge.solve(K, y, 0.3)
    for _ in range(20):
        elsewhere = alpha + 0.1 * torch.randn(12, 1, generator=draw, dtype=K.dtype)
        assert objective(alpha, K, y, 0.3) < objective(elsewhere, K, y, 0.3)

# %% [markdown]
# Both ends of λ: a vote and an interpolant.

# %%
for cloud in clouds:
    K, y = kernels.rbf_kernel(cloud, cloud, 0.5), torch.randn(12, 1, generator=draw, dtype=torch.float64)
    k_x = kernels.rbf_kernel(torch.randn(50, 2, generator=draw, dtype=K.dtype), cloud, 0.5)
    assert torch.allclose(1e7 * k_x @ ridge.solve(K, y, 1e7), k_x @ y, atol=1e-4)  # λ → ∞: the vote
    assert (K @ ridge.solve(K, y, 1e-10) - y).abs().max() < 1e-4  # λ → 0: the curve passes through every label
    assert torch.allclose(k_x @ ridge.solve(K, y, 1e-12), k_x @ torch.linalg.pinv(K) @ y, atol=1e-4)

# %% [markdown]
# The interpolant has the smallest norm. A curve through the same labels with another value at one more place has a
# larger norm. Two labels at one place give their mean.

# %%
for cloud in clouds:
    further = torch.cat([cloud, torch.randn(1, 2, generator=draw, dtype=torch.float64)])
    K, K_further = (kernels.rbf_kernel(place, place, 0.5) for place in (cloud, further))
    y = torch.randn(12, 1, generator=draw, dtype=torch.float64)
    squared_norm = (y * ridge.solve(K, y, 1e-12)).sum()  # αᵀKα with Kα = y
    for value in (-2.0, 0.0, 2.0):
        bent = torch.cat([y, torch.tensor([[value]], dtype=y.dtype)])
        assert (bent * ridge.solve(K_further, bent, 1e-12)).sum() > squared_norm

points, labels = vote.TASKS["a point twice"]
G = kernels.rbf_kernel(points, points, 0.6)
assert (G @ ridge.solve(G, labels, 1e-8))[:2].abs().max() < 1e-6  # +1 and −1 at one place give 0

# %%
assert ridge.solve(G, labels, 1e-8).abs().max() > 1e7  # there α grows without limit for λ → 0
assert ridge.Spectrum.of(G).degrees_of_freedom(1e-12) < 7.1  # and only seven of the eight degrees of freedom are used
for lam in (1e-4, 0.02, 1.0, 100.0):
    widths = [kernels.rbf_kernel(points, points, 0.1 * 2**doubling) for doubling in range(8)]
    spent = torch.stack([ridge.Spectrum.of(K).degrees_of_freedom(lam) for K in widths])
    assert (spent.diff() < 1e-12).all()  # d never grows when σ doubles, at each λ

# %% [markdown]
# On the letters, the accuracy changes by less than a point up to λ = 1. With the RBF kernel, the solve is better than
# the vote. If all examples are equally similar, λ changes no answer.

# %%
for lam in (1e-2, 1.0):
    difference = stats.paired_difference(results[lam], results[1e-4])
    assert -0.01 < difference.low <= difference.high < 0.01
assert stats.paired_difference(results[1e-4], results[1e4]).low > 0
assert stats.paired_difference(by_cosine[1e-4], by_cosine[1e4]).high < 0.01  # less than a point with the cosine
one_shot = stats.mean_interval(results[1e-4])
assert 1 / 5 < one_shot.low < one_shot.high < 0.6  # better than guessing, with many mistakes

alike, k_x = 0.6 + 0.4 * torch.eye(5, dtype=torch.float64), torch.rand(50, 5, generator=draw, dtype=torch.float64)
for lam in (1e-6, 1e-2, 1.0, 1e4):
    winner = (k_x @ ridge.solve(alike, torch.eye(5, dtype=torch.float64), lam)).argmax(1)
    assert torch.equal(winner, k_x.argmax(1))

# %% [markdown]
# ## Where this breaks
#
# **Two meanings of λ.** Some methods use the *mean* of the squared residuals. Then nλ stands where λ stands here.
# `KernelRidge(alpha=λ)` of scikit-learn uses our λ; R2-D2 (Bertinetto et al. 2019) multiplies λ by n. If you copy λ
# from one text into the other, you get another fit, and the difference grows with n.

# %%
for n in (5, 25, 100):
    x = torch.linspace(-3, 3, n, dtype=torch.float64)[:, None]
    K, y = kernels.rbf_kernel(x, x, 0.5), torch.sin(2 * x)
    spectrum, alpha = ridge.Spectrum.of(K), ridge.solve(K, y, n * 0.1)
    slope = K @ ((K @ alpha - y) / n + 0.1 * alpha)  # the gradient of 1/(2n) |Kα − y|² + λ/2 αᵀKα
    assert slope.abs().max() < 1e-12  # it is zero for the solve with nλ
    ours, theirs = spectrum.degrees_of_freedom(0.1), spectrum.degrees_of_freedom(n * 0.1)
    print(f"n = {n:3}: λ = 0.1 uses {ours:5.2f} degrees of freedom, and nλ uses {theirs:5.2f}")
    assert theirs < ours

# %% [markdown]
# **A learning rate that is too large.** In gradient descent, $1 - a\,s$ must stay above −1, so $a$ must be smaller than
# $2/s$ for the largest eigenvalue $s$. With a larger $a$, the fit along this eigen-direction overshoots more at each
# step. One solve needs no learning rate.

# %%
x, y, K, spectrum = spectra.first()
for factor in (1.9, 2.1):
    learned = spectrum.descent_filter(factor / spectrum.eigenvalues[0].item(), steps=100)
    print(f"a = {factor} / s_max, 100 steps: the share learned along the first eigen-direction is {learned[0]:.6g}")
assert learned[0].abs() > 1000

# %% [markdown]
# **A λ that is too small for the computer's numbers.** Take five points on [−1, 1], one of them twice, and a wide
# kernel with σ = 4. At λ = 0 the solve raises an error. It needs a matrix with only positive eigenvalues (*positive
# definite*), but the repeated point makes one eigenvalue of $K$ zero. (In code λ is called `lam`.)

# %% [markdown]
# At λ = 1e-6 the solve returns a result in 32-bit numbers (*float32*), **but the result is wrong, and there is no
# warning**. Only a λ well above the rounding errors gives a correct result.

# %%
x = torch.cat([torch.linspace(-1, 1, 5), torch.tensor([-1.0])]).double()[:, None]
y, grid = torch.sin(3 * x), torch.linspace(-1, 1, 41).double()[:, None]


def curve(dtype, lam):
    a, b = x.to(dtype), grid.to(dtype)
    return kernels.rbf_kernel(b, a, 4.0) @ ridge.solve(kernels.rbf_kernel(a, a, 4.0), y.to(dtype), lam)


# %%
refused, off = None, {}
try:
    curve(torch.float32, 0.0)
except ArithmeticError as error:
    refused = error
print(f"λ = 0: {refused}")
for lam in (1e-6, 1e-4, 1e-2):
    off[lam] = (curve(torch.float32, lam) - curve(torch.float64, lam)).abs().max().item()
    print(f"λ = {lam:g}: no error, and float32 is {off[lam]:.1g} away from float64")
assert refused is not None
assert off[1e-6] > 100 * off[1e-2]

# %% [markdown]
# ## In three sentences
#
# One linear solve turns labels into a curve, which is a sum of bumps on the labelled points. The solve is a filter:
# along an eigen-direction with eigenvalue $s$ it keeps the share $s / (s + \lambda)$ of the labels. A huge λ gives a
# vote of the examples, and a tiny λ gives the curve of smallest norm through every label.

# %% [markdown]
# ## The next question
#
# You wrote $f$ as a sum of bumps on the labelled points. Why does the best of all functions have this form? The
# representer theorem in lesson 03 gives the answer.
#
# Previous: [01 · RBF kernels: similarity with a dial](01_rbf_kernels.ipynb) · Next: [03 · The representer
# theorem](03_representer_theorem.ipynb)
