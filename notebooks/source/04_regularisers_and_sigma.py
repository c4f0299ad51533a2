# %% [markdown]
# # 04 · Regularisers and choosing σ
#
# **You will** see the effect of three regularisers, choose σ and λ from labelled points alone, and find out when such a
# choice is bad.
#
# 75 minutes · needs: lessons 02 and 03, Gaussian vectors and their covariance · runs offline in a minute or two
#
# You have twenty labelled points and two sliders: the bandwidth σ (sigma) and the regulariser λ (lambda). You must set
# both, and the points are all you have. Which rule should choose σ and λ?

# %%
import torch

from amfs_lab import checks, explore, inner, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.regularisers import landscape, limits, questions

# %% [markdown]
# Below is a map. σ grows to the right, and λ grows upwards. Every place on the map is one pair (σ, λ), so it is one fit
# of the same twenty points. The shade shows how good the fit is by one loss. The best tenth of the map is white.

# %% [markdown]
# The first map shows the **training loss**: half the mean squared residual at the twenty points. You want a small
# **query loss**: the same at new points of the task. During learning you don't have these new points.

# %%
widgets.predict(
    "One pair of σ and λ is best for new points. Which pair has the lowest training loss, compared with this one?",
    options=["a narrower σ and a smaller λ", "a wider σ and a larger λ", "the same σ and λ"],
    answer=questions.answer_where_the_training_loss_points,
    because={
        "a wider σ and a larger λ": "a smoother curve stays further from the labels. So its training loss is larger",
        "the same σ and λ": "the training loss uses only labels that the fit has seen. A fit can repeat these labels "
        "and still be bad at new points",
        "a narrower σ and a smaller λ": "Each point has its own narrow bump, and a small λ lets the bump reach the "
        "label. So the fit repeats all labels.",
    },
)

# %%
judges = explore.TeacherExplorer("training loss misleads")
judges

# %% [markdown]
# In this map the best tenth lies in the lower left corner, where σ and λ are small. The triangle marks the lowest
# training loss: it is exactly in the corner. Now choose **map of: query loss**. The best tenth has moved, and the star
# (the lowest query loss) is far from the triangle. The sentence under the figure compares the query loss at both
# places.

# %% [markdown]
# The empty circle shows the present σ and λ. Each arrow shows in which direction one loss falls fastest; its length has
# no meaning. Ignore *leave-one-out* and *evidence* for now: they are explained below.

# %% [markdown]
# ## Why the training loss can't choose
#
# The solve of lesson 02 is $(K + \lambda I)\alpha = y$. So at the points the labels minus the fit are
# $y - K\alpha = \lambda\alpha$. A smaller λ makes this difference smaller, for every σ and for all labels. With a small
# λ and a narrow σ it is almost zero. The training loss is
#
# $$\frac{1}{2n}\sum_{i=1}^n \bigl(f(x_i) - y_i\bigr)^2 = \frac{\lambda^2}{2n}\sum_{i=1}^n \alpha_i^2.$$
#
# Read aloud: the training loss is half of λ² times the mean of the squared α.

# %%
points = landscape.task("sine", points=20, noise=0.3, sample=6)
for sigma, lam in ((0.8, 0.1), (0.8, 1e-4), (0.1, 1e-4)):
    K, K_qs = points.at(sigma)
    alpha = ridge.solve(K, points.y, lam)
    training = (K @ alpha - points.y).square().mean() / 2
    query = (K_qs @ alpha - points.query_y).square().mean() / 2
    assert torch.isclose(training, (lam * alpha).square().mean() / 2)  # labels minus fit are λα
    print(f"σ = {sigma}, λ = {lam:g}: training loss {training:.6f}, query loss {query:.3f}")

# %% [markdown]
# Two things can help: a **regulariser**, which is an additional term in the objective, and a better rule to choose σ.
# The regularisers come first.

# %% [markdown]
# ## Three regularisers
#
# The function $f$ of a task minimises
#
# $$J(f) = L(f) + \frac{\lambda}{2}\lVert f\rVert^2 + \frac{\mu}{2}\lVert\nabla_{\!f} L\rVert^2,
# \qquad L(f) = \frac12\sum_{i=1}^n \bigl(f(x_i) - y_i\bigr)^2.$$
#
# Read aloud: the loss, plus λ/2 times the squared norm of f, plus μ/2 times the squared norm of the gradient of the
# loss. You know λ and the norm $\lVert f\rVert$. The weight **μ** (the Greek letter mu) is new.

# %% [markdown]
# The gradient $\nabla_{\!f} L$ is a function, too: in this direction the loss $L$ grows fastest. It has a bump on each
# point, with the residual $r_i = f(x_i) - y_i$ as its weight: $\nabla_{\!f} L = \sum_i r_i\,k(x_i, \cdot)$. Its squared
# norm is $r^\top K r$. The third regulariser, with the weight γ, comes later, because it does not act on $f$.

# %%
widgets.predict(
    "λ is 1. You set μ = 10, so a large norm of this gradient now costs something. What does the curve do?",
    options=["it comes closer to the labels", "it stays away and is smoother", "it hardly changes"],
    answer=questions.answer_when_mu_grows,
    because={
        "it stays away and is smoother": "if the curve stays away, its residuals r stay large. Then the cost rᵀKr "
        "stays large, too",
        "it hardly changes": "a curve that hardly changes pays the full cost rᵀKr. Smaller residuals r cost less",
        "it comes closer to the labels": "The gradient is a sum of bumps with the residuals as weights. Small "
        "residuals give a small gradient.",
    },
)

# %%
dials = explore.RegulariserExplorer("plain ridge")
dials

# %% [markdown]
# Press **strong μ**. The dotted curve is the fit without μ. The solid curve is the fit with μ, and it is closer to the
# points. In the upper right panel the filter moves to the left, so the fit keeps more of the labels.

