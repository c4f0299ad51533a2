# %% [markdown]
# # 07 · The outer loop in the plane
#
# **You will** drag three tasks about in a plane, watch five outer loops walk between them, compute where each must end,
# and find the task that MAML cannot hear.
#
# 45 minutes · needs: lesson 06, gradients, 2 × 2 matrices · runs offline in seconds
#
# The inner loop learns one task. The outer loop listens to all of them, and moves the place where learning begins. To
# whom does it listen?

# %%
import torch

from amfs_lab import checks, explore, planes, widgets
from amfs_lab.explore.outer_loop import pull, questions

# %% [markdown]
# Make the network as small as can be: θ (theta) has two numbers, so it is a place in a plane. A task is a *bowl*: a
# loss with one lowest place, the task's **optimum**, and a **curvature** $h$ that says how steep its walls are. Below
# are three of them, and task 3 is four times as steep as the others. Commit to an answer before you look.

# %%
widgets.predict(
    "Joint training, MAML with one inner step, and one proximal solve: which listens to the steep task 3 least?",
    options=["joint", "MAML", "proximal"],
    answer=questions.answer_which_method_ignores_the_curved_task,
    because={
        "joint": "joint training has no inner loop. What does a steep wall do to the length of a gradient?",
        "proximal": "of task 3 both leave alike here. Which of the two leaves more of tasks 1 and 2?",
        "MAML": "Its step nearly solves the steep task and hardly helps the flat ones, which then count all the more.",
    },
)

# %%
outer_loop = explore.OuterLoopExplorer("one curved task")
outer_loop

# %% [markdown]
# Every line is an outer loop, all from one start; its symbol is where it must end. **Joint** (dotted) takes the mean of
# the tasks' gradients and ends near task 3. MAML ends as if that task were hardly there. Drag the ring of task 3 across
# the plane, and see who follows it.

# %% [markdown]
# Then play **steps**, and move **curvature h** to 5: its bars of FO-MAML and MAML shrink to nothing. At the lower right
# the lines are parallel: in round bowls every method that comes to rest closes in on its own end by the same factor a
# step, if its rate is the same share of its limit.

# %% [markdown]
# ## Say it precisely
#
# Task $t$ has the loss $L_t(\theta) = \tfrac12 (\theta - \theta^*_t)^\top H_t\, (\theta - \theta^*_t)$, with its
# optimum $\theta^*_t$ and a symmetric positive definite matrix $H_t$, the *Hessian*. Its gradient is $H_t (\theta -
# \theta^*_t)$. In a round bowl $H = h I$, and a step against the gradient leads straight towards the optimum, the
# further the steeper the bowl and the longer the way.

# %% [markdown]
# An inner step of rate $a$ goes $a H (\theta - \theta^*)$ of the way, so that $I - aH$ is left, and after $k$ steps $(I
# - aH)^k$. Whichever of the inner loops below it is, what reaches the outer loop is again a pull:
#
# $$g_t = W_t\, (\theta - \theta^*_t)$$
#
# Only $W_t$ differs. Read aloud: *W is what the inner loop has left of the curvature.* (Reptile's step asks for nothing
# that is left: it walks towards where the inner steps have ended.)

# %% [markdown]
# | method | inner loop | $W$ |
# |---|---|---|
# | joint | none | $H$ |
# | FO-MAML | $k$ steps, not looked through | $H (I - aH)^k$ |
# | MAML | $k$ steps | $(I - aH)^k\, H\, (I - aH)^k$ |
# | Reptile | $k$ steps, then a step towards where they ended | $I - (I - aH)^k$ |
# | proximal | one solve with a ridge λ | $\lambda^2 (H + \lambda)^{-1} H (H + \lambda)^{-1}$ |
#
# The last one is I-AMFS in the plane: $\theta' = \arg\min_\varphi L_t(\varphi) + \tfrac\lambda2 \lVert \varphi - \theta
# \rVert^2$. With $k = 1$ Reptile's $W$ is $aH$, the joint one but for a factor: they walk alike, and in general part at
# $k = 2$.

# %% [markdown]
# The outer loop is $\theta \leftarrow \theta - \beta\, \tfrac1T \sum_t g_t$, with β (beta) the outer rate. It comes to
# rest where all pulls balance, $\sum_t W_t (\theta - \theta^*_t) = 0$. If the sum of the $W_t$ can be inverted, that
# can be solved for θ:
#
# $$\theta_\text{end} = \Big(\sum_t W_t\Big)^{-1} \sum_t W_t\, \theta^*_t$$
#
# A mean of the optima, then, in which each task weighs as much as it pulls. In round bowls with positive pulls it lies
# between the optima. In other bowls the weights are matrices, and it can lie outside; so it can where a pull is
# negative.

