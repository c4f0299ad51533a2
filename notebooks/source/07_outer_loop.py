# %% [markdown]
# # 07 · The outer loop in the plane
#
# **You will** drag three tasks in a plane and follow five outer loops. You will compute where each outer loop ends, and
# find a task that has no influence in MAML.
#
# 45 minutes · needs: lesson 06, gradients, 2 × 2 matrices · runs offline in seconds
#
# The inner loop learns one task. The outer loop uses all tasks, and moves the start of the inner loop. How much does
# each task influence this start?

# %%
import torch

from amfs_lab import checks, explore, planes, widgets
from amfs_lab.explore.outer_loop import pull, questions

# %% [markdown]
# Take a very small network: θ (theta) has two numbers, so it is a point in a plane. A task is a **bowl**: a loss with
# one lowest point, its **optimum**, and a **curvature** $h$ that says how steep the walls are. In the figure below,
# task 3 is four times as steep as tasks 1 and 2.

# %% [markdown]
# **Joint training** has no inner loop. MAML first takes one gradient step on each task. The **proximal** method first
# solves each task, with a regulariser λ (lambda) that keeps the result close to θ. The outer loop then uses the loss
# after the inner loop. Choose an answer before you look.

# %%
widgets.predict(
    "In which method does the steep task 3 have the smallest influence on θ, compared with tasks 1 and 2?",
    options=["joint", "MAML", "proximal"],
    answer=questions.answer_which_method_ignores_the_curved_task,
    because={
        "joint": "a steep bowl has a long gradient, and joint training uses the gradients of the tasks unchanged",
        "proximal": "the solve and the step make the gradient of task 3 equally small here. But the solve makes the "
        "gradients of tasks 1 and 2 smaller than the step does, so task 3 keeps more influence",
        "MAML": "One step nearly solves the steep task 3, so its gradient becomes very small. The step changes the "
        "gradients of the flat tasks 1 and 2 much less.",
    },
)

# %%
outer_loop = explore.OuterLoopExplorer("one curved task")
outer_loop

# %% [markdown]
# Each line is the trajectory of one outer loop, and a symbol marks its end point. Joint training (dotted) follows the
# mean of the tasks' gradients and ends near task 3. MAML ends almost as if task 3 were absent. Drag the ring of task 3
# across the plane, and see which end points follow it.

# %% [markdown]
# Now play **steps**, and then move **curvature h** to 5: the bars of task 3 for MAML and FO-MAML (first-order MAML)
# shrink to zero. At the lower right the lines are parallel. In round bowls, each step multiplies the distance to the
# end point by a constant factor. This factor is equal for all methods here, because each learning rate is the same
# fraction of the limit of its method.

# %% [markdown]
# ## Say it precisely
#
# Task $t$ has the loss $L_t(\theta) = \tfrac12 (\theta - \theta^*_t)^\top H_t\, (\theta - \theta^*_t)$, with its
# optimum $\theta^*_t$ and a symmetric positive definite matrix $H_t$, the **Hessian**. Its gradient is $H_t (\theta -
# \theta^*_t)$. A **round** bowl has the same curvature in all directions: $H = h I$. There, a step against the gradient
# goes straight towards the optimum.

# %% [markdown]
# An inner step with the learning rate $a$ multiplies $\theta - \theta^*$ by $I - aH$, so $k$ steps multiply it by $(I -
# aH)^k$. The gradient that the outer loop gets from task $t$ is the **meta-gradient** $g_t$, also called the **pull**
# of the task. For every inner loop below, it has the same form:
#
# $$g_t = W_t\, (\theta - \theta^*_t)$$

# %% [markdown]
# Read aloud: the pull is a matrix times the vector from the optimum to θ. *W is the curvature that is left after the
# inner loop.* (Reptile is different: its outer step moves θ towards the end of the inner steps.)

