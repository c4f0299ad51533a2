# %% [markdown]
# # 05 · Few-shot episodes
#
# **You will** sample tasks with a few examples of each class and learn each task with one solve. You will see how one
# more example changes the spectrum, and find the mistake that makes accuracies too high.
#
# 35 minutes · needs: lessons 01 and 02, and lesson 03 for one formula · runs offline in seconds
#
# You see five letters of an unknown alphabet, one example of each, and then you must recognise more images of them.
# What can be learned from so few examples, and how do you test it?

# %%
import os

import torch

from amfs_lab import backbones, checks, evaluation, explore, inner, kernels, pretrained, ridge, stats, tasks, widgets
from amfs_lab.explore.episodes import blocks, clouds, questions

short = bool(os.environ.get("AMFS_LAB_FAST"))

# %% [markdown]
# In the first figure, letters are points in a plane. The alphabet has three classes, the clouds A, B and C. Large
# markers are the examples; small markers are the points to recognise, the **queries**. The hatched areas show which
# class wins at each place. They come from one solve of lesson 02, with the bandwidth σ (sigma) and the regulariser λ
# (lambda).

# %%
widgets.predict(
    "λ becomes huge, and all scores shrink towards zero. Which label does a query get?",
    options=["no label: a tie", "label of the nearest example", "label with the largest sum of similarities"],
    answer=questions.answer_when_lambda_is_huge,
    because={
        "no label: a tie": "all scores shrink by the same factor. So their order stays, and one score is the largest",
        "label of the nearest example": "for a huge λ every example adds its similarity to the score of its class. "
        "Several examples of another class can add up to more than the nearest one",
        "label with the largest sum of similarities": "For a huge λ, α is nearly the labels divided by λ. So the score "
        "of a class is the sum of the similarities to its examples, divided by λ.",
    },
)

# %%
plane = explore.EpisodeExplorer("five shots")
plane

# %% [markdown]
# The ring marks query 21. This query of class C lies between C and A, and its label is right. Press **one shot**: with
# one example of each class, the areas and this label change. Press **λ → ∞**: the scores become tiny and the map
# changes little, but query 21 gets label A. Now the bars end at the black strokes, the sums of similarities.

# %% [markdown]
# The lower right panel explains one score: each bar is the **vote** of one example, the number that this example adds.
# Click other queries, or move **query**. A hollow query has a wrong label. Choose **votes for: the runner-up** and see
# which examples vote for the second class, and which vote against it.

# %% [markdown]
# ## What an episode is
#
# Such a small task is an **episode**. It has **N ways** (classes) and **K shots** (examples of each class). All
# examples together are the **support set**, the only labelled images that the learner gets. The **query set** has **Q
# queries** of each class, and it tests the learner. "5-way 1-shot" means N = 5 and K = 1.

# %% [markdown]
# (Few-shot papers call the number of shots K, and texts on kernels call the Gram matrix K. In this lesson, "K shots"
# and K in eigenvalues are the number, and any other K is the matrix.)

# %%
shape = tasks.EpisodeConfig(ways=5, shots=1, queries=15)
source = tasks.open_source("glyphs", "test", shape)
task = source[7]
print("support:", tuple(task.support.x.shape), task.support.y.tolist())
print("query:  ", tuple(task.query.x.shape), task.query.y.bincount().tolist(), "of each class")
print("classes:", ", ".join(source.classes_of(7)))

# %% [markdown]
# Note two things. The labels are 0 to N − 1 in every episode: in the next episode, another letter has the label 0. And
# an episode is a *pure function* of the data set, the split (train, validation or test), the shape, the seed and the
# index. So episode 7 is always the same task, in any order of sampling.

# %%
torch.manual_seed(1)
again = tasks.open_source("glyphs", "test", shape)
_ = again[8], torch.rand(5)
assert torch.equal(again[7].query.x, task.query.x)
other = tasks.open_source("glyphs", "test", shape, seed=1)
assert not torch.equal(other[7].query.x, task.query.x)
assert not torch.equal(source[8].query.x, task.query.x)

