# %% [markdown]
# # 05 · Few-shot episodes
#
# **You will** draw tasks with a few examples of each class, learn each with one solve, see what one more example does
# to the spectrum, and catch the mistake that makes accuracies too good to be true.
#
# 35 minutes · needs: lessons 01 and 02, and lesson 03 for one formula · runs offline in seconds
#
# Somebody shows you five letters of an alphabet you have never seen, once each, and then asks you to read. What is
# learned from so little, and how would you know that it was?

# %%
import os

import torch

from amfs_lab import backbones, checks, evaluation, explore, inner, kernels, pretrained, ridge, stats, tasks, widgets
from amfs_lab.explore.episodes import blocks, clouds, questions

short = bool(os.environ.get("AMFS_LAB_FAST"))

# %% [markdown]
# Below, letters are points in a plane and an alphabet is three clouds of them, A, B and C. Large marks are the examples
# that you may learn from, small ones the points you will be asked about, the *queries*. The hatched areas say which
# class wins where; they come from one solve of lesson 02, with a bandwidth σ (sigma) and a ridge λ (lambda).

# %%
widgets.predict(
    "λ grows without end, and all scores shrink towards zero. Which label does a query get then?",
    options=["none: a draw", "that of the nearest example", "that of the largest sum of similarities"],
    answer=questions.answer_when_lambda_is_huge,
    because={
        "none: a draw": "they shrink, all by one factor: does the order of three numbers change?",
        "that of the nearest example": "with a huge ridge every example speaks: why should only the nearest be heard?",
        "that of the largest sum of similarities": "α becomes the labels over λ, so each example votes for its class "
        "by how similar it is, and only the order counts.",
    },
)

# %%
plane = explore.EpisodeExplorer("five shots")
plane

# %% [markdown]
# The ring is around query 21, a C that lies between C and A, and it gets the right label. Press **one shot**: with one
# example of each class, areas and label change. Press **λ → ∞**: the axis of the scores shrinks to almost nothing, the
# map moves little, and query 21 goes to A. The black strokes, the sums of similarities, then lie on the ends of the
# bars.

# %% [markdown]
# The lower right panel takes one score apart: each bar is what one example adds. Click other queries, or move
# **query**. A hollow one got a wrong label. Choose **votes for: the runner-up** and see who spoke for the class that
# lost, and who spoke against it.

# %% [markdown]
# ## What an episode is
#
# A small task like this is an **episode**. It has **N ways**, the classes, and **K shots**, the examples of each class;
# together they are the **support set**, and it is all that the learner sees with labels. **Q queries** of each class
# are the **query set**, and there it is judged. "5-way 1-shot" means N = 5 and K = 1. (Few-shot papers call that number
# K, and texts on kernels call the Gram matrix K. Here, "K shots" is the number, and any other K is the matrix.)

# %%
shape = tasks.EpisodeConfig(ways=5, shots=1, queries=15)
source = tasks.open_source("glyphs", "test", shape)
task = source[7]
print("support:", tuple(task.support.x.shape), task.support.y.tolist())
print("query:  ", tuple(task.query.x.shape), task.query.y.bincount().tolist(), "of each class")
print("classes:", ", ".join(source.classes_of(7)))

# %% [markdown]
# Two things to see. The labels are 0 to N − 1 in every episode: a letter has no number of its own, and the next episode
# calls another one 0. And an episode is a *pure function* of data set, split (scripts to train on, or scripts to test
# on), shape, seed and index: number 7 is the same task today and tomorrow, whatever was drawn before it.

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
# Write the labels as a table $Y$ with a column for each class, one where an image is of that class and zero elsewhere:
# *one-hot*. One solve does all columns. A query gets the class of its largest score, the **argmax**:
#
# $$\alpha = (K + \lambda I)^{-1}\, Y \qquad f_c(x) = \sum_i \alpha_{ic}\, k(x, x_i) \qquad
# \text{label}(x) = \arg\max_c f_c(x)$$

# %%
def label(support, query, sigma=8.0, lam=0.1):
    x, z = support.x.flatten(1), query.x.flatten(1)
    K, k = kernels.rbf_kernel(x, x, sigma), kernels.rbf_kernel(z, x, sigma)
    one_hot = (support.y[:, None] == torch.arange(support.ways)).to(x.dtype)
    alpha = torch.linalg.solve(K + lam * torch.eye(len(K), dtype=K.dtype), one_hot)
    return (k @ alpha).argmax(1)