# %% [markdown]
# The dashed line shows the reason: μ replaces λ by a smaller number, the **effective ridge**. It is smallest where the
# eigenvalue $s$ is large.
#
# Press **μ → ∞**. λ has its largest value, and the curve still passes through every point.

# %% [markdown]
# ### Our reading
#
# The inner loop of the paper has a term with the norm of a gradient, but the paper does not say which gradient. We take
# the gradient of the loss with respect to the function. Such a term is said to make the fit smoother and to prevent
# overfitting. For our reading this is false: μ brings the fit closer to the labels and increases its norm and its
# degrees of freedom. The next cells show this.

# %% [markdown]
# ## μ, precisely
#
# In an eigen-direction with the eigenvalue $s$ of $K$ (lesson 02), μ divides λ by $1 + \mu s$. With the filter $h$:
#
# $$\lambda \;\to\; \frac{\lambda}{1 + \mu s}, \qquad h(s) = \frac{s(1 + \mu s)}{s(1 + \mu s) + \lambda},
# \qquad \alpha = (K + N)^{-1} y, \quad N = \lambda(I + \mu K)^{-1}.$$
#
# Read aloud: this is ridge regression again, with a *smaller* λ in strong eigen-directions. Multiply $K + N$ by
# $I + \mu K$, and you get an equation with the same solution: $(K + \mu K^2 + \lambda I)\,\alpha = (I + \mu K)\,y$.

# %% [markdown]
# ## Build it once by hand
#
# Here you find α without its formula, by gradient descent on $J$. The gradient of $J$ is a sum of bumps, and the bump
# at $x_i$ has the weight $r_i + \lambda\alpha_i + \mu(Kr)_i$. The next cell takes small steps.

# %%
x = explore.kernels.rbf.POINTS["six points"]
K, y, lam, mu = kernels.rbf_kernel(x, x, 0.6), torch.sin(2 * x), 0.1, 0.5
alpha = torch.zeros_like(y)
for _ in range(3000):
    residual = K @ alpha - y
    alpha = alpha - 0.1 * (residual + lam * alpha + mu * K @ residual)

# %%
identity = torch.eye(6, dtype=K.dtype)
squared = torch.linalg.solve(K + mu * K @ K + lam * identity, y + mu * K @ y)
assert torch.allclose(alpha, squared)  # gradient descent ends at the solution with K + μK²
assert torch.allclose(alpha, ridge.solve(K, y, lam, mu))  # the library's (K + N)⁻¹y is equal
print(alpha.T.numpy().round(4))

# %% [markdown]
# Now raise μ on the twenty points and read the numbers. $d$ counts the degrees of freedom of lesson 02.

# %%
K, _ = points.at(0.6)
spectrum = ridge.Spectrum.of(K)
first, seventh = spectrum.eigenvalues[[0, 6]]
for mu in (0.0, 1.0, 10.0, 1000.0):
    alpha, d = ridge.solve(K, points.y, 1.0, mu), spectrum.degrees_of_freedom(1.0, mu)
    residual, norm = (K @ alpha - points.y).norm(), (alpha.T @ K @ alpha).sqrt().item()
    met = f"effective ridge in eigen-direction 1: {1 / (1 + mu * first):.2g}, in 7: {1 / (1 + mu * seventh):.2g}"
    print(f"μ = {mu:<6g} residual {residual:.2f}, norm of f {norm:.2f}, d = {d:.1f}; {met}")

# %% [markdown]
# One part of the claim "smoother" is true. The odds of an eigen-direction are its kept share divided by its lost share:
# $h/(1 - h) = s(1 + \mu s)/\lambda$. μ multiplies the odds by $1 + \mu s$, so strong eigen-directions gain more than
# weak ones.

# %% [markdown]
# If λ is large and little is kept, this favours the smooth eigen-directions. If most of a smooth eigen-direction is
# already kept, mainly the wiggly ones can gain, and the kept *shares* become more equal. In both cases no share falls.

# %% [markdown]
# ## A second reading, and the information in it
#
# The shaded band in the explorer comes from a second reading of the solve. Assume that $f$ is random: its values at the
# points are Gaussian with covariance $K$. Each label is such a value plus noise with variance λ. Given the labels, the
# mean of $f$ is our fit, and the band extends two standard deviations to either side. (With μ, the noise has the
# covariance $N$ in place of $\lambda I$.)

# %% [markdown]
# The next cell computes this by hand, at three new places $z$ and with λ = 0.1. It writes down the joint covariance of
# $f$ at $z$ and the labels $y$, and inverts this matrix. Call two blocks of the inverse $P_{zz}$ and $P_{zy}$. Given
# the labels, $f$ at $z$ has
#
# $$\text{covariance} = P_{zz}^{-1}, \qquad \text{mean} = -P_{zz}^{-1} P_{zy}\, y.$$
#
# The diagonal of this covariance is the variance $v(x)$ of lesson 03, now with λ.

# %%
places = points.query_x[:3]
K_qs = kernels.rbf_kernel(places, points.x, 0.6)
together = torch.cat([places, points.x])
joint = kernels.rbf_kernel(together, together, 0.6)
joint.diagonal()[3:] += 0.1  # labels are noisy, values of f are not
inverse = torch.linalg.inv(joint)
left = torch.linalg.inv(inverse[:3, :3])  # covariance of the three values, given the labels

assert torch.allclose(-left @ inverse[:3, 3:] @ points.y, K_qs @ ridge.solve(K, points.y, 0.1))  # the mean is the fit
assert torch.allclose(left.diagonal(), ridge.variance(torch.ones_like(places[:, 0]), K_qs, K, 0.1))
print("half width of the band:", (2 * left.diagonal().sqrt()).numpy().round(2))