# %% [markdown]
# ## Say it precisely, and build it once by hand
#
# Write the labels as a matrix $Y$ with one column for each class: a one for the image's class and zeros elsewhere
# (*one-hot*). One solve handles all columns. The label of a query is the class with the largest score (**argmax**):
#
# $$\alpha = (K + \lambda I)^{-1}\, Y \qquad f_c(x) = \sum_i \alpha_{ic}\, k(x, x_i) \qquad
# \text{label}(x) = \arg\max_c f_c(x)$$
#
# Read aloud: the score of class c is the sum of the votes of all examples.

# %%
def label(support, query, sigma=8.0, lam=0.1):
    x, z = support.x.flatten(1), query.x.flatten(1)
    K, k = kernels.rbf_kernel(x, x, sigma), kernels.rbf_kernel(z, x, sigma)
    one_hot = (support.y[:, None] == torch.arange(support.ways)).to(x.dtype)
    alpha = torch.linalg.solve(K + lam * torch.eye(len(K), dtype=K.dtype), one_hot)
    return (k @ alpha).argmax(1)


learned = inner.FunctionSpace(kernels.RBF(8.0), lam=0.1).fit(task.support.x.flatten(1), task.support.targets)
assert torch.equal(label(task.support, task.query), learned(task.query.x.flatten(1)).argmax(1))
print(f"{(label(task.support, task.query) == task.query.y).sum()} of {len(task.query.y)} queries recognised")

# %% [markdown]
# **The end of λ.** For a huge λ the matrix $K$ is small beside $\lambda I$, so $\alpha \approx Y/\lambda$ and
#
# $$\lambda f_c(x) \;\to\; \sum_{i \text{ of class } c} k(x, x_i)$$
#
# Read aloud: each example votes only for its own class, and its vote is its similarity. The scores vanish, but their
# order stays. With one shot the sum has one term, so the label is the label of the nearest example.

# %%
sampled = [clouds.task(seed, ways=3, shots=5, separation=3.0) for seed in range(1, 41)]


def read(t, sigma=1.0, lam=0.1):
    k = kernels.rbf_kernel(t.query_x, t.x, sigma)
    return (k @ ridge.solve(kernels.rbf_kernel(t.x, t.x, sigma), t.targets, lam)).argmax(1)


votes = torch.cat([(kernels.rbf_kernel(t.query_x, t.x, 1.0) @ t.targets).argmax(1) for t in sampled])
labels = {lam: torch.cat([read(t, lam=lam) for t in sampled]) for lam in (0.1, 10.0, 1e6)}
truth = torch.cat([t.query_y for t in sampled])
for lam, found in labels.items():
    print(f"λ = {lam:g}: {(found == votes).double().mean():.1%} agree with the vote; {(found == truth).sum()} right")

# %% [markdown]
# On these round clouds this vote is right slightly more often than the solve. It fails badly if one class has more
# examples than the others; you see this at the end of the lesson.

# %% [markdown]
# ## How a shot changes the spectrum
#
# Suppose that two examples of one class always have the similarity **a**, and two examples of different classes the
# similarity **b**. Then the Gram matrix consists of blocks, and it has three kinds of eigen-directions (lesson 02):
#
# - *common:* all labels rise together;
# - *classes:* the classes differ from each other;
# - *within:* the examples of one class differ from each other.

# %%
widgets.predict(
    "Each class gets one more shot; a and b stay the same, and a is larger than b. Which eigenvalues grow?",
    options=["all of them", "those of the common and class eigen-directions", "none of them"],
    answer=questions.answer_which_eigenvalues_grow,
    because={
        "all of them": "a third example does not change how the first two differ. So 1 − a within classes stays",
        "none of them": "the sum of the eigenvalues, the trace, grows by N. The N new ones within classes add less",
        "those of the common and class eigen-directions": "What the examples of a class share becomes stronger with "
        "each example. Differences within a class keep the eigenvalue 1 − a.",
    },
)

# %%
block_explorer = explore.BlockExplorer(shots=2)
block_explorer

# %% [markdown]
# Move **shots K** up to 10. The squares (class eigenvalues) move up, away from the dashed line at λ. So the filter
# keeps more of what separates the classes. The circles (within) stay. The crosses are eigenvalues of real letters, as
# raw pixels: press **as the letters**, and the blocks get the a and b of these letters.

