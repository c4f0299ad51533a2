# %% [markdown]
# # 02 · One solve, one filter
#
# **You will** turn labels into a function with one linear solve, see that it is an equaliser with one slider for all
# channels, and slide λ from a vote of the examples to a curve that meets each of them.
#
# 50 minutes · needs: lesson 01, eigenvectors of a symmetric matrix, gradient descent · runs offline in seconds
#
# You know how alike the examples are, and you know their labels. How does that become a prediction in one step, and
# who decides how much of the labels to believe?

# %%
import torch

from amfs_lab import checks, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.ridge import questions, spectra, vote

# %% [markdown]
# Below are 24 labelled points. Their labels come from a slow, large wave with a fast, small one on top, and a little
# noise. One dial, **λ** (the Greek letter lambda), decides how freely the blue curve may follow the labels. Commit to
# an answer before you touch it.

# %%
widgets.predict(
    "λ stands at 0.02. You move it to 0.2. Which of the two waves does the blue curve lose first?",
    options=["the slow one", "the fast one", "both alike"],
    answer=questions.answer_first_direction_to_vanish,
    because={
        "the slow one": "the curve is a sum of bumps of width σ: which wave is easily made of wide bumps?",
        "both alike": "the curve is a sum of bumps of width σ: is each wave as easily made of wide bumps?",
        "the fast one": "Wide bumps add up to the slow wave with ease. The fast one they make with effort, and λ is "
        "the price of effort.",
    },
)

# %%
equaliser = explore.FilterExplorer("equaliser")
equaliser

# %% [markdown]
# Move λ slowly to the right and watch the blue curve: the wiggles go flat first, the swell long after them. Press
# **bass only**: hardly anything but the swell is left. Then press **all pass**, which also makes σ small: the curve
# runs through each label, noise included.

# %% [markdown]
# It works like the equaliser of a music player. The lower right panel takes the labels apart into *channels*, the
# strongest first; the empty bar is what the labels hold, the filled one what the curve keeps. Press **one channel**:
# the green crosses are the labels' part in that channel, the green line is what is left of it. Pull λ down and the
# line climbs back to its crosses. The upper right panel comes in a moment.

# %% [markdown]
# ## Say it precisely
#
# The curve is a sum of bumps, one on each labelled point: $f(x) = \sum_i \alpha_i\, k(x, x_i)$, with the kernel $k$
# and its Gram matrix $K$ of lesson 01. Its values at the points are $K\alpha$; the heights $\alpha$ (alpha) are chosen
# to make this small:
#
# $$J(\alpha) = \tfrac12 \lVert K\alpha - y \rVert^2 + \tfrac{\lambda}{2}\, \alpha^\top K \alpha$$

# %% [markdown]
# Read aloud: miss the labels $y$ by little, and pay λ for $\alpha^\top K \alpha$, the *effort* of the curve. (Why that
# number measures effort is lesson 03.) The derivative is $K(K\alpha - y + \lambda\alpha)$, and it vanishes where
#
# $$(K + \lambda I)\,\alpha = y$$
#
# One linear system, solved once. It is called **kernel ridge regression**, and λ is the **ridge**.

# %% [markdown]
# ## Build it once by hand
#
# The points and labels of the figure, and the solve of this course, held against the equation and against $J$. (In
# exercise 2 you write the solve yourself.)

# %%
x, y, K, spectrum = spectra.first()
lam = 0.02
alpha = ridge.solve(K, y, lam)
fitted = K @ alpha

assert torch.allclose(fitted + lam * alpha, y)  # the one linear system
J = [(K @ each - y).square().sum() + lam * each.T @ K @ each for each in (alpha, alpha + 0.01, 0.99 * alpha)]
assert J[0] < min(J[1:])  # J is larger beside α
print(f"{len(y)} labels, missed by {(fitted - y).abs().mean():.3f} on average")

