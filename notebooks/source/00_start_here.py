# %% [markdown]
# # 00 · Start here
#
# **You will** watch a machine read letters that it has seen once, move a dial, predict what it does, solve three first
# exercises, and know where everything is.
#
# 15 minutes · needs: a browser and curiosity · runs offline in seconds
#
# A person who has seen one letter of an alphabet recognises it the next time. Most machines need thousands of
# examples. What would a machine need, to learn from one?

# %%
import torch

from amfs_lab import checks, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.kernels import questions, rbf

# %% [markdown]
# That grey box was a *code cell*, and the one above it is text. Click into a code cell and press **Shift+Enter**: it
# runs, and the next one is chosen. Run this page so from top to bottom, one cell at a time.
#
# First, is everything here that the course needs? What is missing would be named, with what to do.

# %%
checks.environment()

# %% [markdown]
# ## One example each
#
# Below are five letters of scripts that this machine has never met, with one printed example of each. It is shown 75
# more prints of the same five, the *queries*. It has one idea only: compare a query with the five examples, pixel by
# pixel, and call it what it resembles most.

# %% [markdown]
# Every lesson asks what you expect before it shows. A wrong guess costs nothing and gets a reason. (The code of a
# question is folded to one line, because it holds the answer: run it like any other.)

# %%
widgets.predict(
    "Five letters, one example each, 75 queries. For how many is the most similar example the right one?",
    options=["fewer than 25", "25 to 50", "more than 50"],
    answer=lambda: questions.answer_how_many_are_read(task=2),
    because={
        "fewer than 25": "guessing finds 15 of 75, and a likeness of pixels is not worth nothing",
        "more than 50": "the same letter is printed bold or thin, leaning or shifted: how many pixels still agree?",
        "25 to 50": "Better than the 15 of 75 that guessing finds, and far from reading.",
    },
)

# %%
letters = explore.CharacterExplorer("one example each", task=2)
letters

# %% [markdown]
# On the left are the five examples, with the query below them; on the right, five bars say how similar the query is to
# each. Move **query** and watch: the bar marked *its own* should be the longest, and often it is another, marked
# *guess*. You would not have been fooled. What do you see that pixels don't? (Leave the other dials where they are.)
#
# The sentence under the figure says the present state in words.

# %% [markdown]
# ## A dial for likeness
#
# Letters are hard to think about, so here are six points on a line. A table says how alike each pair is, the darker the
# more; its name is $K$, or *Gram matrix*. The dial **σ** (the Greek letter sigma) sets how far similarity reaches.
# Leave the lower left panel aside for now, and with it the words *eigenvalue* and *direction*: lesson 01 is about them.

# %%
widgets.predict(
    "You move σ. What happens to the diagonal of the table, from the upper left to the lower right?",
    options=["it stays", "it gets darker", "it gets lighter"],
    answer=questions.answer_diagonal_when_sigma_changes,
    because={
        "it gets darker": "which two points are compared on the diagonal?",
        "it gets lighter": "which two points are compared on the diagonal?",
        "it stays": "On the diagonal each point is compared with itself, and it is like itself at any σ.",
    },
)

# %%
dial = explore.RbfExplorer("six points")
dial

# %% [markdown]
# Move **σ** to its left end, then to its right end, and watch the heat map: the table empties and fills, and its
# diagonal stays as it is. The letters have such a table too, five by five: the middle panel above.
#
# Every dial has a box beside it to type into. The buttons above a figure lead to states worth seeing, and **Reset**
# leads back. If an explorer ever shows a red bar, the bar says what happened.

# %% [markdown]
# ## One solve
#
# Here is the whole course in a few lines, on the letters of the first figure. The table $K$ says how alike the five
# examples are, and $y$ which letter each of them shows: a row with a one in that letter's column. One linear solve,
# $\alpha = (K + \lambda I)^{-1} y$, weighs the examples against each other; λ (lambda) is a small number that keeps it
# calm. A query's similarities, times α, are its scores, and the highest score names its letter.