# %% [markdown]
# You can find the three eigenvalues by hand. Multiply the Gram matrix by three kinds of vectors and read one row of the
# product. Here $K$ is the number of shots, and $N$ is the number of classes.
#
# - *Within:* +1 and −1 on two examples of one class, 0 elsewhere. The rows of these two examples give $\pm(1 - a)$. In
#   the row of every other image the two terms cancel.
# - *Classes:* a number $v_c$ for each class, and all $v_c$ add up to zero. The image itself gives $v_c$, its class
#   gives $(K - 1)\,a\,v_c$, and the other classes give $-K b\,v_c$, because their numbers add up to $-v_c$.
# - *Common:* all ones. The image itself gives 1, its class gives $(K - 1)\,a$, and the other classes give
#   $(N - 1) K b$.

# %% [markdown]
# $$\underbrace{1 - a}_{\text{within: } N(K-1) \text{ times}} \qquad
# \underbrace{1 - a + K(a - b)}_{\text{classes: } N - 1 \text{ times}} \qquad
# \underbrace{1 - a + K(a - b) + NKb}_{\text{common: once}}$$
#
# Read aloud: each shot adds $a - b$ to the class eigenvalues and nothing to the eigenvalues within the classes. If
# $a = b$, more shots do not help: press **equal classes**.

# %%
for ways, shots, a, b in [(2, 3, 0.9, 0.1), (5, 1, 0.6, 0.2), (5, 5, 0.6, 0.2), (20, 4, 0.3, 0.3)]:
    of = torch.arange(ways).repeat_interleave(shots)
    K = torch.where(of[:, None] == of, a, b).double().fill_diagonal_(1.0)
    within, classes = 1 - a, 1 - a + shots * (a - b)
    three = [within] * (ways * (shots - 1)) + [classes] * (ways - 1) + [classes + ways * shots * b]
    assert torch.allclose(torch.linalg.eigvalsh(K), torch.tensor(three).double())
    assert sorted(three) == three
    print(f"{ways}-way {shots}-shot: within {within:.1f}, classes {classes:.1f}, common {three[-1]:.1f}")

# %% [markdown]
# ## Use it: letters nobody has seen
#
# Now use the same solve on raw pixels, for three shapes of task. The accuracy is a mean over episodes, with an
# interval, as in lesson 00: another hundred episodes would give another mean.

# %%
def accuracy(task, query=None):
    query = query or task.query
    return (label(task.support, query) == query.y).double().mean()


by_shape = {}
for ways, shots, episodes in ((5, 1, 100), (5, 5, 100), (20, 1, 10 if short else 20)):
    letters = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways, shots, queries=15))
    by_shape[ways, shots] = torch.stack([accuracy(letters[i]) for i in range(episodes)])
    print(f"{letters.config}: {stats.accuracy_interval(by_shape[ways, shots]).percent()}; guessing {1 / ways:.0%}")

# %% [markdown]
# Five shots are much better than one shot, and twenty ways are much worse than five ways. The next figure shows a 5-way
# 5-shot task. A bar is the similarity of the *most similar* example of a letter, as in lesson 01. Move **query** and
# find one whose longest bar is not *its own*. The solve uses all 25 examples together.

# %%
letters_of_a_task = explore.CharacterExplorer("five examples each", query=21)  # a query that is recognised
letters_of_a_task

# %% [markdown]
# ## The classic mistake
#
# Suppose that somebody samples the support set and then the query set, each from *all* images of the class. This looks
# correct: sizes, classes and labels are right. But an image can be in both sets, and then its nearest example is the
# image itself. This is a **leak**.

# %%
def leaky(task, generator):
    """The same support set, and 15 queries of each letter from all of its 20 images."""
    halves = task.support.x.unflatten(0, (5, 5)), task.query.x.unflatten(0, (5, 15))
    images = torch.cat(halves, 1)
    chosen = torch.rand(5, 20, generator=generator).argsort(1)[:, :15]
    return tasks.Examples(images[torch.arange(5)[:, None], chosen].flatten(0, 1), task.query.y, ways=5)