# %% [markdown]
# ## Build it once by hand
#
# Three tasks with bowls that are not round. MAML's meta-gradient, told by autograd and nothing else:

# %%
draw = torch.Generator().manual_seed(7)
optima, A = (torch.randn(3, 2, *shape, generator=draw, dtype=torch.float64) for shape in ((), (2,)))
tasks = planes.Quadratics(optima, A @ A.mT / 4 + 0.3 * torch.eye(2, dtype=torch.float64))
theta = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
adapted = [theta] * 3
for _ in range(2):  # two inner steps of rate 0.2, looked through
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
# And the end: by the formula, and by walking there.

# %%
right_side = (W @ tasks.optima[..., None]).sum(0)
end = torch.linalg.solve(W.sum(0), right_side)[:, 0]
place = theta.detach()
for _ in range(2000):
    place = place - 0.5 / 3 * (W @ (place - tasks.optima)[..., None]).sum(0)[:, 0]
assert torch.allclose(place, end)
assert torch.allclose(end, planes.end(W, tasks.optima))
print("the walk ends at", [f"{z:.4f}" for z in place.tolist()])

# %% [markdown]
# ## The pull, as a curve
#
# In a round bowl everything is a number, $w(h)$. Lesson 06 drew filters over the strengths of channels; this is the
# outer loop's filter over the curvatures of tasks.

# %%
widgets.predict(
    "MAML takes one inner step of rate a. At which curvature does a task pull no more at all?",
    options=["h = 0.5/a", "h = 1/a", "h = 2/a"],
    answer=questions.answer_curvature_that_maml_ignores,
    because={
        "h = 0.5/a": "there one step goes half of the way. Something is left to ask for.",
        "h = 2/a": "there one step lands as far on the other side: nothing is gained, and the pull is a joint one's.",
        "h = 1/a": "One step lands on the optimum, from anywhere. Where the start is makes no difference to the task.",
    },
)

# %%
pull_explorer = explore.PullExplorer("one step")
pull_explorer

# %% [markdown]
# Move **curvature h** to the right. The joint pull grows for ever, MAML's rises, falls to nothing at $a h = 1$ and
# then rises again, at first slowly, and beyond $a h = \tfrac43$ more steeply than the joint one. The right panel
# shows why: it is the curvature of what the inner loop leaves of the bowl, and at $a h = 1$ that is flat. The solve's
# curve (solid) rises, peaks at $h = \lambda$ and falls, with no zero and no second rise.

# %% [markdown]
# At the first preset MAML and the solve pull alike: one step leaves $1 - a h = 0.2$ of the way, one solve $\lambda / (h
# + \lambda) = 0.2$ as well. Press **as one solve** and compare the ends of the lines: for *all* tasks to be heard alike
# the filters would have to agree everywhere, and lesson 06 said how far they can.

# %% [markdown]
# ## Too far, and not looking
#
# FO-MAML takes the gradient where the inner steps have ended, and uses it where they began. That saves the second
# derivatives. Suppose task 3 has $a h = 1.5$.

# %%
widgets.predict(
    "One inner step, a·h = 1.5 in task 3, a very small outer rate. What does FO-MAML do?",
    options=["it converges", "it diverges"],
    answer=questions.answer_what_fo_maml_does,
    because={
        "it converges": "the inner step overshoots task 3. Which way does the gradient on the far side point?",
        "it diverges": "It stands beyond the optimum of task 3. “Come back” from there means “go away” at the start.",
    },
)

# %%
astray = explore.OuterLoopExplorer("diverges")
astray

# %% [markdown]
# $W_3 = h (1 - a h)$ is negative, and outweighs what tasks 1 and 2 pull together. The square where the pulls balance
# is still there, but every step leads away from it. No **outer rate β** above 0 helps; try. Set **inner steps k** to
# 2: two overshoots make $(1 - a h)^2$, which is positive, and all is well; at 3 it is not. MAML never has this
# trouble, because its pull is squared.

# %% [markdown]
# How fast may an outer loop go? With $s_{max}$ the largest eigenvalue of $\tfrac1T \sum_t W_t$, every rate below $2 /
# s_{max}$ comes to rest, as in lesson 06, unless an eigenvalue is negative. The slider **outer rate β** counts in that
# limit, one for each method, so that none is favoured. Move it beyond 1.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# Two tasks on a line: curvature 1 with its optimum at 0, and curvature 3 with its optimum at 4. MAML takes one inner
# step of rate $a = \tfrac14$. Where does its outer loop end?