# %% [markdown]
# | method | inner loop | $W$ |
# |---|---|---|
# | joint | none | $H$ |
# | FO-MAML | $k$ steps, not differentiated | $H (I - aH)^k$ |
# | MAML | $k$ steps, differentiated | $(I - aH)^k\, H\, (I - aH)^k$ |
# | Reptile | $k$ steps, then a step towards their end | $I - (I - aH)^k$ |
# | proximal | one solve with a regulariser λ | $\lambda^2 (H + \lambda)^{-1} H (H + \lambda)^{-1}$ |
#
# The last row is I-AMFS in the plane: $\theta' = \arg\min_\varphi L_t(\varphi) + \tfrac\lambda2 \lVert \varphi - \theta
# \rVert^2$. In words: find a point φ (phi) with a small loss, close to θ. With $k = 1$, the $W$ of Reptile is $aH$, so
# Reptile has the trajectory of joint training in the figure; from $k = 2$ on, they generally differ.

# %% [markdown]
# The outer loop is $\theta \leftarrow \theta - \beta\, \tfrac1T \sum_t g_t$, with the outer learning rate β (beta). It
# is at rest where the pulls cancel, $\sum_t W_t (\theta - \theta^*_t) = 0$. If the sum of the $W_t$ is invertible, this
# gives
#
# $$\theta_\text{end} = \Big(\sum_t W_t\Big)^{-1} \sum_t W_t\, \theta^*_t$$

# %% [markdown]
# So the end point is a weighted mean of the optima. In round bowls with positive pulls, it lies between the optima. In
# other bowls the weights are matrices, and the end point can lie outside. It can also lie outside if a pull is
# negative.

# %% [markdown]
# ## Build it once by hand
#
# Take three bowls that are not round. The next cell computes MAML's meta-gradient by autograd, without the formula.

# %%
draw = torch.Generator().manual_seed(7)
optima, A = (torch.randn(3, 2, *shape, generator=draw, dtype=torch.float64) for shape in ((), (2,)))
tasks = planes.Quadratics(optima, A @ A.mT / 4 + 0.3 * torch.eye(2, dtype=torch.float64))
theta = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
adapted = [theta] * 3
for _ in range(2):  # two inner steps with learning rate 0.2, differentiated
    gradients = [H @ (phi - o) for phi, H, o in zip(adapted, tasks.hessians, tasks.optima, strict=True)]
    adapted = [phi - 0.2 * g for phi, g in zip(adapted, gradients, strict=True)]
loss = sum(tasks.losses(phi)[t] for t, phi in enumerate(adapted))
(meta_gradient,) = torch.autograd.grad(loss, theta)

# %%
W = planes.pulls("MAML", tasks.hessians, inner_lr=0.2, inner_steps=2)
pulled = (W @ (theta.detach() - tasks.optima)[..., None]).sum(0)[:, 0]
assert torch.allclose(meta_gradient, pulled)
print("meta-gradient by autograd: ", [f"{z:.6f}" for z in meta_gradient.tolist()])
print("the sum of the three pulls:", [f"{z:.6f}" for z in pulled.tolist()])

# %% [markdown]
# Now compute the end point in two ways: by the formula, and by many steps.

# %%
right_side = (W @ tasks.optima[..., None]).sum(0)
end = torch.linalg.solve(W.sum(0), right_side)[:, 0]
place = theta.detach()
for _ in range(2000):
    place = place - 0.5 / 3 * (W @ (place - tasks.optima)[..., None]).sum(0)[:, 0]
assert torch.allclose(place, end)
assert torch.allclose(end, planes.end(W, tasks.optima))
print("the trajectory ends at", [f"{z:.4f}" for z in place.tolist()])

# %% [markdown]
# ## The pull, as a curve
#
# In a round bowl, $W$ is a number $w(h)$ times the identity. Lesson 06 drew the filter of an inner loop against the
# eigenvalue. In the same way, $w(h)$ is the filter of the outer loop, against the curvature of a task.