# %%
pretence = {}
bet = widgets.predict(
    "5-way 5-shot letters: by how much does the leak raise the accuracy?",
    options=["less than 1 point", "1 to 5 points", "more than 5 points"],
    answer=lambda: pretence.get("points"),
    because={
        "less than 1 point": "about a quarter of the queries are leaked, and almost all of these become right",
        "1 to 5 points": "about a quarter of all wrong labels become right, and without the leak many are wrong",
        "more than 5 points": "About a quarter of the queries are in the support set. Many of them were wrong before.",
    },
)
bet

# %%
five_shot, draw = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(5, 5, 15)), torch.Generator().manual_seed(5)
leaked = torch.stack([accuracy(five_shot[i], leaky(five_shot[i], draw)) for i in range(100)])
gap = stats.paired_difference(leaked, by_shape[5, 5])
pretence["points"] = ["less than 1 point", "1 to 5 points", "more than 5 points"][(gap.low > 0.01) + (gap.low > 0.05)]
print("no leak:", stats.accuracy_interval(by_shape[5, 5]).percent())
print("leak:   ", stats.accuracy_interval(leaked).percent())
print("raised by the leak:", gap.points())
print(bet.settle())

# %% [markdown]
# There is no error and no warning, but the accuracy is too high. A check that no image is in both sets finds the leak;
# in exercise 2 you write a sampler without leaks. A similar mistake is to train on the letters of the test episodes,
# even on other images of them. Here, training and test use different scripts.

# %%
train = tasks.open_source("glyphs", "train", shape)
scripts = [{label.split("/")[0] for label in each.labels} for each in (train, source)]
assert not scripts[0] & scripts[1]
for i in range(50):
    pixels = [{image.numpy().tobytes() for image in half.x} for half in (five_shot[i].support, five_shot[i].query)]
    assert not pixels[0] & pixels[1]  # no image is in both sets

# %% [markdown]
# ## May a prediction use the other queries?
#
# So far, each query gets its label alone: without the other queries, the label is the same. A learner that uses all
# queries together, without their labels, is **transductive**. Its accuracy can't be compared with the accuracy of other
# learners.

# %% [markdown]
# This can happen unnoticed. BatchNorm, a layer of many image networks, subtracts the mean of *all images that pass
# together* and divides by their standard deviation. This is the norm 'transductive' below. The norm 'support' takes
# both numbers from the support set only. The next cell passes five examples through a network with all queries, and
# then with the first query only.

# %%
def features(norm, images):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return backbones.Conv4(8, norm)(images, 5)  # the first five are the support set


together = torch.cat([task.support.x, task.query.x])
for norm in ("transductive", "support"):
    moved = (features(norm, together)[5] - features(norm, together[:6])[5]).abs().max().item()
    print(f"norm {norm!r}: without the other queries, the first query's features move by {moved:.2g}")
    assert (moved > 0.01) == (norm == "transductive")
hidden = tasks.Examples(task.query.x[:1], torch.zeros(1, dtype=torch.int64), 5)  # another label, which is not used
assert torch.equal(label(task.support, task.query)[:1], label(task.support, hidden))

# %% [markdown]
# ## What meta-learning learns
#
# The solve has few numbers to choose: σ, λ and, below, a scale. Much more can be learned in its inputs, the features
# $z = \varphi_\theta(x)$ (φ is phi) with parameters θ (theta). Meta-learning looks for a θ with which *one* solve on a
# few examples is enough, also for new tasks:
#
# $$\min_\theta \;\; \text{mean over episodes of}\;\; \ell\bigl(K_{QS}\,(K_{SS} + \lambda I)^{-1}\, Y,\; \text{the
# queries' labels}\bigr)$$

# %% [markdown]
# Here $K_{SS}$ holds the similarities within the support set, and $K_{QS}$ those of the queries to it. $\ell$ (ell) is
# a loss, the *cross-entropy*. A softmax turns the scores into probabilities, and the loss is minus the logarithm of the
# probability of the right letter. Scores of a solve lie between about 0 and 1; they are multiplied by 5, because
# otherwise the probabilities would be almost equal.

# %% [markdown]
# The simplest example has one number θ: the features are θ times the blurred image plus $1 - \theta$ times the sharp
# image. The gradient for θ goes through the solve.