# %% tags=["exercise"]
### BEGIN SOLUTION
maml_ends_at = 1
### END SOLUTION

# %% tags=["check"]
checks.end_of_maml(maml_ends_at)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# The pulls of MAML. You are given Hessians `H` (t, 2, 2), the inner rate `a` and the number of inner steps `k`. Return
# $W$ (t, 2, 2). `torch.linalg.matrix_power(M, k)` multiplies each of the matrices `M` with itself.

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
# In the first explorer press **one curved task**. Move **curvature h** only. From which $h$ on does FO-MAML diverge?
# (The sentence under the figure says so.)

# %% tags=["exercise"]
### BEGIN SOLUTION
diverges_from = 6.3
### END SOLUTION

# %% tags=["check"]
checks.diverges_from(diverges_from)

# %% [markdown]
# ## What we claimed
#
# Whatever the bowls, each walk ends where its pulls balance.

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
# That end need not lie between the optima: of two valleys it lies beside the line through both. The lines at the lower
# right are parallel. And MAML's pull becomes steeper than the joint one at $a h = \tfrac43$.

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
# From a start like this one FO-MAML diverges exactly where its pulls add up to a negative eigenvalue; an even number
# of inner steps never does; and MAML comes to rest at every β below 2 / s_max.

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
print(f"FO-MAML ran away from {sum(ran)} of {len(ran)} sets of tasks")
assert 5 < sum(ran) < 55

# %%
some = random_tasks(0)
W = planes.pulls("MAML", some.hessians, inner_lr=0.3, inner_steps=1)
limit = planes.stable_below(W).item()
below, above = (planes.descend(W, some.optima, start, share * limit, 20_000)[-1] for share in (0.99, 1.01))
assert torch.allclose(below, planes.end(W, some.optima), atol=1e-6)
assert not (above.abs() < 1e6).all()
invisible = planes.pulls("MAML", torch.eye(2, dtype=torch.float64)[None] / 0.3, inner_lr=0.3, inner_steps=1)
assert invisible.abs().max() < 1e-12  # a h = 1: the task pulls no more

# %% [markdown]
# ## Where this breaks
#
# **A network is no bowl.** In a bowl the curvature is the same everywhere, and so $a h = 1$ holds everywhere or
# nowhere. Here are two tasks with two valleys each, $L_t(\theta) = \tfrac14 (\theta^2 - c_t)^2$, in one dimension. Now
# the end depends on the start, and the formula above does not tell it.

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
    landed = ", ".join(f"{end - 0.1 * end * (end**2 - c):.2f}" for c in (1.0, 2.0))
    print(f"from {start:4} to {end:6.3f}; one inner step from there lands at {landed}")
assert abs(ends[2.0] + ends[-2.0]) < 1e-6 < abs(ends[2.0] - ends[-2.0])
assert 1 < ends[0.1] < 2**0.5 < 2 < ends[2.0]

# %% [markdown]
# From near the middle the walk ends between the two floors, 1 and $\sqrt2$, where one expects it. From 2 it climbs *up*
# the wall, to a place from which one long inner step lands near either floor. Both are minima of MAML's loss, which
# asks where a step leads and not how good the place itself is.

# %% [markdown]
# **The tasks here have no noise.** Support and query set are one and the same bowl. With few shots the inner loop
# sees a bowl that is a little off, and a long inner loop follows the error too; that is what λ is for, and one reason
# for few inner steps. (Another is what it costs to look through five hundred.)

# %%
draw = torch.Generator().manual_seed(0)
o = torch.randn(2000, dtype=torch.float64, generator=draw)  # true optima of tasks with h = 1; the start is 0
seen = o + torch.randn(2000, dtype=torch.float64, generator=draw)  # where the support set puts them
left = {k: (1 - 0.2) ** k for k in (1, 3, 10, 100)}
query_loss = {k: ((1 - share) * seen - o).square().mean().item() / 2 for k, share in left.items()}
for k, loss in query_loss.items():
    print(f"k = {k:3}: {left[k]:.2f} of the way left, query loss {loss:.3f}")
assert query_loss[3] < min(query_loss[1], query_loss[100])

# %% [markdown]
# ## The next question
#
# So far the outer loop took the *mean* of what the tasks ask for. When two tasks ask for opposite things, is the mean
# what one should want? O-AMFS weighs them by how well they agree. Where does that lead?
#
# Previous: [06 · One solve against many steps](06_one_solve_many_steps.ipynb) · Next: [08 · Task
# conflict and O-AMFS](08_task_conflict.ipynb)