# %%
task = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))[1]
support, query = task.support.x.flatten(1), task.query.x.flatten(1)  # an image is a row of 784 grey values
y = task.support.targets
K = kernels.rbf_kernel(support, support, bandwidth=5.0)
alpha = ridge.solve(K, y, lam=0.1)
scores = kernels.rbf_kernel(query, support, bandwidth=5.0) @ alpha
print(f"right: {int((scores.argmax(1) == task.query.y).sum())} of {len(query)}")

# %% [markdown]
# No training loop, no steps. And nothing is hidden in `ridge.solve`; here it is by hand:

# %%
by_hand = torch.linalg.solve(K + 0.1 * torch.eye(5), y)
assert torch.allclose(by_hand, alpha, atol=1e-5)

# %% [markdown]
# Is it worth more than naming the most similar example? One task can't say, two hundred can. Behind ± stands how far
# luck could be off, at 95 %.

# %%
def is_right(task, one_solve):
    support, query = task.support.x.flatten(1), task.query.x.flatten(1)
    similarity = kernels.rbf_kernel(query, support, 5.0)
    alpha = ridge.solve(kernels.rbf_kernel(support, support, 5.0), task.support.targets, lam=0.1)
    guesses = (similarity @ alpha).argmax(1) if one_solve else task.support.y[similarity.argmax(1)]
    return (guesses == task.query.y).float().mean()

# %%
gains = {}
for shots in (1, 5):
    source = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=shots, queries=15))
    nearest, solved = (torch.stack([is_right(source[i], one) for i in range(200)]) for one in (False, True))
    gains[shots] = stats.paired_difference(solved, nearest)
    print(f"examples of each letter: {shots}")
    print(f"    most similar example: {stats.accuracy_interval(nearest).percent('tasks')}")
    print(f"    one solve:            {stats.accuracy_interval(solved).percent('tasks')}")
    print(f"    gained, task by task: {gains[shots].points('tasks')}")

# %% [markdown]
# A gain is counted in *points*: from 45 % to 47 % it is two points. With one example each, there is little to weigh.
# With five, the solve uses all of them at once, and it shows. Both are far from reading: they compare pixels.

# %% [markdown]
# The paper behind this course puts that solve where others take many small steps, and asks a network to learn *what to
# compare* so that one solve is enough. It also proposes how several tasks should agree on a direction. You will build
# both, test both, and see where they help and where they don't.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# Exercises come in three kinds: *by hand*, *in code*, and *explore*. You write where the dots are, or in place of the
# line that raises an error, and run the cell, then the check below it. Try a wrong answer first, to see what a check
# does.
#
# ### Exercise 1 · by hand
# Add up the diagonal of the table of six points. How much is it, whatever σ is?

# %% tags=["exercise"]
### BEGIN SOLUTION
sum_of_diagonal = 6
### END SOLUTION

# %% tags=["check"]
checks.six_alike(sum_of_diagonal)

# %% [markdown]
# ○ means that you have not tried yet, ✓ that you are right, and *Not yet* comes with a sentence about what you did. No
# answer stops the lesson. For when you have been stuck for a while, there are solutions: end the lab and start
# `python3 run.py lab --solutions`. It opens copies of the solved lessons, beside your own. (A course that your teacher
# handed out may hold none, and says so.)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the machine of the first figure. Each row of `K_qs` belongs to a query and holds its similarity to every
# example, a column each; `letters[j]` is the letter of example `j`. Return one letter for each query: that of its most
# similar example. `K_qs.argmax(1)` finds, row by row, the column with the largest number.

# %% tags=["exercise"]
def my_guess(K_qs, letters):
    ### BEGIN SOLUTION
    most_similar = K_qs.argmax(1)
    return letters[most_similar]
    ### END SOLUTION

# %% tags=["check"] points=2
checks.guess(my_guess)

# %% [markdown] tags=["exercise"]
# ### Exercise 3 · explore
# Go back to the letters and press **Reset**. Queries 1 to 15 show letter 1, queries 16 to 30 letter 2, and so on. One
# of the five letters is read right every time. Move **query** and find out which.

# %% tags=["exercise"]
### BEGIN SOLUTION
never_missed = 4
### END SOLUTION

# %% tags=["check"]
checks.always_read(never_missed, task=2)

# %% [markdown]
# ## What we claimed
#
# A claim in this course is a line that runs. If it were wrong, the cell would stop with an error.