# %%
def phi(x, theta):
    blurred = torch.nn.functional.avg_pool2d(x, 5, stride=1, padding=2, count_include_pad=False)
    return ((1 - theta) * x + theta * blurred).flatten(1)


def query_scores(task, theta):
    z, q = phi(task.support.x, theta), phi(task.query.x, theta)
    sigma = kernels.median_bandwidth(z)
    alpha = ridge.solve(kernels.rbf_kernel(z, z, sigma), task.support.targets, 0.1)
    return kernels.rbf_kernel(q, z, sigma) @ alpha


# %%
theta = torch.tensor(0.0, requires_grad=True)
for i in range(20):
    loss = torch.nn.functional.cross_entropy(5 * query_scores(train[i], theta), train[i].query.y)
    (slope,) = torch.autograd.grad(loss, theta)
    theta = (theta.detach() - slope).requires_grad_()
print(f"after 20 episodes of other scripts, θ = {theta.item():.2f}")
blurry, sharp = (
    torch.stack([(query_scores(source[i], at).argmax(1) == source[i].query.y).double().mean() for i in range(60)])
    for at in (theta.detach(), torch.tensor(0.0))
)
print("on 60 test episodes, θ − sharp pixels:", stats.paired_difference(blurry, sharp).points())

# %% [markdown]
# One number, learned on other scripts, improves the accuracy on new scripts. Learning what all tasks share is called
# **meta-training**. One gradient step on the mean loss of a few episodes is a **meta-step**. A network has tens of
# thousands of such numbers: lesson 09 trains one, and the next section uses a trained one.

# %% [markdown]
# ## Draw your own characters
#
# Now you make the task. There are five sheets with one example each, and a sixth sheet with the query. A meta-trained
# network (a *Conv-4*, four convolution layers) turns each picture into features. One solve learns your five letters,
# and every example votes for or against each letter.

# %%
read_by_network = pretrained.load()
made = read_by_network.config
print(f"a Conv-4 of width {made.width}, trained on {made.steps} meta-steps of {made.episode} tasks of other scripts")

# %% [markdown]
# The network has never seen the script of the letters below. Beside the probabilities, the bar **open** shows the share
# of the query's variance that the five examples have not removed. Answer before you draw:

# %%
widgets.predict(
    "The query is a letter that is on none of the five sheets. What does the pretrained learner predict?",
    options=["none of the five", "one of the five, and open stays low", "one of the five, and open is high"],
    answer=questions.answer_label_of_an_unknown_letter,
    because={
        "none of the five": "there are five scores, one for each letter. The largest of them always wins",
        "one of the five, and open stays low": "open is low near an example. This query is far from all five examples",
        "one of the five, and open is high": "The largest of five scores always wins. But the query is far from all "
        "examples, so they remove little of its variance.",
    },
)

# %%
desk = explore.DrawExplorer()
desk

# %% [markdown]
# Press **my own sheets**: all six are blank. Draw five different letters, one on each sheet, with mouse, finger or pen.
# **Undo** removes a stroke, and **Clear** gives a blank sheet. Then draw one of the five letters again on the sheet
# **query**, and watch the prediction while you draw. Without a mouse, use the menus **letters** and **query**.

# %% [markdown]
# Try two things. Draw a sixth letter that is on no sheet: one of the five letters still wins, but the bar **open** is
# usually high. Set **votes for** to a letter that loses, and see which examples vote against it.

# %% [markdown]
# The bar **open** shows the variance of the query, given the examples:
#
# $$v(z) = k(z, z) - k_z^\top (K + \lambda I)^{-1} k_z$$
#
# Here $k_z$ holds the similarities of the query to the examples (lessons 03 and 04). At an example $v$ is at most
# $\lambda/(1 + \lambda)$, and far from all examples it is 1. $v$ does not use the labels. So between two similar
# examples with different labels, the label of a query is uncertain, but **open** is low.

# %% [markdown]
# Is the network better than pixels on scripts that it has not seen? And how do a and b change?