learned = inner.FunctionSpace(kernels.RBF(8.0), lam=0.1).fit(task.support.x.flatten(1), task.support.targets)
assert torch.equal(label(task.support, task.query), learned(task.query.x.flatten(1)).argmax(1))
print(f"{(label(task.support, task.query) == task.query.y).sum()} of {len(task.query.y)} letters read")

# %% [markdown]
# **The end of λ.** For a huge λ the matrix $K$ hardly matters beside $\lambda I$, so $\alpha \approx Y/\lambda$ and
#
# $$\lambda f_c(x) \;\to\; \sum_{i \text{ of class } c} k(x, x_i)$$
#
# Read aloud: each example votes for its own class, as loudly as it is similar. The scores vanish, and their order does
# not. With one shot the sum has one term, and the label is that of the nearest example.

# %%
sampled = [clouds.task(seed, ways=3, shots=5, separation=3.0) for seed in range(1, 41)]


def read(t, sigma=1.0, lam=0.1):
    k = kernels.rbf_kernel(t.query_x, t.x, sigma)
    return (k @ ridge.solve(kernels.rbf_kernel(t.x, t.x, sigma), t.targets, lam)).argmax(1)


votes = torch.cat([(kernels.rbf_kernel(t.query_x, t.x, 1.0) @ t.targets).argmax(1) for t in sampled])
labels = {lam: torch.cat([read(t, lam=lam) for t in sampled]) for lam in (0.1, 10.0, 1e6)}
truth = torch.cat([t.query_y for t in sampled])
for lam, found in labels.items():
    print(f"λ = {lam:g}: {(found == votes).double().mean():.1%} as the votes say; {(found == truth).sum()} right")

# %% [markdown]
# The vote is no bad learner: on these round clouds it is right a little more often than the solve. Where one class has
# more examples than the others it fails badly, and that comes below.

# %% [markdown]
# ## What a shot does to the spectrum
#
# Suppose two examples of one class are always **a** alike, and two of different classes **b** alike. Then the Gram
# matrix $K$ is made of blocks, and its channels (lesson 02) are of three kinds: the *common* one, in which all labels
# rise together; those that tell *classes* apart; and those *within* a class, in which its examples differ.

# %%
widgets.predict(
    "You add a shot to each class, with the same a and b, a larger than b. Which eigenvalues grow?",
    options=["all of them", "all but those inside the classes", "none of them"],
    answer=questions.answer_which_eigenvalues_grow,
    because={
        "all of them": "think of two examples of one class: does a third change how they differ from each other?",
        "none of them": "the eigenvalues add up to the trace, N more than before; the N new ones bring N(1 − a) only",
        "all but those inside the classes": "Examples of a class pull together, so what they share gets stronger. What "
        "they differ in stays 1 − a.",
    },
)

# %%
block_explorer = explore.BlockExplorer(shots=2)
block_explorer

# %% [markdown]
# Move **shots K** up to 10. The squares, the class directions, climb away from the dashed line, which is λ: more and
# more of what tells the classes apart gets through the filter. The circles stay. The crosses come from real letters of
# the data set, raw pixels: press **as the letters**, and the blocks imitate them.

# %% [markdown]
# Multiply three kinds of vectors by these blocks. +1 and −1 on two examples of a class, 0 elsewhere: in every other row
# they cancel, and 1 − a is left. One number for each class, adding up to zero: an image meets itself (1), its
# companions ($K - 1$ times a), and the other classes, whose numbers add up to minus its own ($-K$ times b). All ones:
# the same, and the other classes now add $(N - 1)K$ times b. So, with $K$ the number of shots, the eigenvalues are:

# %% [markdown]
# $$\underbrace{1 - a}_{\text{within: } N(K-1) \text{ times}} \qquad
# \underbrace{1 - a + K(a - b)}_{\text{classes: } N - 1 \text{ times}} \qquad
# \underbrace{1 - a + K(a - b) + NKb}_{\text{common: once}}$$
#
# Read aloud: each shot adds $a - b$ to every direction that tells classes
# apart, and nothing to the noise within them. If $a = b$, shots are no help at all: press **equal classes**.

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
# Now the same solve on raw pixels, for three shapes of task. An accuracy from episodes is a mean with an interval, as
# in lesson 00: another hundred episodes would give another number.

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
# Four more shots help a good deal, and fifteen more ways hurt. Here is a 5-way 5-shot task. Move **query**, and look
# for one whose longest bar is not *its own*: a bar is the *most similar* example of each letter, as in lesson 01. The
# solve weighs all 25 together.

# %%
letters_of_a_task = explore.CharacterExplorer("five examples each", query=21)  # one that is read right
letters_of_a_task

# %% [markdown]
# ## The classic mistake
#
# Someone draws the support set and the query set one after the other, each from *all* images of the class. It looks
# harmless: support and query have the right sizes, classes and labels. But an image may be in both, and it is its own
# nearest example. That is a **leak**.

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
        "less than 1 point": "of a letter's 20 images, 5 are in the support set: how many of 15 queries does that hit?",
        "1 to 5 points": "a quarter of the queries is leaked, and a leaked one is as good as right. And before?",
        "more than 5 points": "A quarter of the queries stand in the support set, and many of them were wrong before.",
    },
)
bet

# %%
five_shot, draw = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(5, 5, 15)), torch.Generator().manual_seed(5)
leaked = torch.stack([accuracy(five_shot[i], leaky(five_shot[i], draw)) for i in range(100)])
gap = stats.paired_difference(leaked, by_shape[5, 5])
pretence["points"] = ["less than 1 point", "1 to 5 points", "more than 5 points"][(gap.low > 0.01) + (gap.low > 0.05)]
print("honest:", stats.accuracy_interval(by_shape[5, 5]).percent())
print("leaky: ", stats.accuracy_interval(leaked).percent())
print("so it pretends", gap.points())
print(bet.settle())

# %% [markdown]
# No error, no warning, and a better number. What finds it is a check that no image is in both sets, and in exercise 2
# you write a draw that can't leak. The same mistake one level up is to train on letters, or on other prints of letters,
# that the test episodes are drawn from: here, whole scripts are kept apart.

# %%
train = tasks.open_source("glyphs", "train", shape)
scripts = [{label.split("/")[0] for label in each.labels} for each in (train, source)]
assert not scripts[0] & scripts[1]
for i in range(50):
    pixels = [{image.numpy().tobytes() for image in half.x} for half in (five_shot[i].support, five_shot[i].query)]
    assert not pixels[0] & pixels[1]  # not one image in both

# %% [markdown]
# ## May a query know the other queries?
#
# Above, each query was read by itself: take the others away, and its label stays. A learner that uses the queries
# together, without their labels, is called **transductive**, and its accuracies can't be compared with the others'. It
# happens unnoticed: BatchNorm, a layer of many image networks, subtracts the mean of *all images that pass together*
# and divides by their spread, which is norm 'transductive' below. Norm 'support' takes mean and spread from the support
# set alone. Five examples pass through a network, with all queries and then with the first one only.

# %%
def features(norm, images):
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return backbones.Conv4(8, norm)(images, 5)  # the first five are the support set


together = torch.cat([task.support.x, task.query.x])
for norm in ("transductive", "support"):
    moved = (features(norm, together)[5] - features(norm, together[:6])[5]).abs().max().item()
    print(f"norm {norm!r}: without the other queries, the first one's features move by {moved:.2g}")
    assert (moved > 0.01) == (norm == "transductive")
hidden = tasks.Examples(task.query.x[:1], torch.zeros(1, dtype=torch.int64), 5)  # another label, which nothing looks at
assert torch.equal(label(task.support, task.query)[:1], label(task.support, hidden))

# %% [markdown]
# ## What meta-learning is after
#
# The solve has few numbers to set: σ, λ and, below, a scale. The bulk of what can be learned is what it is fed with:
# features $z = \varphi_\theta(x)$ (φ is phi), with numbers θ (theta) in them, such that *one* solve on a few examples
# is enough, for tasks not yet seen:
#
# $$\min_\theta \;\; \text{mean over episodes of}\;\; \ell\bigl(K_{QS}\,(K_{SS} + \lambda I)^{-1}\, Y,\; \text{the
# queries' labels}\bigr)$$