# %% [markdown]
# In this reading you can ask how much the labels tell about $f$. This amount is the **information**, in *nats* (bits,
# but with the natural logarithm):
#
# $$I = \tfrac12 \log\det\left(I_n + K/\lambda\right) = \tfrac12 \sum_{i=1}^n \log\left(1 + s_i/\lambda\right).$$
#
# Read aloud: half the sum of the logarithms of $1 + s_i/\lambda$. ($I_n$ is the identity matrix.) By hand: the
# information is the uncertainty (*entropy*) of the labels minus the entropy of the noise.

# %%
def entropy(covariance):
    return torch.distributions.MultivariateNormal(covariance.new_zeros(len(covariance)), covariance).entropy()


noise = 0.1 * torch.eye(20, dtype=K.dtype)
by_hand = entropy(K + noise) - entropy(noise)
assert torch.isclose(by_hand, ridge.information(K, 0.1))
assert torch.isclose(by_hand, spectrum.information(0.1))  # the sum over eigenvalues
print(f"twenty labels tell {by_hand:.2f} nats about f, or {by_hand / torch.log(torch.tensor(2.0)):.2f} bits")

# %% [markdown]
# The lower left panel shows the information $I$ and the degrees of freedom $d$ against λ. The dotted line touches $I$
# at the present λ. Its slope is minus half of $d$:
#
# $$\frac{dI}{d\log\lambda} = -\frac{d}{2}, \qquad d = \sum_{i=1}^n \frac{s_i}{s_i + \lambda}.$$
#
# Read aloud: if log λ grows by a small amount, the information falls by $d/2$ times this amount.

# %%
log_lam = torch.tensor(0.1, dtype=K.dtype).log().requires_grad_()
(slope,) = torch.autograd.grad(ridge.information(K, log_lam.exp()), log_lam)
above, below = (spectrum.information((log_lam + step).detach().exp()) for step in (1e-4, -1e-4))
half_d = spectrum.degrees_of_freedom(0.1) / 2
print(f"slope by autograd {slope:.6f}, by a small step {(above - below) / 2e-4:.6f}; −d/2 = {-half_d:.6f}")
assert torch.isclose(slope, -half_d)
assert torch.isclose((above - below) / 2e-4, -half_d)

# %% [markdown]
# ### Our reading, again
#
# The third regulariser is **γ** (gamma), the weight of the information. $I$ does not contain α, so in $J$ it would not
# change $f$. It depends on $K$, and so on σ and on the features. Therefore we add $\gamma I/n$ to the query loss of a
# *task*, and call the sum the **meta-objective** of the task.

# %% [markdown]
# (The KL divergence measures how far the labels have moved the Gaussian of $f$. It is
# $I + \tfrac12\alpha^\top K\alpha - \tfrac12 d$. If you add it to $J$ with weight γ, its second term only adds γ to λ.
# The other two terms contain no α.)

# %%
def learn(gamma):
    return inner.FunctionSpace(kernels.RBF(0.6), lam=0.1, gamma=gamma).fit(points.x, points.y)


plain, weighed = learn(gamma=0.0), learn(gamma=1.0)
assert torch.equal(plain.alpha, weighed.alpha)  # γ does not change the function of the task
print(f"added to the query loss at γ = 1: {weighed.penalty.item():.3f}")

# %% [markdown]
# Go back to the explorer with four panels, press **information**, and move **γ**. The fit and its band do not change.
# In the lower right panel the dotted curve $\gamma I/n$ falls towards wide σ, where the labels of different points tell
# almost the same. So the lowest point of the sum (diamond) lies to the right of the lowest query loss (star). A larger
# γ moves the diamond further.

# %% [markdown]
# (With μ > 0 the dotted curve can first rise, because μ increases the information in strong eigen-directions.)
#
# Press **too much γ**: the diamond moves to the end of the slider. The cheapest way to a small $I$ is to make all
# points alike.

# %%
for sigma, lam in ((0.6, 0.1), (5.0, 0.1), (1e4, 0.1), (0.6, 1e4)):
    told = ridge.information(points.at(sigma)[0], lam)
    print(f"σ = {sigma:g}, λ = {lam:g}: {told:.3f} nats")
K, K_qs = points.at(0.6)
loose, crowd = K_qs @ ridge.solve(K, points.y, 1e7), K_qs @ points.y
assert torch.allclose(1e7 * loose, crowd, rtol=1e-4)  # a huge λ, and f scaled up again: a vote of the neighbours

# %% [markdown]
# There are two ways to a small $I$ without learning. One is σ → ∞. The other is λ → ∞, while a learned output scale
# makes $f$ large again. So training in this course keeps λ constant inside $I$, bounds σ and λ, and records $I$.

# %% [markdown]
# ## The two ends of σ
#
# Before you choose σ, look at both ends of the slider.

# %%
ends = explore.LimitExplorer("flat")
ends

# %% [markdown]
# Press **memorises**: σ is small, and the curve is zero between the points. Press **flat**: σ is large, the kernel
# treats all points as one, and the curve is a horizontal line. With λ = 0 the wide end is different. Press
# **Lagrange**: the curve is a polynomial through all labels. Press **float64 breaks**: the computed curve no longer
# follows the polynomial, and there is no error message.

# %% [markdown]
# The solve can also stop with an error, but only at a still larger σ. A λ that is not too small prevents both problems:
# type 0.0001 into the box of **λ**. (The buttons **float32**, **no error, but wrong** and **λ repairs** show the same
# with fewer digits, as in lesson 02.)

# %% [markdown]
# The panels on the right show the reason. The upper panel shows the **condition number** of $K + \lambda I$: its
# largest eigenvalue divided by its smallest. A rounding error can grow by this factor in the solve, and at the dashed
# line no correct digit is left. The lower panel shows the error of the computed fit at each place. An error above the
# dashed line is visible.