# %%
by_reader = evaluation.evaluate(read_by_network.learner, source, episodes=40).per_episode.double()
gain = stats.paired_difference(by_reader, by_shape[5, 1][:40])
print("network − raw pixels:", gain.points())
gaps = {}
for seen in (blocks.PIXELS, blocks.FEATURES):
    grams = [blocks.letter_gram(i, ways=5, shots=5, bandwidth=0.6, seen=seen) for i in range(1, 11)]
    a, b = torch.tensor([blocks.means(K, ways=5, shots=5) for K in grams]).T
    gaps[seen] = a - b
    print(f"{seen}: a = {a.mean():.2f}, b = {b.mean():.2f}, so each shot adds {gaps[seen].mean():.2f} to the classes")

# %% [markdown]
# Here σ is 0.6 times the median distance of each task, so that pixels and features can be compared. The training loss
# contains no eigenvalue: it only measures the scores after one solve. But the learned features have a much larger a −
# b: images of one class lie close together, compared with images of other classes. Press **learned features** in the
# explorer with the blocks to see their spectrum.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# In a 5-way 4-shot task, two examples of one class have the similarity $a = 0.7$, and two examples of different classes
# have $b = 0.2$. How large is the eigenvalue of the eigen-directions that separate the classes?

# %% tags=["exercise"]
### BEGIN SOLUTION
apart = 1 - 0.7 + 4 * (0.7 - 0.2)
### END SOLUTION

# %% tags=["check"]
checks.class_eigenvalue(apart)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Sample an episode of `ways` classes. For each class, take `shots` images for the support set and `queries` others for
# the query set; no image may be in both. `labels[i]` is the class of image `i`, from 0, in no order. Return four rows
# of whole numbers: `support`, the *indices* i of the support images; `support_y`, their labels 0 to N − 1 in this
# episode; `query` and `query_y`, the same for the queries. All randomness comes from `generator`:
# `torch.randperm(n, generator=generator)` gives 0 to n − 1 in random order.

# %% tags=["exercise"]
def my_episode(labels, ways, shots, queries, generator):
    ### BEGIN SOLUTION
    chosen = torch.randperm(int(labels.max()) + 1, generator=generator)[:ways]
    images = [torch.nonzero(labels == c)[:, 0] for c in chosen]
    mixed = [i[torch.randperm(len(i), generator=generator)] for i in images]
    support = torch.stack([i[:shots] for i in mixed]).flatten()
    query = torch.stack([i[shots : shots + queries] for i in mixed]).flatten()
    name = torch.arange(ways)
    return support, name.repeat_interleave(shots), query, name.repeat_interleave(queries)
    ### END SOLUTION

# %% tags=["check"] points=2
checks.episode(my_episode)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# In the explorer with the blocks, press **five shots**. The *end* of the sentence gives a and b of the letters, as raw
# pixels. (The beginning gives a and b of the blocks.) Move **σ** until a − b of the letters is at least 0.1.

# %% tags=["exercise"]
### BEGIN SOLUTION
sigma_of_the_gap = 0.55
### END SOLUTION

# %% tags=["check"]
checks.wide_gap(sigma_of_the_gap)

# %% [markdown]
# ## What we claimed
#
# For λ → ∞ the scores vanish, and every label agrees with the vote. With one shot, every label is the label of the
# nearest example. On round clouds the vote is slightly better than the solve.

# %%
assert torch.equal(labels[1e6], votes)
for t in (clouds.task(seed, ways=4, shots=1, separation=3.0) for seed in range(1, 21)):
    k = kernels.rbf_kernel(t.query_x, t.x, 1.0)
    assert torch.equal(read(t, lam=1e6), k.argmax(1))
    scores = [(k @ ridge.solve(kernels.rbf_kernel(t.x, t.x, 1.0), t.targets, lam)).max() for lam in (1.0, 1e6)]
    assert scores[1] < 1e-5 * scores[0]
by_task = [[(read(t, lam=lam) == t.query_y).double().mean() for t in sampled] for lam in (0.1, 1e6)]
vote_against_solve = stats.paired_difference(*(torch.stack(row) for row in by_task[::-1]))
print("vote − solve:", vote_against_solve.points("tasks"))
assert vote_against_solve.low > 0