# %%
widgets.predict(
    "MAML takes one inner step with the learning rate a. At which curvature h is the pull of a task zero?",
    options=["h = 0.5/a", "h = 1/a", "h = 2/a"],
    answer=questions.answer_curvature_that_maml_ignores,
    because={
        "h = 0.5/a": "one step goes half of the way to the optimum. So half of the distance is left, and the pull is "
        "not zero",
        "h = 2/a": "one step goes to the other side of the optimum, and the distance stays the same. So the pull is as "
        "large as in joint training",
        "h = 1/a": "One step ends at the optimum from every start. So the loss after the step does not depend on θ.",
    },
)

# %%
pull_explorer = explore.PullExplorer("one step")
pull_explorer

# %% [markdown]
# Move **curvature h** to the right. The joint pull always grows. MAML's pull rises, falls to zero at $a h = 1$, and
# rises again, beyond $a h = \tfrac43$ more steeply than the joint pull. The pull of the solve (solid) rises, has its
# maximum at $h = \lambda$, and then falls; it has no zero. The right panel shows why: $w(h)$ is the curvature of the
# loss after the inner loop, and at $a h = 1$ MAML's loss is flat.

# %% [markdown]
# With the first preset, MAML and the solve have the same pull. One step leaves $1 - a h = 0.2$ of the distance to the
# optimum, and one solve leaves $\lambda / (h + \lambda) = 0.2$ as well. Press **as one solve**: now both curves are
# similar, but not equal. They could be equal for *all* tasks only if both filters were equal everywhere, and lesson 06
# showed that they are not.

# %% [markdown]
# ## When FO-MAML diverges
#
# FO-MAML computes the gradient at the end of the inner steps, and applies it at their start. So it needs no second
# derivatives. Suppose that task 3 is much steeper than the others, with $a h = 1.5$.

# %%
widgets.predict(
    "FO-MAML takes one inner step, with a·h = 1.5 in the steep task 3, and a very small β. What does it do?",
    options=["it converges", "it diverges"],
    answer=questions.answer_what_fo_maml_does,
    because={
        "it converges": "the inner step goes beyond the optimum of task 3. There the gradient has the opposite sign, "
        "so the outer step goes away from the optimum",
        "it diverges": "Beyond the optimum of task 3, the gradient has the opposite sign. So the outer step goes away "
        "from the optimum. The pulls of tasks 1 and 2 are too small to prevent this.",
    },
)

# %%
astray = explore.OuterLoopExplorer("diverges")
astray

# %% [markdown]
# $W_3 = h (1 - a h)$ is negative, and larger in size than the sum of the other two. The × marks the point where the
# pulls cancel, but every step of FO-MAML leads away from it. No **outer rate β** above 0 helps: try some. Set **inner
# steps k** to 2: now $(1 - a h)^2$ is positive, and FO-MAML converges; with 3 steps it diverges again. MAML does not
# have this problem, because its pull contains a square.

# %% [markdown]
# How large may the outer learning rate be? Let $s_{max}$ be the largest eigenvalue of $\tfrac1T \sum_t W_t$. As in
# lesson 06, the outer loop converges at every β below $2 / s_{max}$, if no eigenvalue is negative. The slider **outer
# rate β** is a multiple of this limit, for each method its own limit. Move it beyond 1.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Two tasks lie on a line. One has curvature 1 and its optimum at 0, the other has curvature 3 and its optimum at 4.
# MAML takes one inner step with the learning rate $a = \tfrac14$. Where does its outer loop end?

# %% tags=["exercise"]
### BEGIN SOLUTION
maml_ends_at = 1
### END SOLUTION

# %% tags=["check"]
checks.end_of_maml(maml_ends_at)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the matrices $W$ of MAML. You are given the Hessians `H` (t, 2, 2), the inner learning rate `a` and the number
# of inner steps `k`. Return $W$ (t, 2, 2). `torch.linalg.matrix_power(M, k)` computes the k-th power of each matrix in
# `M`.

# %% tags=["exercise"]
def my_pulls(H, a, k):
    ### BEGIN SOLUTION
    left = torch.linalg.matrix_power(torch.eye(2, dtype=H.dtype) - a * H, k)
    return left @ H @ left
    ### END SOLUTION