# %%
y = points.y + 5  # labels far from zero
alone, one = points.at(1e-6)[0], points.at(1e6)[0]
fitted = [(K @ ridge.solve(K, y, lam=1.0))[:, 0] for K in (alone, one)]
n, mean = len(y), y.mean()
assert torch.allclose(fitted[0], y[:, 0] / (1 + 1.0))  # σ → 0: each label, divided by 1 + λ
assert torch.allclose(points.at(1e-6)[1] @ ridge.solve(alone, y, 1.0), torch.zeros(100, 1, dtype=y.dtype))
assert torch.allclose(fitted[1], n * mean / (n + 1.0))  # σ → ∞: nȳ/(n + λ) everywhere
print(f"mean label {mean:.2f}; new points get 0 at σ → 0 and {fitted[1][0]:.2f} at σ → ∞")

# %% [markdown]
# Now take λ = 0 and a wide σ. Exactly one polynomial of degree four or less passes through five labels, the *Lagrange
# polynomial*. The fit in sixty digits is called `exact` here: for wide σ, its distance to the polynomial falls to a
# quarter when σ doubles. The fit in `float64` has sixteen digits. It follows `exact` up to some σ; at a larger σ its
# rounding error is larger than this distance.

# %%
def off(sigma):
    """The distances from exact to the polynomial, and from float64 to exact (infinite if the solve stops)."""
    computed = limits.far_off("five points", sigma, lam=0.0, precision="float64")
    exact = torch.from_numpy(limits.exact("five points", sigma, lam=0.0))
    return (exact - lagrange).abs().max().item(), torch.inf if computed is None else computed


powers = torch.linalg.vander(torch.linspace(-1, 1, 5, dtype=torch.float64))  # x⁰ to x⁴ at the five places
through = torch.linalg.solve(powers, torch.tensor(limits.labels("five points"), dtype=torch.float64))
lagrange = torch.linalg.vander(torch.from_numpy(limits.GRID), N=5) @ through
ends_of_sigma = {sigma: off(sigma) for sigma in (4.0, 8.0, 16.0, 32.0)}
for sigma, (from_polynomial, from_exact) in ends_of_sigma.items():
    print(f"σ = {sigma:g}: exact to polynomial {from_polynomial:.1g}, float64 to exact {from_exact:.1g}")

# %% [markdown]
# For λ > 0 the flat line is $n\bar y/(n + \lambda)$, where $\bar y$ is the mean label. So λ moves the line towards
# zero, and it moves further with fewer points. But nothing makes zero a good label. So subtract the mean label first
# and add it back at the end. This is called **centring**; you write it in exercise 2.

# %% [markdown]
# ## Criterion one: leave one out
#
# A **criterion** is a rule that chooses σ and λ. (The code calls it `teacher`.) Hide one point, learn from the others,
# and take the residual at the hidden point; do so for each point. Half the mean of the squared residuals is the
# **leave-one-out loss**. It seems to need $n$ solves, but one solve is enough:
#
# $$e_i = y_i - f_{\text{without } i}(x_i) = \frac{\alpha_i}{\left[(K + \lambda I)^{-1}\right]_{ii}}.$$
#
# Read aloud: the residual at the hidden point is its α divided by its diagonal entry of the inverse.

# %%
K, y, lam = points.at(0.6)[0], points.y, 0.1
residuals = torch.empty_like(y)
for i in range(20):
    others = torch.arange(20) != i
    alpha = ridge.solve(K[others][:, others], y[others], lam)
    residuals[i] = y[i] - K[i, others] @ alpha

assert torch.allclose(residuals, ridge.leave_one_out(K, y, lam))  # twenty solves and one solve agree
print(f"leave-one-out loss {residuals.square().mean() / 2:.4f}")

# %% [markdown]
# ## Criterion two: the evidence
#
# In the second reading the labels are a sample of a Gaussian with covariance $K + \lambda I$. The **evidence** for σ
# and λ is the logarithm of its density at the given labels. A narrow σ allows almost any labels, so each set of labels
# has a low density. A wide σ allows few sets of labels: their density is high, and every other set has a very low
# density.
#
# $$\log p(y) = -\tfrac12\, y^\top (K + \lambda I)^{-1} y - \tfrac12 \log\det(K + \lambda I) - \tfrac n2 \log 2\pi$$

# %%
everything = K + lam * torch.eye(20, dtype=K.dtype)
density = torch.distributions.MultivariateNormal(torch.zeros(20, dtype=K.dtype), everything)
assert torch.isclose(density.log_prob(y[:, 0]), ridge.log_evidence(K, y, lam))
print(f"log evidence {density.log_prob(y[:, 0]):.2f} nats")

# %% [markdown]
# ## Criterion three: the meta-gradient
#
# Meta-learning has a third criterion: the query loss itself. In a training task the labels of the query points *are*
# known. So you can differentiate the query loss through the solve, with respect to log σ and log λ. This gradient is
# the **meta-gradient**. It belongs to the loss that you want to make small, but it exists for training tasks only.

# %%
def query_loss(log_sigma, log_lam):
    K, K_qs = points.at(log_sigma.exp())
    return (K_qs @ ridge.solve(K, points.y, log_lam.exp()) - points.query_y).square().mean() / 2


at = torch.tensor([0.3, 0.1], dtype=K.dtype).log().requires_grad_()
(meta_gradient,) = torch.autograd.grad(query_loss(*at), at)
sides = [query_loss(at[0] + step, at[1]) for step in (1e-5, -1e-5)]
print(f"along log σ: {meta_gradient[0]:.6f}, by a small step {(sides[0] - sides[1]) / 2e-5:.6f}")
assert torch.allclose(-meta_gradient, torch.tensor(landscape.pulls(points, 0.3, 0.1)["query loss"]).double())

# %% [markdown]
# The next map shows the three criteria together. It has twelve other points.