# %% [markdown]
# Now the equaliser. $K$ is symmetric, so it has eigenvectors $u_i$ at right angles, $K u_i = s_i u_i$: these are the
# channels, and the eigenvalue $s_i$ is a channel's strength. In its eigenvectors' coordinates the system falls apart
# into single numbers, $(s_i + \lambda)\, u_i^\top \alpha = u_i^\top y$, and the fitted values are
#
# $$K\alpha = \sum_i u_i\; h(s_i)\; u_i^\top y \qquad h(s) = \frac{s}{s + \lambda}$$

# %% [markdown]
# Read aloud: take the labels apart along each channel, keep the share $h$ of it, put them together again. The function
# $h$ is the **filter** of the upper right panel. No channel influences another.

# %%
by_channels = torch.zeros_like(y)
for s, u in zip(spectrum.eigenvalues, spectrum.eigenvectors.T, strict=True):
    by_channels += u[:, None] * (s / (s + lam)) * (u @ y)

assert torch.allclose(by_channels, fitted)  # the same numbers by a second road
share = spectrum.filter(lam)  # h(s_i), the library's
for i in (0, 11, 13, 23):
    print(f"channel {i + 1:2}: s = {spectrum.eigenvalues[i]:8.2g}, keeps {100 * share[i]:6.2f} %")

# %% [markdown]
# So λ has a unit, that of an eigenvalue, and a plain meaning: **at s = λ exactly half is kept**, the star in the
# figure. Far above λ a channel passes, far below it is silent.

# %%
widgets.predict(
    "You double every label. What share of a channel does the filter keep now?",
    options=["more", "less", "the same share"],
    answer=questions.answer_when_labels_double,
    because={
        "more": "look for y in the formula of h: is it there?",
        "less": "look for y in the formula of h: is it there?",
        "the same share": "h knows the eigenvalues and λ, never the labels: the fit is linear in y.",
    },
)

# %% [markdown]
# The filter depends on where the points lie, not on what they say. You could compute it before anyone writes down a
# label, and doubled labels give a doubled curve.

# %% [markdown]
# ## How much does a curve cost?
#
# Add up all shares: $d = \sum_i h(s_i)$, the **degrees of freedom** in the sentence under the figure. A curve with
# $d = 5$ can follow the labels in about five independent ways, whatever $n$, the number of points, is. With a huge λ
# it spends none; as λ → 0 it spends all $n$, if no point is there twice.

# %%
for each in (1e-12, 1e-4, 0.02, 1.0, 100.0, 1e9):
    print(f"λ = {each:<7g} spends {spectrum.degrees_of_freedom(each):6.2f} of {len(y)}")

# %% [markdown]
# Go back to the figure and pull **σ** to its right end. The eigenvalues spread out to the left, the dots slide down
# the curve, and $d$ falls although λ stood still. Lesson 01 counted living directions with a hard edge at 1 %; $d$
# counts them with a soft edge at λ. Then press **each place twice**: half of the channels have $s = 0$, no λ opens
# them, and the curve passes near the middle of the two labels of each place.

# %% [markdown]
# ## Many small steps make a filter too
#
# Small steps get there by another road, with no ridge at all. Start from zero. At each step every point adds a little
# of its own bump against its miss, $\alpha \leftarrow \alpha - a\,(K\alpha - y)$, where $a$ is the step's rate, so the
# fitted values move by $-a\,K(\text{fitted} - y)$. (This is *gradient descent* on the misses, walked on curves and not
# on the heights α; lesson 03 says what a slope is there.) Stop after $k$ steps. What has each channel learned?

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
# Each step leaves the share $1 - a\,s$ of a channel's miss, so after $k$ of them $1 - (1 - a\,s)^k$ is learned: strong
# channels first, weak ones last. Here are both, one solve and as many steps as come close to it. Drag **steps k** and
# watch the dotted curve sweep through the filter; one solve stands in for all those steps. (The sentence measures the
# two curves everywhere, the cell above at the labels only.) How well, and for which λ, is lesson 06.

# %%
steps_against_solve = explore.FilterExplorer("as many steps")
steps_against_solve

# %% [markdown]
# ## The two ends of λ
#
# Now labels that are classes: +1 or −1, and the sign of $f$ decides. Below stand eight points. The fifth is alone: a
# −1 among three of class +1. The query, where the class is asked for, lies exactly on it.

