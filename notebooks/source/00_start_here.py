# %% [markdown]
# # 00 · Start here
#
# **You will** move a dial, make a prediction, solve a first small exercise, and know where everything is.
#
# 10 minutes · needs: a browser and curiosity · runs offline in seconds
#
# A person who has seen one letter of an alphabet recognises it the next time. Most machines need thousands of
# examples. What would a machine need, to learn from one?

# %%
import torch

from amfs_lab import explore, kernels, ridge, tasks

# %% [markdown]
# That grey box was a *code cell*, and the one above it is text. Click into a code cell and press **Shift+Enter**: it
# runs, and the next one is chosen. Run this page so from top to bottom, one cell at a time.
#
# First, is everything here that the course needs? A line without ✓ would say what to do.

# %%
explore.check.environment()

# %% [markdown]
# ## Predict, then move
#
# Every lesson shows you something that moves. Before it does, it asks what you expect. A wrong guess costs nothing
# and gets a reason, and you remember it longer than a fact that you were told. The code of a question is folded to
# one line, because it holds the answer: run it like any other.

# %% [markdown]
# Below, six points lie on a line, and a table says how alike each pair is; its name is $K$. The dial **σ** (sigma)
# sets how far similarity reaches. Leave the lower left panel aside for now, and with it the words *eigenvalue* and
# *direction*: lesson 01 is about them.

# %%
explore.predict(
    "You move σ. What happens to the diagonal of the table, from the upper left to the lower right?",
    options=["it stays", "it gets darker", "it gets lighter"],
    answer="it stays",
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
# Move the dial **σ** to its left end, then to its right end, and watch the heat map: the table empties and fills, and
# its diagonal stays as it is. The sentence under the figure says the present state in words.
#
# Every dial has a box beside it to type into. The buttons above the figure lead to states worth seeing, and **Reset**
# leads back. If an explorer ever shows a red bar, the bar says what happened.

# %% [markdown] tags=["exercise"]
# ## Try an exercise
#
# Exercises come in three kinds: *by hand*, *in code*, and *explore*. You write where the dots are and run the cell,
# then run the check below it. Try a wrong answer first, to see what a check does.
#
# ### Exercise 1 · by hand
# Add up the diagonal of the table of six points. How much is it, whatever σ is?

# %% tags=["exercise"]
### BEGIN SOLUTION
sum_of_diagonal = 6
### END SOLUTION

# %% tags=["check"]
explore.check.six_alike(sum_of_diagonal)

# %% [markdown]
# ○ means that you have not tried yet, ✓ that you are right. Anything else is a sentence about what you did. For when
# you have been stuck for a while, there are solutions, in the folder `notebooks/solutions` of the project. A lab
# started by `python3 run.py lab` shows your own copies only, so you don't stumble over them: end it and start
# `python3 run.py lab --in-place`, and the folder `solutions` is in the list on the left. Look there, and write in your
# own copies.

# %% [markdown]
# ## One solve
#
# Here is the whole course in four lines. Six points have labels $y$; the table $K$ says how alike they are. One
# linear solve, $\alpha = (K + \lambda I)^{-1} y$, gives a function that follows the labels. No training loop, no
# steps.

# %%
x = explore.rbf.POINTS["six points"]
y = torch.sin(2 * x)
K = kernels.rbf_kernel(x, x, bandwidth=0.6)
alpha = ridge.solve(K, y, lam=0.01)
print(f"largest miss on six labels: {(K @ alpha - y).abs().max():.3f}")

# %% [markdown]
# The paper behind this course puts that solve where others take many steps, and asks a network to learn *how to
# compare* so that one solve is enough. It also proposes how several tasks should agree on a direction. You will build
# both, test both, and see where they help and where they don't.

# %% [markdown]
# ## What we claimed
#
# A claim in this course is a line that runs. If it were wrong, the cell would stop with an error.

# %%
for sigma in (0.05, 0.6, 5.0):
    table = kernels.rbf_kernel(x, x, sigma)
    assert torch.equal(table.diagonal(), torch.ones(6, dtype=x.dtype))  # the diagonal does not move
    assert torch.isclose(table.trace(), torch.tensor(6.0, dtype=x.dtype))  # and so its sum is six
assert torch.allclose((K + 0.01 * torch.eye(6)) @ alpha, y)  # one solve solves it

# %% [markdown]
# And no lesson needs a network: with every connection refused, the letters that come with the course open all the
# same.

# %%
with explore.check.no_network():
    letters = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))
    first_task = letters[0]
assert first_task.support.x.shape == (5, 1, 28, 28)
print(f"{letters.classes} letters of alphabets kept for testing")
print(f"the first task shows {len(first_task.support.x)} images and asks about {len(first_task.query.x)}")

# %% [markdown]
# ## The map
#
# Minutes are a guess at your time, not the computer's. Lessons without a link are on their way.
#
# | nb | lesson | | minutes |
# |---|---|---|---|
# | 00 | [Start here](00_start_here.ipynb) | you are here | 10 |
# | 01 | [RBF kernels: similarity with a dial](01_rbf_kernels.ipynb) | begin here | 30 |
# | 02 | One solve, one filter | to come | 40 |
# | 03 | The representer theorem | to come | 40 |
# | 04 | Regularisers and choosing σ | to come | 45 |
# | 05 | Few-shot episodes | to come | 35 |
# | 06 | One solve against many steps | to come | 45 |
# | 07 | The outer loop in the plane | to come | 45 |
# | 08 | Task conflict and O-AMFS | to come | 40 |
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