# %% [markdown]
# where $K_{SS}$ compares the support set's features among themselves, $K_{QS}$ the queries' with them, and $\ell$
# (ell) is a loss: the *cross-entropy*. A softmax turns scores into shares that add up to one, and the loss is minus the
# logarithm of the right letter's share. Scores of a solve lie between about 0 and 1, so they are multiplied by 5 first,
# or the shares would hardly differ. Here is the smallest θ there is: one number, how much of the blurred picture stands
# in for the sharp one. Its gradient comes through the solve.

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
print("on 60 test episodes, against sharp pixels:", stats.paired_difference(blurry, sharp).points())

# %% [markdown]
# One number, learned on letters of other scripts, and letters of new scripts are read better. To learn what all tasks
# share is **meta-training**, and a step down that mean loss over a few episodes is a *meta-step*. A network has tens of
# thousands of such numbers. Lesson 09 trains one; the next section lets you use one that is ready.

# %% [markdown]
# ## Draw your own characters
#
# Now you set the task. On the desk lie five sheets with one example each, and a sixth with the query. A network (a
# *Conv-4*, four layers of convolutions) that was meta-trained beforehand turns each picture into features, one solve
# learns your five letters, and every example votes for or against each of them.

# %%
read_by_network = pretrained.load()
made = read_by_network.config
print(f"a Conv-4 of width {made.width}, trained on {made.steps} meta-steps of {made.episode} tasks of other scripts")

# %% [markdown]
# The first letters on the desk are of a script that this reader has never seen. Beside its verdict stands a bar,
# *open*: how much of the uncertainty about this query the five examples have not removed. Before you draw:

# %%
widgets.predict(
    "The query is a letter that lies on none of the five sheets. What will the pretrained learner say?",
    options=["none of the five", "one of the five, open as low as ever", "one of the five, and open rises"],
    answer=questions.answer_label_of_an_unknown_letter,
    because={
        "none of the five": "the scores have five columns and the largest wins: somebody has to",
        "one of the five, open as low as ever": "open is low beside an example: is this query beside one of the five?",
        "one of the five, and open rises": "The argmax can't decline, but far from all examples little is known.",
    },
)

# %%
desk = explore.DrawExplorer()
desk

# %% [markdown]
# Press **my own sheets**: all six are blank. Draw five different letters, one on each sheet, with mouse, finger or pen;
# **Undo** takes back a stroke, **Clear** gives you a blank sheet. Then draw one of the five once more on the sheet
# **query**, and watch the verdict change while you draw. Without a mouse, choose from the menus **letters** and
# **query**.

# %% [markdown]
# Two things to try. Draw a sixth letter that is on no sheet: one of the five still wins, because somebody has to, but
# the bar **open** rises, as a rule. Set **votes for** to a letter that loses, and see which examples speak against it.

# %% [markdown]
# What a query leaves **open** is the uncertainty that the examples have not removed,
#
# $$v(z) = k(z, z) - k_z^\top (K + \lambda I)^{-1} k_z$$
#
# with $k_z$ the similarities of the query to the examples (lessons 03 and 04). On an example it is at most $\lambda/(1
# + \lambda)$, and far from all it is 1. It knows nothing of labels: between two examples that look alike, a query is
# undecided and yet not open.

# %% [markdown]
# Does the network read better than pixels do, on scripts that it has not seen? And what has become of a and b?

# %%
by_reader = evaluation.evaluate(read_by_network.learner, source, episodes=40).per_episode.double()
gain = stats.paired_difference(by_reader, by_shape[5, 1][:40])
print("reader − raw pixels:", gain.points())
gaps = {}
for seen in (blocks.PIXELS, blocks.FEATURES):
    grams = [blocks.letter_gram(i, ways=5, shots=5, bandwidth=0.6, seen=seen) for i in range(1, 11)]
    a, b = torch.tensor([blocks.means(K, ways=5, shots=5) for K in grams]).T
    gaps[seen] = a - b
    print(f"{seen}: a = {a.mean():.2f}, b = {b.mean():.2f}, so each shot lifts the classes by {gaps[seen].mean():.2f}")