# %%
widgets.predict(
    "λ grows and grows. At the lone point's own place, which class does the score say in the end?",
    options=["its own", "its neighbours'", "neither"],
    answer=questions.answer_label_of_the_outvoted_point,
    because={
        "its own": "a huge ridge flattens α to y/λ: every point then speaks with the same loudness. Count who is near",
        "neither": "the score shrinks to zero, but its sign is what decides, and a sign does not shrink",
        "its neighbours'": "A huge ridge gives all points one loudness, and three near neighbours outshout one.",
    },
)

# %%
ends = explore.VoteExplorer("between")
ends

# %% [markdown]
# Pull λ to its right end: the blue curve lies on the dashed one. Pull it to its left end: it lies on the dotted one,
# and the rings, the labels, lie on it. For large λ the curve itself shrinks, like 1/λ, so the figure divides each by
# its largest $|f|$, which the sentence tells. A ring is a label divided by the blue curve's largest, and leaves the
# figure when that is small. Move **query x** and see in the right panel who is heard.

# %% [markdown]
# **To the right, a vote.** For a huge λ the matrix $K$ hardly matters beside $\lambda I$, so $\alpha \approx y/\lambda$
# and
#
# $$\lambda f(x) \to k_x^\top y = \sum_i k(x, x_i)\, y_i$$
#
# where $k_x$ holds the similarities of $x$ to the examples. Each example votes for its own class, as loudly as it is
# similar. That is the idea of *matching networks* (Vinyals et al. 2016). Their similarity is the cosine of the angle
# between two images' features, and their votes are made to add up to one (a softmax).

# %% [markdown]
# **To the left, an interpolant.** For λ → 0 the curve meets every label, and of all curves that do, it is the one of
# least effort. In symbols $f(x) \to k_x^\top K^{+} y$, with the *pseudo-inverse* $K^+$, which is $K^{-1}$ wherever
# there is one. Press **a point twice**: two labels on one spot, and no curve meets both, so the solve settles in the
# middle. (There $f$ has a limit and α has none: two bumps on one spot grow without end, one up, one down, and cancel.)
# Press **one class only**: with no other class to lose against, the sign of a score says nothing.

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
# A task of lesson 01: five letters with one printed example each, and 75 images to recognise. Give each example a row
# of five labels, one for its own letter and zero elsewhere (*one-hot*). The solve takes all five columns at once, and
# a query gets the letter with the largest score.

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
    print(f"λ = {lam:<6g} {stats.accuracy_interval(result).percent('tasks')}   against the first: {against}")

# %% [markdown]
# Differences of percentages are counted in *points*: from 45 % to 47 % it is two points. Behind ± stands, as in lesson
# 00, how far luck could be off.

# %% [markdown]
# Two things to see. Up to λ = 1 it hardly matters what λ is. And the vote, at the bottom, is worse than the solve:
# with one example a letter it is the *nearest neighbour* of lesson 01, while the solve also knows how alike the
# examples are among themselves. Were they all equally alike, λ could not change a single answer: it would move the
# five scores together.

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
# The two lines say how much of that is the solve and how much is the kernel. By the cosine of the angle between two
# images (`kernels.Cosine` of the library) the solve is worth less than a point. No λ makes pixels readable, and that
# is the finding. The dial that is worth learning is not here but in front: what the kernel is fed with, in lesson 09.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Four points have labels. One channel of their Gram matrix has the eigenvalue $s = 3$, and the ridge is $\lambda = 1$.
# What share of the labels' part in that channel does the fit keep? Write a fraction of one.

# %% tags=["exercise"]
### BEGIN SOLUTION
kept = 3 / 4
### END SOLUTION

# %% tags=["check"]
checks.kept_share(kept)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# From the Gram matrix `K` (n, n), the labels `y` (n, columns) and λ to the fitted values at the points. One solve, and
# no inverse: `torch.linalg.solve(A, b)` gives the $x$ with $Ax = b$. Give the identity the dtype of `K`.

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
# In the first explorer, press **Reset**. Find a λ at which the fit spends five of its degrees of freedom: between 4.9
# and 5.1. The sentence counts them; type into the box beside the dial for fine steps.