# %% tags=["check"] points=2
checks.pulls(my_pulls)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# In the first explorer press **one curved task**. Move only **curvature h**. What is the smallest $h$ at which FO-MAML
# diverges? (The sentence under the figure says if it diverges.)

# %% tags=["exercise"]
### BEGIN SOLUTION
diverges_from = 6.3
### END SOLUTION

# %% tags=["check"]
checks.diverges_from(diverges_from)

# %% [markdown]
# ## What we claimed
#
# For random bowls, each trajectory ends where its pulls cancel.

# %%
def random_tasks(seed, t=4):
    draw = torch.Generator().manual_seed(seed)
    A = torch.randn(t, 2, 2, generator=draw, dtype=torch.float64) / 2
    optima = torch.randn(t, 2, generator=draw, dtype=torch.float64)
    return planes.Quadratics(optima, A @ A.mT + 0.2 * torch.eye(2, dtype=torch.float64))


# %%
start = torch.tensor([3.0, 3.0], dtype=torch.float64)
for seed in range(10):
    some = random_tasks(seed)
    for method in planes.PULLS:
        W = planes.pulls(method, some.hessians, inner_lr=0.1, inner_steps=3, lam=0.5)
        walk = planes.descend(W, some.optima, start, 0.5 * planes.stable_below(W).item(), 5000)
        assert torch.allclose(walk[-1], planes.end(W, some.optima), atol=1e-6)

# %% [markdown]
# The end point need not lie between the optima: for two bowls that are not round, it lies beside the line through both
# optima. The lines at the lower right of the first figure are parallel. From $a h = \tfrac43$ on, MAML's pull grows
# more steeply than the joint pull.

# %%
two = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
crossed = torch.diag_embed(torch.tensor([[10.0, 1.0], [1.0, 10.0]], dtype=torch.float64))
assert torch.allclose(planes.end(crossed, two), torch.tensor([1.0, 10.0], dtype=torch.float64) / 11)
a = explore.OuterLoopExplorer("one curved task", curvature=5.0).arrays
assert all(abs(a[f"distance_{n}"][20] / a[f"distance_{n}"][0] - 0.8**20) < 1e-6 for n in range(5))
assert max(a[f"distance_{n}"][0] for n in range(5)) > 1.3 * min(a[f"distance_{n}"][0] for n in range(5))
h = torch.tensor([1.1, 4 / 3, 1.6], dtype=torch.float64, requires_grad=True)  # at a = 1
(slope,) = torch.autograd.grad(pull.pull("MAML", h, 1.0, 1, 1.0).sum(), h)
assert 0 < slope[0] < 1 < slope[2]
assert abs(slope[1] - 1) < 1e-9

# %% [markdown]
# From this start, FO-MAML diverges exactly if the sum of its pulls has a negative eigenvalue. With an even number of
# inner steps, the sum has none. MAML converges at every β below $2 / s_{max}$.

# %%
def fo_maml(seed, inner_steps=1):
    some = random_tasks(seed)
    steeper = some.hessians * (1 + seed / 6)  # from gentle to very steep
    W = planes.pulls("FO-MAML", steeper, inner_lr=0.3, inner_steps=inner_steps)
    return W, torch.linalg.eigvalsh(W.sum(0)), some.optima


# %%
ran, negative = [], []
for seed in range(60):
    W, s, optima = fo_maml(seed)
    walk = planes.descend(W, optima, start, 0.1 * 2 * 4 / s.abs().max().item(), 20_000)
    ran.append(not bool((walk[-1] - planes.end(W, optima)).norm() < 1e-3))
    negative.append(bool(s.min() < 0))
    assert fo_maml(seed, inner_steps=2)[1].min() >= 0  # an even number of steps
assert ran == negative
print(f"FO-MAML diverged for {sum(ran)} of {len(ran)} sets of tasks")
assert 5 < sum(ran) < 55