# %%
teachers = explore.TeacherExplorer("disagree")
teachers

# %% [markdown]
# The blue arrow (leave-one-out) points to a narrower σ. The orange arrow (evidence) points to a wider σ. The black
# arrow is the negative meta-gradient, and the sentence says with which criterion it agrees. Press **start too wide**:
# from there, all arrows point to a narrower σ.

# %% [markdown]
# Press **agree**: with forty points, leave-one-out (square) and evidence (diamond) choose the same σ. The lowest query
# loss (star) is elsewhere, but the query loss changes little between these places. The sentence shows that both choices
# are hardly worse than the best. Go back to **disagree** and move **sample**: with twelve points, another sample gives
# very different choices.

# %% [markdown]
# One sample can mislead. Here are a hundred tasks of each of four sizes. In each task, every criterion chooses σ and λ,
# and the query loss measures the choice. The last row does not use the task at all: its σ and λ have the lowest mean
# query loss on a hundred *other* tasks.

# %%
def judge(n):
    here, other = ([landscape.surfaces("sine", n, 0.3, s) for s in range(k, k + 100)] for k in (100, 200))
    shared = torch.stack([task["query loss"] for task in other]).mean(0).argmin()  # best for a hundred other tasks
    teachers = ("training loss", "leave-one-out", "evidence")
    found = {name: torch.tensor([landscape.judged(task, name) for task in here]) for name in teachers}
    return found | {"other tasks": torch.stack([task["query loss"].flatten()[shared] for task in here])}


by_size = {n: judge(n) for n in (5, 10, 20, 40)}
for name in by_size[5]:
    row = {n: stats.mean_interval(by_size[n][name]) for n in by_size}
    print(f"{name:>14}", *(f"n = {n}: {cell.mean:.3f} ± {cell.half_width:.3f}" for n, cell in row.items()), sep="   ")

# %% [markdown]
# Read the table by columns. With forty points, leave-one-out and the evidence are good: their query loss is less than
# twice the last row. With five or ten points, every choice by the task's own points is worse than the choice learned
# from other tasks: the choice itself overfits. So it helps to learn σ and λ from other tasks. This is the idea of
# meta-learning.

# %%
def closest(n, sample):
    """The distance of the two closest of n points."""
    return landscape.task("sine", n, 0.3, sample).x.sort(0).values.diff(dim=0).min()


for n, found in by_size.items():
    disasters = (found["leave-one-out"] > 1).sum()
    apart = torch.stack([closest(n, sample) for sample in range(100, 200)]).median()
    print(f"n = {n:2}: leave-one-out loses more than 1 in {disasters} of 100 tasks; closest points {apart:.3f} apart")

# %% [markdown]
# Two rows look strange, and these numbers explain them. With n = 5, leave-one-out fails badly in some tasks, because
# only four points predict the hidden one. The training loss gets *worse* with more points: it always takes the smallest
# λ, and with forty points the smallest σ. Some of forty points are so close that a curve through both labels swings
# far. (At equal distances, forty points are better than ten: “What we claimed” tests this.)

# %% [markdown]
# ## Use it: σ for letters
#
# Now take tasks of five letters with five images each, on raw pixels, as in lesson 01. The usual choice there was the
# *median heuristic*: σ is the median distance between examples. Here it has λ = 0.1. The labels are *one-hot*: one
# column for each letter, with a one in the column of the image's letter. They are also centred: the mean of each column
# is subtracted.

# %%
STRETCHES, LAMS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0), (1e-3, 1e-2, 0.1, 1.0, 10.0)


def letters(split, shots=5, episodes=200):
    """Squared distances in two hundred tasks, in units of the task's median distance, and the labels."""
    source = tasks.open_source("glyphs", split, tasks.EpisodeConfig(ways=5, shots=shots, queries=15))
    pairs = [(source[i].support.x.flatten(1), source[i].query.x.flatten(1)) for i in range(episodes)]
    median = torch.stack([kernels.median_bandwidth(s) for s, _ in pairs]).double()[:, None, None]
    within = torch.stack([kernels.squared_distances(s, s) for s, _ in pairs]).double() / median**2
    across = torch.stack([kernels.squared_distances(q, s) for s, q in pairs]).double() / median**2
    return within, across, source[0].support.y, source[0].query.y  # letters come in the same order in each task

# %%
def settings(letters, y):
    """For each of 45 settings and each task: accuracy, leave-one-out loss, minus log evidence, training loss."""
    within, across, _, truth = letters
    rows, y = [], y.expand(len(within), -1, -1)
    for stretch, lam in [(stretch, lam) for stretch in STRETCHES for lam in LAMS]:
        K, K_qs = torch.exp(-within / (2 * stretch**2)), torch.exp(-across / (2 * stretch**2))
        alpha = ridge.solve(K, y, lam)
        accuracy = ((K_qs @ alpha).argmax(2) == truth).double().mean(1)
        left_out = ridge.leave_one_out(K, y, lam).square().sum((1, 2))
        training = (lam * alpha).square().sum((1, 2))
        rows.append(torch.stack([accuracy, left_out, -ridge.log_evidence(K, y, lam), training]))
    return torch.stack(rows, 1)

# %% [markdown]
# There are forty-five settings of σ and λ. Leave-one-out chooses one of them for each task. Answer before you see the
# numbers.

# %%
outcome = {}
bet = widgets.predict(
    "Leave-one-out chooses σ and λ for each task of letters. How is its accuracy, compared with the median heuristic?",
    options=["higher", "lower", "no clear difference"],
    answer=lambda: outcome.get("leave-one-out"),
    because={
        "higher": "few examples choose among many settings. The lowest leave-one-out loss is often only luck",
        "no clear difference": "both methods learn the same two hundred tasks. So even a small difference is clear",
        "lower": "Few examples choose among many settings, so the choice overfits. The median heuristic is good.",
    },
)
bet