# %% tags=["exercise"]
### BEGIN SOLUTION
lam_of_five = 2.0
### END SOLUTION

# %% tags=["check"]
checks.freedom(lam_of_five)

# %% [markdown]
# ## What we claimed
#
# Each line is a sentence of this lesson. It runs, here, on ten random sets of points, with kernels that are neither
# very wide nor very narrow.

# %%
draw = torch.Generator().manual_seed(2)
clouds = [torch.randn(12, 2, generator=draw, dtype=torch.float64) for _ in range(10)]
for cloud in clouds:
    K, y = kernels.rbf_kernel(cloud, cloud, 0.5), torch.randn(12, 3, generator=draw, dtype=torch.float64)
    spectrum, fitted = ridge.Spectrum.of(K), K @ ridge.solve(K, y, 0.3)
    u, s = spectrum.eigenvectors, spectrum.eigenvalues
    assert torch.allclose(fitted, u @ ((s / (s + 0.3))[:, None] * (u.T @ y)))  # one solve is one filter
    assert torch.allclose(K @ ridge.solve(K, 2 * y, 0.3), 2 * fitted)  # doubled labels, doubled fit
    assert abs(spectrum.filter(s[4].item())[4] - 0.5) < 1e-12  # at s = λ exactly half is kept
    assert abs(spectrum.degrees_of_freedom(1e-12) - 12) < 1e-4  # λ → 0 spends all n
    assert spectrum.degrees_of_freedom(1e12) < 1e-9  # λ → ∞ spends nothing

# %% [markdown]
# Steps are a filter too. And the solve's α has the lowest price $J$: everywhere else costs more, if no point is there
# twice.

# %%
def price(alpha, K, y, lam):
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
        assert price(alpha, K, y, 0.3) < price(elsewhere, K, y, 0.3)

# %% [markdown]
# The two ends of λ.

# %%
for cloud in clouds:
    K, y = kernels.rbf_kernel(cloud, cloud, 0.5), torch.randn(12, 1, generator=draw, dtype=torch.float64)
    k_x = kernels.rbf_kernel(torch.randn(50, 2, generator=draw, dtype=K.dtype), cloud, 0.5)
    assert torch.allclose(1e7 * k_x @ ridge.solve(K, y, 1e7), k_x @ y, atol=1e-4)  # λ → ∞: the vote
    assert (K @ ridge.solve(K, y, 1e-10) - y).abs().max() < 1e-4  # λ → 0: every label is met
    assert torch.allclose(k_x @ ridge.solve(K, y, 1e-12), k_x @ torch.linalg.pinv(K) @ y, atol=1e-4)

# %% [markdown]
# Least effort: a curve that meets the same labels and is bent to any other value at one more place costs more. And
# two labels that share a place end in their middle.

# %%
for cloud in clouds:
    further = torch.cat([cloud, torch.randn(1, 2, generator=draw, dtype=torch.float64)])
    K, K_further = (kernels.rbf_kernel(place, place, 0.5) for place in (cloud, further))
    y = torch.randn(12, 1, generator=draw, dtype=torch.float64)
    effort = (y * ridge.solve(K, y, 1e-12)).sum()  # αᵀKα with Kα = y
    for value in (-2.0, 0.0, 2.0):
        bent = torch.cat([y, torch.tensor([[value]], dtype=y.dtype)])
        assert (bent * ridge.solve(K_further, bent, 1e-12)).sum() > effort

points, labels = vote.TASKS["a point twice"]
G = kernels.rbf_kernel(points, points, 0.6)
assert (G @ ridge.solve(G, labels, 1e-8))[:2].abs().max() < 1e-6  # +1 and −1 on one spot become 0

# %%
assert ridge.solve(G, labels, 1e-8).abs().max() > 1e7  # and α has no limit there, though f has
assert ridge.Spectrum.of(G).degrees_of_freedom(1e-12) < 7.1  # nor are all eight degrees of freedom spent
for lam in (1e-4, 0.02, 1.0, 100.0):
    widths = [kernels.rbf_kernel(points, points, 0.1 * 2**doubling) for doubling in range(8)]
    spent = torch.stack([ridge.Spectrum.of(K).degrees_of_freedom(lam) for K in widths])
    assert (spent.diff() < 1e-12).all()  # with a wider σ d never grows, whatever λ is