# %% [markdown]
# Here σ is 0.6 of each task's median distance, so that pixels and features can be compared. Training was told of no
# eigenvalue. It was told to be right after one solve, and it found features in which each class lies close together and
# far from the others. Press **learned features** in the explorer with the blocks to see their spectrum.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# ### Exercise 1 · by hand
# A 5-way 4-shot task: two examples of one class are $a = 0.7$ alike, two of different classes $b = 0.2$. How
# large is the eigenvalue of the directions that tell classes apart?

# %% tags=["exercise"]
### BEGIN SOLUTION
apart = 1 - 0.7 + 4 * (0.7 - 0.2)
### END SOLUTION

# %% tags=["check"]
checks.class_eigenvalue(apart)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Draw an episode of `ways` classes: of each, `shots` images to learn from and `queries` others to be asked about; no
# image may be in both. `labels[i]` is the class of image `i`, from 0, in no order. Return four rows of whole numbers:
# `support`, the *indices* i of the images to learn from; `support_y`, their labels in this episode, 0 to N − 1; `query`
# and `query_y` likewise. All randomness comes from `generator`: `torch.randperm(n, generator=generator)` is 0 to n − 1,
# mixed.

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
# pixels (those at its beginning are the blocks'). Move **σ** until the letters' a and b are at least 0.1 apart.

# %% tags=["exercise"]
### BEGIN SOLUTION
sigma_of_the_gap = 0.55
### END SOLUTION

# %% tags=["check"]
checks.wide_gap(sigma_of_the_gap)

# %% [markdown]
# ## What we claimed
#
# For λ → ∞ every label is the vote's, while the scores vanish; with one shot it is the nearest example's; and on round
# clouds the vote is no worse than the solve.

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
# A shot lifts the class directions by a − b each and leaves those within alone; what the filter keeps of the classes
# grows, and with a = b it does not. Blocks with the letters' means keep what the letters keep, nearly.

# %%
for lam in (0.01, 0.5, 10.0):
    kept = torch.tensor([blocks.kept(blocks.block(5, k, 0.6, 0.2), 5, k, lam) for k in range(2, 11)])
    assert (kept[:, 1].diff() > 0).all()  # classes: each shot more
    assert torch.allclose(kept[:, 2], kept[:1, 2])  # within: none
    equal = torch.tensor([blocks.kept(blocks.block(5, k, 0.6, 0.6), 5, k, lam) for k in (2, 10)])
    assert torch.allclose(equal[0, 1], equal[1, 1])
for number in range(1, 6):
    K = blocks.letter_gram(number, ways=5, shots=5, bandwidth=0.4)
    ideal = blocks.block(5, 5, *blocks.means(K, 5, 5))
    pairs = zip(blocks.kept(K, 5, 5, 0.5), blocks.kept(ideal, 5, 5, 0.5), strict=True)
    assert all(abs(real - block) < 0.05 for real, block in pairs)

# %% [markdown]
# On letters: more shots help, more ways hurt, all better than guessing; the leak pretends more than five points; the
# learned θ helps on new scripts, a learned network far more, and its gap of a and b is wider; a stranger leaves more
# open; and an episode does not depend on what was drawn before.

# %%
one, five, twenty = (stats.mean_interval(by_shape[key]) for key in ((5, 1), (5, 5), (20, 1)))
assert five.low > one.high > one.low > 1 / 5
assert one.low > twenty.high > twenty.low > 1 / 20
assert gap.low > 0.05
assert theta > 0.2
assert stats.paired_difference(blurry, sharp).low > 0.02
assert gain.low > 0.1
assert stats.paired_difference(gaps[blocks.FEATURES], gaps[blocks.PIXELS]).low > 0.05
assert questions.answer_label_of_an_unknown_letter() == "one of the five, and open rises"
reversed_order = [source[i].support.x.sum() for i in reversed(range(5))][::-1]
assert reversed_order == [source[i].support.x.sum() for i in range(5)]

# %%
z, far = torch.randn(6, 2, generator=draw), 99.0
K, K_far = kernels.rbf_kernel(z, z, 1.0), kernels.rbf_kernel(z + far, z, 1.0)
assert (ridge.variance(torch.ones(6), K, K, lam=0.1) < 0.1 / 1.1 + 1e-6).all()  # open on an example
assert (ridge.variance(torch.ones(6), K_far, K, lam=0.1) == 1).all()  # and far from all