# %%
def picked(table, judge):
    return table[0].gather(0, table[judge].argmin(0)[None])[0]


test, train = letters("test"), letters("train")
y = torch.nn.functional.one_hot(test[2], 5).double()
y = y - y.mean(0)  # centred
table, sized = settings(test, y), settings(test, y / y.square().mean().sqrt())
habit = table[0, STRETCHES.index(1.0) * len(LAMS) + LAMS.index(0.1)]
learned = table[0, settings(train, y)[0].mean(1).argmax()]  # best, on average, for tasks of other scripts

# %%
results = {
    "training loss": picked(table, 3),
    "leave-one-out": picked(table, 1),
    "evidence": picked(table, 2),
    "evidence, labels of size one": picked(sized, 2),
    "other tasks": learned,
}
gaps = {name: stats.paired_difference(accuracy, habit) for name, accuracy in results.items()}
print(f"{'median heuristic':>28}: {stats.accuracy_interval(habit).percent('tasks')}")
for name, gap in gaps.items():
    print(f"{name:>28}: {100 * results[name].mean():.2f} %, minus median heuristic {gap.points('tasks')}")

# %%
gap = gaps["leave-one-out"]
outcome["leave-one-out"] = "higher" if gap.low > 0 else "lower" if gap.high < 0 else "no clear difference"
print(bet.settle())

# %% [markdown]
# Leave-one-out is slightly worse than the median heuristic, and the evidence is clearly worse. The Gaussian of the
# evidence expects labels of size one, because $k(x, x) = 1$. With such labels the evidence is slightly better than the
# median heuristic. The pair (σ, λ) learned once on *other* tasks, of other scripts, helps most.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# λ = 0.7, μ = 2, and an eigen-direction has the eigenvalue $s = 3$. What is its effective ridge? Write the number.

# %% tags=["exercise"]
### BEGIN SOLUTION
ridge_met = 0.1
### END SOLUTION

# %% tags=["check"]
checks.effective_ridge(ridge_met)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the centred fit. `K` is the Gram matrix of the examples (n n), and `K_q` holds the similarities of the new
# points to the examples (q n). `y` holds the labels (n c), one column for each output. Subtract the mean label of each
# column, solve (use `ridge.solve`), and add the mean to the fit at the new points.

# %% tags=["exercise"]
def my_centred_fit(K, K_q, y, lam):
    ### BEGIN SOLUTION
    mean = y.mean(0)
    alpha = ridge.solve(K, y - mean, lam)
    return K_q @ alpha + mean
    ### END SOLUTION

# %% tags=["check"] points=2
checks.centred_fit(my_centred_fit)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# In the explorer with the three criteria, press **start too wide**. Set **sample** to 3 and, under **More controls**,
# **points** to 10. Move only σ. Find a σ where leave-one-out and the evidence disagree: one improves with a wider σ,
# the other with a narrower σ.

# %% tags=["exercise"]
### BEGIN SOLUTION
between_teachers = 0.65
### END SOLUTION

# %% tags=["check"]
checks.opposed_teachers(between_teachers)

# %% [markdown]
# ## What we claimed
#
# At every σ, the training loss falls when λ falls. With twenty and with forty points, its choice is worse on new points
# than the choices of leave-one-out and of the evidence. With five or ten points, no choice by the task's own points is
# as good as the choice learned from other tasks.

# %%
for sample in range(1, 11):
    training = landscape.surfaces("sine", 20, 0.3, sample)["training loss"]
    assert (training.diff(dim=1) > 0).all()  # at every σ the training loss grows with λ
    assert training.argmin() % len(landscape.LAMBDAS) == 0  # lowest where λ is smallest
assert questions.answer_where_the_training_loss_points() == "a narrower σ and a smaller λ"

# %%
for teacher in ("leave-one-out", "evidence"):
    agree, disagree = (landscape.surfaces("sine", n, 0.3, sample) for n, sample in ((40, 6), (12, 1)))
    assert landscape.judged(agree, teacher) < 1.1 * agree["query loss"].min()  # hardly more than the best
    assert landscape.judged(disagree, teacher) > 1.5 * disagree["query loss"].min()
    assert by_size[40][teacher].mean() < 2 * by_size[40]["other tasks"].mean()
assert landscape.best(agree["leave-one-out"])[0] == landscape.best(agree["evidence"])[0]
too_wide = landscape.pulls(landscape.task("sine", 20, 0.3, 6), 3.0, 0.1)
assert all(along_sigma < 0 for along_sigma, _ in too_wide.values())  # for every loss, a narrower σ is better

# %%
for teacher in ("leave-one-out", "evidence"):
    for n in (20, 40):
        assert stats.paired_difference(by_size[n]["training loss"], by_size[n][teacher]).low > 0
for teacher in ("training loss", "leave-one-out", "evidence"):
    for n in (5, 10):
        assert stats.paired_difference(by_size[n][teacher], by_size[n]["other tasks"]).low > 0
assert by_size[40]["training loss"].mean() > by_size[10]["training loss"].mean()  # worse with more points
assert (by_size[5]["leave-one-out"] > 1).sum() > (by_size[20]["leave-one-out"] > 1).sum()  # very bad in some tasks

# %%
for found in (landscape.surfaces("sine", 40, 0.3, sample)["training loss"] for sample in range(100, 120)):
    assert found.argmin() == 0  # with forty points the smallest σ and the smallest λ
spaced = {}
for n in (10, 40):
    x, asked = (torch.linspace(-3, 3, many, dtype=torch.float64)[:, None] for many in (n, 400))
    noise = torch.randn(n, 100, generator=torch.Generator().manual_seed(n), dtype=torch.float64)  # a hundred tasks
    alpha = ridge.solve(kernels.rbf_kernel(x, x, 0.05), torch.sin(2 * x) + 0.3 * noise, 1e-4)
    spaced[n] = (kernels.rbf_kernel(asked, x, 0.05) @ alpha - torch.sin(2 * asked)).square().mean()