# %%
x = rbf.POINTS["six points"]
for sigma in (0.05, 0.6, 5.0):
    table = kernels.rbf_kernel(x, x, sigma)
    assert torch.equal(table.diagonal(), torch.ones(6, dtype=x.dtype))  # the diagonal does not move
    assert torch.isclose(table.trace(), torch.tensor(6.0, dtype=x.dtype))  # and so its sum is six
assert torch.allclose((K + 0.1 * torch.eye(5)) @ alpha, y, atol=1e-5)  # one solve solves it
right = kernels.rbf_kernel(query, support, 5.0).argmax(1) == task.query.y
assert len(query) / 5 == 15 < 25 <= right.sum() <= 50  # better than guessing, far from reading
assert gains[5].low > 0  # with five examples each, weighing them is worth more than the best of them
assert gains[5].mean > 2 * gains[1].mean  # and more than it is worth with one

# %% [markdown]
# And no lesson needs a network: with every connection refused, the letters that come with the course open all the
# same.

# %%
with checks.no_network():
    source = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))
    first_task = source[0]
assert first_task.support.x.shape == (5, 1, 28, 28)
print(f"{source.classes} letters of alphabets kept for testing")

# %% [markdown]
# ## Where this breaks
#
# Ask the machine about an empty sheet. It has no way to say "none of these", so it names a letter: the one that is
# nearest to white paper. Here that is the one with the least ink, the one of exercise 3. And the sheet resembles that
# letter more than most real prints resemble anything: paper agrees with paper, and strokes are few.

# %%
sheet = kernels.rbf_kernel(torch.zeros(1, 784), support, bandwidth=5.0)[0]
best = kernels.rbf_kernel(query, support, bandwidth=5.0).amax(1)
print(f"the empty sheet is read as letter {sheet.argmax() + 1}, similarity {sheet.max():.2f}")
print(f"{int((best < sheet.max()).sum())} of {len(best)} real prints are less similar to their best example")
assert sheet.argmax() == support.norm(dim=1).argmin()  # nearest to white, in any task
assert sheet.argmax() == support.sum(1).argmin()  # the least ink, in this one
assert (best < sheet.max()).float().mean() > 0.75

# %% [markdown]
# A similarity is not a certainty, and a machine that must answer will answer. A better space to compare in is what
# lesson 09 learns.

# %% [markdown]
# ## The map
#
# Minutes are a guess at your time, not the computer's. Lessons without a link are on their way.
#
# | nb | lesson | | minutes |
# |---|---|---|---|
# | 00 | [Start here](00_start_here.ipynb) | you are here | 15 |
# | 01 | [RBF kernels: similarity with a dial](01_rbf_kernels.ipynb) | begin here | 30 |
# | 02 | [One solve, one filter](02_one_solve_one_filter.ipynb) | what λ lets through | 50 |
# | 03 | [The representer theorem](03_representer_theorem.ipynb) | why bumps on the examples are enough | 60 |
# | 04 | [Regularisers and choosing σ](04_regularisers_and_sigma.ipynb) | σ and λ when nobody tells you | 75 |
# | 05 | [Few-shot episodes](05_few_shot_episodes.ipynb) | draw your own letters and have them read | 35 |
# | 06 | [One solve against many steps](06_one_solve_many_steps.ipynb) | the λ that stands for k steps | 45 |
# | 07 | [The outer loop in the plane](07_outer_loop.ipynb) | whom the outer loop listens to | 45 |
# | 08 | [Task conflict and O-AMFS](08_task_conflict.ipynb) | the mean, or the majority? | 60 |
# | 09 | [Full meta-training](09_meta_training.ipynb) | the whole method on real letters | 50 |
# | 10 | Does it hold? | to come | 60 |

# %% [markdown]
# ## When something does not work
#
# - A figure that does not move: run its cell again. After a restart of the kernel, run the page from the top
#   (menu *Run*, *Run All Cells*).
# - A page that you would like fresh: close it and start with `python3 run.py lab --fresh 01` (the lesson's number).
#   Your own pages are never overwritten otherwise.

# %% [markdown]
# ## Where to click next
#
# Next: [01 · RBF kernels: similarity with a dial](01_rbf_kernels.ipynb)