# %%
some = random_tasks(0)
W = planes.pulls("MAML", some.hessians, inner_lr=0.3, inner_steps=1)
limit = planes.stable_below(W).item()
below, above = (planes.descend(W, some.optima, start, share * limit, 20_000)[-1] for share in (0.99, 1.01))
assert torch.allclose(below, planes.end(W, some.optima), atol=1e-6)
assert not (above.abs() < 1e6).all()
invisible = planes.pulls("MAML", torch.eye(2, dtype=torch.float64)[None] / 0.3, inner_lr=0.3, inner_steps=1)
assert invisible.abs().max() < 1e-12  # a h = 1: the pull is zero

# %% [markdown]
# ## Where this breaks
#
# **A network is not a bowl.** In a bowl the curvature is the same everywhere, so $a h = 1$ holds everywhere or nowhere.
# Here are two tasks with two valleys each, $L_t(\theta) = \tfrac14 (\theta^2 - c_t)^2$, in one dimension. Now the end
# point depends on the start, and the formula above does not predict it.

# %%
def maml_ends(start, inner_lr=0.1, outer_lr=0.1):
    theta = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    for _ in range(500):
        adapted = [theta - inner_lr * theta * (theta**2 - c) for c in (1.0, 2.0)]
        loss = sum((phi**2 - c) ** 2 for phi, c in zip(adapted, (1.0, 2.0), strict=True)) / 8
        theta = (theta - outer_lr * torch.autograd.grad(loss, theta)[0]).detach().requires_grad_()
    return theta.item()


# %%
ends = {start: maml_ends(start) for start in (-2.0, -0.1, 0.1, 2.0)}
for start, end in ends.items():
    landed = " and ".join(f"{end - 0.1 * end * (end**2 - c):.2f}" for c in (1.0, 2.0))
    print(f"from {start:4} to {end:6.3f}; one inner step from there ends at {landed}")
assert abs(ends[2.0] + ends[-2.0]) < 1e-6 < abs(ends[2.0] - ends[-2.0])
assert 1 < ends[0.1] < 2**0.5 < 2 < ends[2.0]

# %% [markdown]
# From a start near the middle, the trajectory ends between the two optima, 1 and $\sqrt2$, as expected. From 2 it goes
# *up* the wall, to a point from which one long inner step ends near both optima. Both end points are minima of MAML's
# loss. This loss measures the point after the step, and not the point before it.

# %% [markdown]
# **The tasks here have no noise.** The support set and the query set have the same bowl. With few examples, the bowl of
# the support set has an error, and a long inner loop also learns this error. A regulariser λ limits this, and so do few
# inner steps. (Few steps also cost less, because MAML differentiates through every step.)

# %%
draw = torch.Generator().manual_seed(0)
o = torch.randn(2000, dtype=torch.float64, generator=draw)  # true optima of tasks with h = 1; the start is 0
seen = o + torch.randn(2000, dtype=torch.float64, generator=draw)  # where the support set puts them
left = {k: (1 - 0.2) ** k for k in (1, 3, 10, 100)}
query_loss = {k: ((1 - share) * seen - o).square().mean().item() / 2 for k, share in left.items()}
for k, loss in query_loss.items():
    print(f"k = {k:3}: {left[k]:.2f} of the distance left, query loss {loss:.3f}")
assert query_loss[3] < min(query_loss[1], query_loss[100])

# %% [markdown]
# ## In three sentences
#
# The outer loop ends at a weighted mean of the tasks' optima, and the inner loop sets the weights. If one inner step
# solves a task exactly, this task has no weight in MAML, but every task keeps some weight with one proximal solve.
# FO-MAML can diverge if its inner step goes beyond the optimum of a steep task.

# %% [markdown]
# ## The next question
#
# So far the outer loop used the *mean* of the meta-gradients. If two tasks have opposite gradients, is the mean still a
# good choice? O-AMFS weights the tasks by how well their gradients agree. Where does it end?
#
# Previous: [06 · One solve against many steps](06_one_solve_many_steps.ipynb) · Next: [08 · Task
# conflict and O-AMFS](08_task_conflict.ipynb)