assert spaced[40] < spaced[10] / 2  # at equal distances, more points are better

# %% [markdown]
# μ brings the fit closer to the labels, increases its norm and its degrees of freedom, and divides λ by $1 + \mu s$.
# For μ → ∞ and any λ, the fit tends to the function with the smallest norm that passes through all labels.

# %%
draw = torch.Generator().manual_seed(4)
for _ in range(10):
    cloud, y = (torch.randn(8, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    K = kernels.rbf_kernel(cloud, cloud, 1.0)
    spectrum = ridge.Spectrum.of(K)
    alphas = [ridge.solve(K, y, 0.5, mu) for mu in (0.0, 0.1, 1.0, 10.0, 100.0)]
    assert all(torch.diff(torch.stack([(K @ a - y).norm() for a in alphas])) < 0)  # closer to the labels
    assert all(torch.diff(torch.stack([(a * (K @ a)).sum() for a in alphas])) > 0)  # a larger norm
    freedom = torch.stack([spectrum.degrees_of_freedom(0.5, mu) for mu in (0.0, 0.1, 1.0, 10.0)])
    assert all(freedom.diff() > 0)
    endless = [ridge.solve(K, y, lam, mu=1e12) for lam in (0.01, 10.0)]
    assert all(torch.allclose(a, torch.linalg.solve(K, y), rtol=1e-3, atol=1e-6) for a in endless)

# %%
s, lam, mu = ridge.Spectrum.of(K).eigenvalues, 0.5, 3.0
h, plain = spectrum.filter(lam, mu), spectrum.filter(lam)
assert torch.allclose(h, s / (s + lam / (1 + mu * s)))  # the effective ridge
odds = (h / (1 - h)) / (plain / (1 - plain))
assert torch.allclose(odds, 1 + mu * s)  # μ multiplies the odds, more in strong eigen-directions
assert (odds > 1).all()  # in no eigen-direction do the odds fall
pair = ridge.Spectrum.of(torch.tensor([10.0, 1.0], dtype=s.dtype).diag())
much, little = ([pair.filter(lam, mu)[0] / pair.filter(lam, mu)[1] for mu in (0.0, 1.0)] for lam in (100.0, 0.1))
assert much[1] > much[0]  # little is kept: the strong share grows by the larger factor
assert little[1] < little[0]  # most is kept already: the shares become more equal

# %% [markdown]
# For λ = 0 and σ → ∞ the distance of the exact fit to the polynomial falls as 1/σ². The fit in float64 never reaches
# the polynomial.

# %%
from_polynomial = torch.tensor([exact for exact, _ in ends_of_sigma.values()])
left = from_polynomial[1:] / from_polynomial[:-1]
assert ((left > 0.22) & (left < 0.28)).all()  # when σ doubles, a quarter of the distance is left
assert ends_of_sigma[8.0][1] < ends_of_sigma[8.0][0]  # at σ = 8 the digits are enough
assert ends_of_sigma[32.0][1] > ends_of_sigma[32.0][0]  # at σ = 32 the rounding error is larger than the distance
assert off(40.0)[1] > 0.1  # at σ = 40 the rounding error is visible

# %% [markdown]
# The derivative of the information is $-d/2$, also with μ. The information lies between its values for equal points and
# for far points. The KL divergence with weight γ only adds γ to λ.

# %%
for mu in (0.0, 3.0):
    at = torch.tensor(0.5, dtype=K.dtype).log().requires_grad_()
    (slope,) = torch.autograd.grad(ridge.information(K, at.exp(), mu), at)
    assert torch.isclose(slope, -spectrum.degrees_of_freedom(0.5, mu) / 2)
alike = 0.5 * torch.log(torch.tensor(1 + 8 / 0.5))  # all points equal: n = 8, λ = 0.5
apart = 8 / 2 * torch.log(torch.tensor(1 + 1 / 0.5))  # all points far from each other
assert alike < ridge.information(K, 0.5) < apart
assert ridge.information(K, 1e9) < 1e-7  # for λ → ∞ the labels tell nothing
alpha = ridge.solve(K, y, 0.5 + 0.3)  # with γ/2 αᵀKα in J, at γ = 0.3, λ + γ replaces λ
assert torch.allclose((K @ alpha - y) + 0.5 * alpha + 0.3 * alpha, torch.zeros_like(y))

# %%
alpha, d = ridge.solve(K, y[:, :1], 0.5), spectrum.degrees_of_freedom(0.5)
after = K - K @ torch.linalg.solve(K + 0.5 * torch.eye(8, dtype=K.dtype), K)  # of f at the points, given the labels
after, mean = (after + after.T) / 2, (K @ alpha)[:, 0]
believed = torch.distributions.MultivariateNormal(torch.zeros_like(mean), K)
moved = torch.distributions.kl_divergence(torch.distributions.MultivariateNormal(mean, after), believed)
assert torch.isclose(moved, ridge.information(K, 0.5) + (alpha.T @ K @ alpha).squeeze() / 2 - d / 2)

# %% [markdown]
# With μ the noise has the covariance $N$. Given the labels, the fit is the mean of $f$ at a new place, and the band
# shows its standard deviation.

# %%
for mu in (0.0, 3.0):
    together = torch.cat([torch.zeros(1, 3, dtype=K.dtype), cloud])
    joint = kernels.rbf_kernel(together, together, 1.0)
    k_x = joint[:1, 1:].clone()
    joint[1:, 1:] += 0.5 * torch.linalg.inv(torch.eye(8, dtype=K.dtype) + mu * K)
    inverse = torch.linalg.inv(joint)
    assert torch.allclose(-inverse[:1, 1:] @ y / inverse[0, 0], k_x @ ridge.solve(K, y, 0.5, mu))
    assert torch.isclose(1 / inverse[0, 0], ridge.variance(torch.ones(1, dtype=K.dtype), k_x, K, 0.5, mu)[0])

# %% [markdown]
# On random points, a second computation gives the same criteria. On letters, the choice learned from other tasks is the
# best.

# %%
y, identity = y[:, :1], torch.eye(8, dtype=K.dtype)
for lam in (0.01, 0.1, 1.0):
    without = [ridge.solve(K[k][:, k], y[k], lam) for k in (torch.arange(8) != i for i in range(8))]
    brute = torch.stack([y[i] - K[i, torch.arange(8) != i] @ without[i] for i in range(8)])
    assert torch.allclose(brute, ridge.leave_one_out(K, y, lam))
    gaussian = torch.distributions.MultivariateNormal(torch.zeros(8, dtype=K.dtype), K + lam * identity)
    assert torch.isclose(gaussian.log_prob(y[:, 0]), ridge.log_evidence(K, y, lam))
assert gaps["training loss"].high < 0 < gaps["other tasks"].low  # the training loss is worse, other tasks are better
assert max(gaps["evidence"].high, gaps["leave-one-out"].high - 0.01) < 0  # neither gains a point
for teacher in ("leave-one-out", "evidence", "evidence, labels of size one"):
    assert stats.paired_difference(results["other tasks"], results[teacher]).low > 0
assert stats.paired_difference(results["evidence, labels of size one"], results["evidence"]).low > 0

# %% [markdown]
# ## Where this breaks
#
# **A point twice.** Press **every point twice** in the explorer with the three criteria: there are ten points and a
# copy of each. If you leave one point out, its copy is still there and shows the hidden label. So leave-one-out chooses
# like the training loss. This happens with every data set that has repeated rows.

# %%
def choice(found, teacher):
    (sigma, lam), cost = landscape.best(found[teacher]), landscape.judged(found, teacher)
    print(f"{teacher}: σ = {sigma:.2f}, λ = {lam:.4f}; query loss {cost:.3f}, {found['query loss'].min():.3f} at best")
    return cost


clean, twice = (landscape.surfaces(data, 20, 0.3, 6) for data in ("sine", "every point twice"))
choice(clean, "leave-one-out")
assert choice(twice, "leave-one-out") > 2 * twice["query loss"].min()
assert landscape.best(twice["leave-one-out"]) == landscape.best(twice["training loss"])

# %% [markdown]
# **Noise that is not Gaussian.** Press **one outlier**. The evidence assumes errors of about $\sqrt\lambda$, so an
# error ten times as large is almost impossible. It can explain the outlier by a spike in $f$, which needs a narrow σ,
# as in this sample. Or it takes all labels as very noisy and chooses a large λ: move **sample**.

# %%
wild = landscape.surfaces("one outlier", 20, 0.3, 6)
choice(clean, "evidence")
assert choice(wild, "evidence") > 2 * wild["query loss"].min()
assert landscape.best(wild["evidence"])[0] < landscape.best(clean["evidence"])[0] / 2
for sample in range(1, 21):
    at = (landscape.surfaces(data, 20, 0.3, sample)["evidence"] for data in ("sine", "one outlier"))
    (sigma, lam), (wild_sigma, wild_lam) = map(landscape.best, at)
    assert wild_sigma < sigma / 2 or wild_lam > 5 * lam  # a spike in f, or a large λ

# %% [markdown]
# **Too few points.** Here each letter has one example. If you hide it, the remaining examples show only other letters,
# and a fit to them predicts a wrong letter. So the lowest leave-one-out loss belongs to a fit that learns almost
# nothing, and leave-one-out chooses this fit.

# %%
lone = letters("test", shots=1)
y = torch.nn.functional.one_hot(lone[2], 5).double()
once = settings(lone, y - y.mean(0))
lost = stats.paired_difference(picked(once, 1), once[0, STRETCHES.index(1.0) * len(LAMS) + LAMS.index(0.1)])
print(f"one example each, leave-one-out minus median heuristic: {lost.points('tasks')}")
assert lost.high < 0

# %% [markdown]
# **Labels that are all equal.** Press **constant labels**. The evidence prefers a flat function without noise. So it
# chooses the corner of the map, with the largest σ and the smallest λ. An even larger σ or smaller λ would be better
# still. If a criterion chooses a place on the edge of the map, its optimum lies outside the map.

# %%
equal = landscape.surfaces("constant", 20, 0.0, 6)
sigma, lam = landscape.best(equal["evidence"])
print(f"the evidence chooses σ = {sigma:g}, λ = {lam:g}, the corner of the map")
assert sigma == landscape.SIGMAS[-1]
assert lam == landscape.LAMBDAS[0]
K = points.at(1e3)[0]
evidence = torch.stack([ridge.log_evidence(K, torch.ones_like(points.y), lam) for lam in (1e-2, 1e-4, 1e-6)])
assert (evidence.diff() > 0).all()  # a still smaller λ is still better

# %% [markdown]
# ## In three sentences
#
# The training loss cannot choose σ and λ, because it always prefers the smallest λ. Leave-one-out and the evidence
# choose well with many points, but with few points a choice learned from other tasks is better. The regulariser λ makes
# the function smaller, μ brings it closer to the labels, and γ leaves it unchanged but favours a wider σ.

# %% [markdown]
# ## The next question
#
# A σ chosen by other tasks is better than a σ chosen by five examples. But what exactly *is* a task, and who may see
# which labels? Lesson 05 builds few-shot tasks, called episodes. Lesson 09 learns σ and the features on thousands of
# them.
#
# Previous: [03 · The representer theorem](03_representer_theorem.ipynb) · Next: [05 · Few-shot
# episodes](05_few_shot_episodes.ipynb)