# %% [markdown]
# Each shot adds a − b to the class eigenvalues and nothing to those within the classes. So the filter keeps more of the
# classes, except if a = b. For letters, the kept shares are nearly those of blocks with the same a and b.

# %%
for lam in (0.01, 0.5, 10.0):
    kept = torch.tensor([blocks.kept(blocks.block(5, k, 0.6, 0.2), 5, k, lam) for k in range(2, 11)])
    assert (kept[:, 1].diff() > 0).all()  # each shot increases the share of the classes
    assert torch.allclose(kept[:, 2], kept[:1, 2])  # no shot changes the share within
    equal = torch.tensor([blocks.kept(blocks.block(5, k, 0.6, 0.6), 5, k, lam) for k in (2, 10)])
    assert torch.allclose(equal[0, 1], equal[1, 1])
for number in range(1, 6):
    K = blocks.letter_gram(number, ways=5, shots=5, bandwidth=0.4)
    ideal = blocks.block(5, 5, *blocks.means(K, 5, 5))
    pairs = zip(blocks.kept(K, 5, 5, 0.5), blocks.kept(ideal, 5, 5, 0.5), strict=True)
    assert all(abs(real - block) < 0.05 for real, block in pairs)

# %% [markdown]
# On letters, all shapes of task are better than guessing; more shots help, and more ways hurt. The leak adds more than
# five points. The learned θ helps on new scripts, a learned network helps far more, and its a − b is larger. An unknown
# letter leaves more variance open. An episode does not depend on earlier episodes.

# %%
one, five, twenty = (stats.mean_interval(by_shape[key]) for key in ((5, 1), (5, 5), (20, 1)))
assert five.low > one.high > one.low > 1 / 5
assert one.low > twenty.high > twenty.low > 1 / 20
assert gap.low > 0.05
assert theta > 0.2
assert stats.paired_difference(blurry, sharp).low > 0.02
assert gain.low > 0.1
assert stats.paired_difference(gaps[blocks.FEATURES], gaps[blocks.PIXELS]).low > 0.05
assert questions.answer_label_of_an_unknown_letter() == "one of the five, and open is high"
reversed_order = [source[i].support.x.sum() for i in reversed(range(5))][::-1]
assert reversed_order == [source[i].support.x.sum() for i in range(5)]

# %%
z, far = torch.randn(6, 2, generator=draw), 99.0
K, K_far = kernels.rbf_kernel(z, z, 1.0), kernels.rbf_kernel(z + far, z, 1.0)
assert (ridge.variance(torch.ones(6), K, K, lam=0.1) < 0.1 / 1.1 + 1e-6).all()  # low at an example
assert (ridge.variance(torch.ones(6), K_far, K, lam=0.1) == 1).all()  # 1 far from all examples

# %% [markdown]
# ## Where this breaks
#
# **A class with more examples.** Press **unbalanced** in the first explorer. Class A has four times as many examples,
# and for a huge λ every query gets label A, because its sum has more terms. Now make λ smaller: the solve takes into
# account that A's examples are similar to each other. The vote also improves if you divide the sum of each class by its
# number of examples.

# %%
crowds = [clouds.task(seed, 3, 5, 3.0, clouds.UNBALANCED) for seed in range(1, 41)]


def share_read(task, lam, by_count=False):
    k, targets = kernels.rbf_kernel(task.query_x, task.x, 2.0), task.targets
    targets = targets / targets.sum(0) if by_count else targets
    scores = k @ ridge.solve(kernels.rbf_kernel(task.x, task.x, 2.0), targets, lam)
    return (scores.argmax(1) == task.query_y).double().mean()


solved, voted = (torch.stack([share_read(t, lam) for t in crowds]) for lam in (0.1, 1e4))
counted = torch.stack([share_read(t, 1e4, by_count=True) for t in crowds])
print(f"solve {solved.mean():.1%}, vote {voted.mean():.1%}, vote by the mean {counted.mean():.1%}")
assert stats.paired_difference(solved, voted).low > 0.2
assert stats.paired_difference(counted, voted).low > 0.2

# %%
gap = stats.paired_difference(counted, solved)
print(f"vote by the mean − solve, on the same tasks: {gap.points()}")
assert gap.low > 0
crowd = explore.EpisodeExplorer("unbalanced").arrays
assert crowd.right == crowd.judged / 3  # only the queries of A are right