# %% [markdown]
# ## Where this breaks
#
# **A class with more examples.** Press **unbalanced** in the first explorer: A has four times the examples, and at the
# end of λ every query goes to A. A vote counts heads. Then pull λ down: the solve knows that A's examples repeat each
# other. Dividing each class's sum by the number of its examples mends the vote too.

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
assert crowd.right == crowd.judged / 3  # at the end of λ, those of A and no others

# %% [markdown]
# So the mended vote is ahead of the solve, here: round clouds, and a count that says all there is to know. But somebody
# had to know what to divide by. The solve was told nothing of numbers: each example counts for what the others have not
# said already, also where a class is even and only some of its examples repeat each other.

# %% [markdown]
# **A query of no class.** Press **queries of no class**: the ten stars belong to none of the three clouds, and each
# gets a label. The argmax has no way to say "none of these". The scores do know a little: they are low there, and how
# low is low enough is a question of its own.

# %%
def largest(t):
    K, k = kernels.rbf_kernel(t.x, t.x, 1.0), kernels.rbf_kernel(t.query_x, t.x, 1.0)
    return (k @ ridge.solve(K, t.targets, 0.1)).amax(1)


strange = [clouds.task(seed, 3, 5, 3.0, clouds.NO_CLASS_QUERIES) for seed in range(1, 41)]
top, nobody = [torch.cat(part) for part in zip(*((largest(t), t.query_y < 0) for t in strange), strict=True)]
assert set(torch.cat([read(t) for t in strange])[nobody].tolist()) == {0, 1, 2}  # each of the three is said
print(f"largest score, mean: {top[~nobody].mean():.2f} for queries of a class, {top[nobody].mean():.2f} for strangers")
print(f"of the strangers, {(top[nobody] > top[~nobody].quantile(0.25)).double().mean():.0%} beat the lowest quarter")
assert top[nobody].mean() < top[~nobody].mean()

# %% [markdown]
# **A class in two places.** Press **one class in two**, then set **ways N** to 3. A class need not be one cloud: votes
# of a narrow kernel don't mind. A wide σ, like a method that keeps one mean for each class (*prototypes*), sees the
# middle of the two, where nobody lives.

# %%
parted = [clouds.task(seed, 3, 5, 4.0, clouds.TWO_PLACES) for seed in range(1, 41)]
narrow, wide = (torch.stack([(read(t, s) == t.query_y).double().mean() for t in parted]) for s in (1.0, 20.0))
prototypes = [inner.Prototypes().fit(t.x, t.targets)(t.query_x).argmax(1) == t.query_y for t in parted]
by_means = torch.stack([right.double().mean() for right in prototypes])
print(f"σ = 1: {narrow.mean():.1%}, σ = 20: {wide.mean():.1%}, one mean a class: {by_means.mean():.1%}")
assert stats.paired_difference(narrow, by_means).low > 0
assert stats.paired_difference(narrow, wide).low > 0

# %% [markdown]
# **σ in another unit.** Measure the plane in hundredths, so that all coordinates grow a hundredfold, and keep σ: most
# queries then have a kernel value of zero with every example, and their scores are tied. Press **too narrow** and,
# under **More controls**, set **separation** to 5: the white is where nobody wins. A σ belongs to the features it was
# chosen for.

# %%
t = sampled[0]
k = kernels.rbf_kernel(100 * t.query_x, 100 * t.x, 1.0)
print(f"in hundredths, {(k.amax(1) == 0).double().mean():.0%} of the queries resemble nothing at all")
assert (k.amax(1) == 0).double().mean() > 0.5
rescaled = t._replace(x=100 * t.x, query_x=100 * t.query_x)
assert torch.equal(read(rescaled, sigma=100.0), read(t))  # σ in the same unit: nothing has changed

# %% [markdown]
# ## The next question
#
# One solve learned every task of this lesson. The usual way is many small gradient steps on the examples: what do they
# do that a solve does not, and how many of them is one solve worth? Lesson 06 counts.
#
# Previous: [04 · Regularisers and choosing σ](04_regularisers_and_sigma.ipynb) · Next:
# [06 · One solve against many steps](06_one_solve_many_steps.ipynb)