# %% [markdown]
# And on the letters: up to λ = 1 these tasks see no difference worth a point, and with this kernel the solve beats
# the vote. Where all examples are equally alike, λ changes no answer.

# %%
for lam in (1e-2, 1.0):
    difference = stats.paired_difference(results[lam], results[1e-4])
    assert -0.01 < difference.low <= difference.high < 0.01
assert stats.paired_difference(results[1e-4], results[1e4]).low > 0
assert stats.paired_difference(by_cosine[1e-4], by_cosine[1e4]).high < 0.01  # less than a point by the cosine
one_shot = stats.mean_interval(results[1e-4])
assert 1 / 5 < one_shot.low < one_shot.high < 0.6  # better than guessing, and far from reading

alike, k_x = 0.6 + 0.4 * torch.eye(5, dtype=torch.float64), torch.rand(50, 5, generator=draw, dtype=torch.float64)
for lam in (1e-6, 1e-2, 1.0, 1e4):
    winner = (k_x @ ridge.solve(alike, torch.eye(5, dtype=torch.float64), lam)).argmax(1)
    assert torch.equal(winner, k_x.argmax(1))

# %% [markdown]
# ## Where this breaks
#
# **Another λ of the same name.** Some methods take the *mean* of the squared misses, and then nλ stands where λ
# stands here. scikit-learn's `KernelRidge(alpha=λ)` means ours; R2-D2 (Bertinetto et al. 2019) multiplies by n. A λ
# from one text, put into the other, is another fit, the more so the more points there are.

# %%
for n in (5, 25, 100):
    x = torch.linspace(-3, 3, n, dtype=torch.float64)[:, None]
    K, y = kernels.rbf_kernel(x, x, 0.5), torch.sin(2 * x)
    spectrum, alpha = ridge.Spectrum.of(K), ridge.solve(K, y, n * 0.1)
    slope = K @ ((K @ alpha - y) / n + 0.1 * alpha)  # of the mean's price, 1/(2n) |Kα − y|² + λ/2 αᵀKα
    assert slope.abs().max() < 1e-12  # nλ is where it is lowest
    ours, theirs = spectrum.degrees_of_freedom(0.1), spectrum.degrees_of_freedom(n * 0.1)
    print(f"n = {n:3}: λ = 0.1 spends {ours:5.2f} degrees of freedom, read as nλ {theirs:5.2f}")
    assert theirs < ours

# %% [markdown]
# **Steps that are too long.** The descent's $1 - a\,s$ must stay above −1, so $a$ below $2/s$ of the strongest channel.
# Above it, that channel overshoots by more at each step. One solve has no rate that could be wrong.

# %%
x, y, K, spectrum = spectra.first()
for factor in (1.9, 2.1):
    learned = spectrum.descent_filter(factor / spectrum.eigenvalues[0].item(), steps=100)
    print(f"a = {factor} / s_max, 100 steps: the strongest channel has learned {learned[0]:.6g} of itself")
assert learned[0].abs() > 1000

# %% [markdown]
# **A λ too small for the numbers.** Five points on [−1, 1], one of them twice, and a wide kernel, σ = 4. At λ = 0 the
# solve refuses: it needs a matrix whose eigenvalues are all above zero (*positive definite*), and the repeated point
# makes one of $K$'s zero. (In code λ is called `lam`.) At λ = 1e-6 it goes through in 32-bit numbers (*float32*) **and
# is wrong without a word**. Only a λ well above the rounding errors repairs it.

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
# ## The next question
#
# You wrote $f$ as a sum of bumps on the labelled points. Who says that the best function looks like that, among all
# the curves there are? That is the representer theorem, lesson 03.
#
# Previous: [01 · RBF kernels: similarity with a dial](01_rbf_kernels.ipynb) · Next: [03 · The representer
# theorem](03_representer_theorem.ipynb)