# %% [markdown]
# So on these round clouds the vote by the mean is better than the solve. But it must know what to divide by. The solve
# needs no such number: an example counts less if other examples are similar to it. This also works if the classes have
# equal size and only some examples repeat each other.

# %% [markdown]
# **A query of no class.** Press **queries of no class**. The ten stars belong to none of the three clouds, but each
# star gets a label: argmax cannot answer "none of these". Their scores are lower on average. But there is no clear
# limit below which a query has no class.

# %%
def largest(t):
    K, k = kernels.rbf_kernel(t.x, t.x, 1.0), kernels.rbf_kernel(t.query_x, t.x, 1.0)
    return (k @ ridge.solve(K, t.targets, 0.1)).amax(1)


strange = [clouds.task(seed, 3, 5, 3.0, clouds.NO_CLASS_QUERIES) for seed in range(1, 41)]
top, nobody = [torch.cat(part) for part in zip(*((largest(t), t.query_y < 0) for t in strange), strict=True)]
assert set(torch.cat([read(t) for t in strange])[nobody].tolist()) == {0, 1, 2}  # each of the three labels occurs
print(f"largest score, mean: {top[~nobody].mean():.2f} for queries of a class, {top[nobody].mean():.2f} of no class")
print(f"of no class: {(top[nobody] > top[~nobody].quantile(0.25)).double().mean():.0%} beat the lowest quarter")
assert top[nobody].mean() < top[~nobody].mean()

# %% [markdown]
# **A class in two places.** Press **one class in two places**, then set **ways N** to 3. A class can consist of two
# clouds, and the votes of a narrow kernel still work. A wide σ does not separate the two clouds. A method with one mean
# for each class (*prototypes*) has a similar problem: the mean lies between the two clouds.

# %%
parted = [clouds.task(seed, 3, 5, 4.0, clouds.TWO_PLACES) for seed in range(1, 41)]
narrow, wide = (torch.stack([(read(t, s) == t.query_y).double().mean() for t in parted]) for s in (1.0, 20.0))
prototypes = [inner.Prototypes().fit(t.x, t.targets)(t.query_x).argmax(1) == t.query_y for t in parted]
by_means = torch.stack([right.double().mean() for right in prototypes])
print(f"σ = 1: {narrow.mean():.1%}, σ = 20: {wide.mean():.1%}, one mean for each class: {by_means.mean():.1%}")
assert stats.paired_difference(narrow, by_means).low > 0
assert stats.paired_difference(narrow, wide).low > 0

# %% [markdown]
# **σ in another unit.** Suppose that all coordinates become a hundred times larger, and σ stays. Then most queries have
# the similarity zero to every example, and their scores tie. Press **too narrow** and, under **More controls**, set
# **separation** to 5: in the white areas no class wins. So a value of σ is useful only for the features for which it
# was chosen.

# %%
t = sampled[0]
k = kernels.rbf_kernel(100 * t.query_x, 100 * t.x, 1.0)
print(f"in hundredths, {(k.amax(1) == 0).double().mean():.0%} of the queries have similarity 0 to every example")
assert (k.amax(1) == 0).double().mean() > 0.5
rescaled = t._replace(x=100 * t.x, query_x=100 * t.query_x)
assert torch.equal(read(rescaled, sigma=100.0), read(t))  # σ in the same unit: nothing has changed

# %% [markdown]
# ## In three sentences
#
# An episode is a small task: a support set with K examples of each of N classes, and a query set that tests the
# learner. One solve learns the task, and one more example of each class adds a − b to the eigenvalues that separate the
# classes. No image may be in both sets, and meta-training learns features with which one solve works on new scripts.

# %% [markdown]
# ## The next question
#
# One solve learned every task of this lesson. The usual way is many small gradient steps on the examples. What do these
# steps do that one solve does not, and how many steps can one solve replace? Lesson 06 answers this.
#
# Previous: [04 · Regularisers and choosing σ](04_regularisers_and_sigma.ipynb) · Next: [06 · One solve against many
# steps](06_one_solve_many_steps.ipynb)
