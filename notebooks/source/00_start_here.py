# %% [markdown]
# # 00 · Start here
#
# **You will** see a model recognise letters from one example each. You will move a slider, answer two questions, solve
# three exercises, and learn where everything is.
#
# 15 minutes · needs: a browser and curiosity · runs offline in seconds
#
# A person who has seen one letter of an alphabet recognises it the next time. Most models need thousands of examples.
# What does a model need to learn from one example?

# %%
import torch

from amfs_lab import checks, explore, kernels, ridge, stats, tasks, widgets
from amfs_lab.explore.kernels import questions, rbf

# %% [markdown]
# The grey box above is a *code cell*. Click into it and press **Shift+Enter**: the cell runs, and the next cell is
# selected. Run the page this way, from top to bottom, one cell at a time.

# %% [markdown]
# The next cell tests whether the course has everything it needs. If something is missing, the cell says so and how to
# fix it.

# %%
checks.environment()

# %% [markdown]
# ## One example each
#
# Below are five letters from scripts (alphabets) that no model of this course has been trained on. There is one printed
# example of each letter: these five images are the **support set**. The other 75 images of these letters are the
# **queries**. The model has one rule: it compares a query with each example, pixel by pixel. The most similar example
# gives the answer.

# %% [markdown]
# Every lesson asks a question before it shows the result. A wrong answer costs nothing, and you get a reason. (The code
# of a question is collapsed, because it contains the answer. Run it like any other cell.)

# %%
widgets.predict(
    "Five letters, one example each, 75 queries. For how many queries is the most similar example of the right letter?",
    options=["fewer than 25", "25 to 50", "more than 50"],
    answer=lambda: questions.answer_how_many_are_read(task=2),
    because={
        "fewer than 25": "random guessing is right for about 15 of the 75 queries. Comparing pixels is much better",
        "more than 50": "images of one letter are bold or thin, leaning or shifted. So many of their pixels differ",
        "25 to 50": "Comparing pixels is better than guessing, which finds about 15 of 75. But images of one letter "
        "differ in many pixels, so many queries go wrong.",
    },
)

# %%
letters = explore.CharacterExplorer("one example each", task=2)
letters

# %% [markdown]
# On the left you see the five examples and, below them, the query. On the right, five bars show how similar the query
# is to each example. The bar *its own* belongs to the right letter. The bar *guess* is the longest bar, if it belongs
# to another letter. Move **query** and watch the bars, but leave the other sliders where they are.

# %% [markdown]
# Often the longest bar belongs to a wrong letter, although you recognise the right letter easily. The sentence under
# the figure describes the present state.

# %% [markdown]
# ## A slider for similarity
#
# Letters are complicated, so the next figure has six points on a line. A table shows how similar each pair of points
# is: the darker, the more similar. This table is called the **Gram matrix** $K$. The slider **σ** (the Greek letter
# sigma) sets how far similarity reaches. Ignore the lower left panel for now: lesson 01 explains it.

# %%
widgets.predict(
    "You move σ. What happens to the diagonal of the table, from the upper left to the lower right?",
    options=["it stays the same", "it gets darker", "it gets lighter"],
    answer=questions.answer_diagonal_when_sigma_changes,
    because={
        "it gets darker": "other cells get darker when σ grows. But the diagonal compares each point with itself",
        "it gets lighter": "other cells get lighter when σ shrinks. But the diagonal compares each point with itself",
        "it stays the same": "On the diagonal each point is compared with itself. This similarity is 100 % at every σ.",
    },
)

# %%
six_points = explore.RbfExplorer("six points")
six_points

# %% [markdown]
# Move **σ** to its left end, then to its right end, and watch the heat map. At the left end only the diagonal is dark.
# At the right end all cells are dark. The diagonal stays the same. The letters have such a table, too: it is the middle
# panel of the first figure.

# %% [markdown]
# Such a figure is called an *explorer*. You can also type a value into the box beside a slider. The buttons above a
# figure show useful states, and **Reset** restores the first state. If a red bar appears, it says what went wrong.

# %% [markdown]
# ## One solve
#
# The next cell contains the main idea of the course, applied to the letters of the first figure. The matrix $K$ holds
# the similarities of the five examples. The matrix $y$ holds their labels, one row for each example: a one in the
# column of its letter, and zeros elsewhere. One linear solve gives the weights of the examples:
#
# $$\alpha = (K + \lambda I)^{-1} y$$

# %% [markdown]
# Read aloud: alpha (α) is the inverse of K plus lambda times the identity, times y. λ (lambda) is the **regulariser**,
# a small positive number that makes the solve stable. The similarities of a query to the examples, times α, are its
# **scores**. The letter with the highest score is the answer.

# %%
task = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))[1]
support, query = task.support.x.flatten(1), task.query.x.flatten(1)  # an image is a row of 784 grey values
y = task.support.targets
K = kernels.rbf_kernel(support, support, bandwidth=5.0)
alpha = ridge.solve(K, y, lam=0.1)
scores = kernels.rbf_kernel(query, support, bandwidth=5.0) @ alpha
print(f"right: {int((scores.argmax(1) == task.query.y).sum())} of {len(query)}")

# %% [markdown]
# There is no training loop. The next cell does the same solve without `ridge.solve`.

# %%
by_hand = torch.linalg.solve(K + 0.1 * torch.eye(5), y)
assert torch.allclose(by_hand, alpha, atol=1e-5)

# %% [markdown]
# Is the solve better than taking the most similar example? One task is too few to tell, so here are two hundred. The
# number after ± is the 95 % margin of error.

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
# A difference of percentages is counted in *points*: from 45 % to 47 % is two points. With one example of each letter,
# the solve gains little. With five examples, the solve uses all of them at once and gains clearly more. Both methods
# still make many mistakes, because they compare pixels.

# %% [markdown]
# The paper behind this course replaces many small steps by this one solve. A network learns *what to compare*, so that
# one solve is enough. The paper also proposes how to combine the gradients of several tasks. You will build both ideas,
# and see where they help and where they do not.

# %% [markdown] tags=["exercise"]
# ## Exercises
#
# There are three kinds of exercises: *by hand*, *in code*, and *explore*. Replace the dots, or the line that raises an
# error, by your answer. Run the cell, then the check below it. (Try a wrong answer first, to see what a check says.)
#
# ### Exercise 1 · by hand
# Add up the diagonal of the table of six points. What is the sum, at every σ?

# %% tags=["exercise"]
### BEGIN SOLUTION
sum_of_diagonal = 6
### END SOLUTION

# %% tags=["check"]
checks.six_alike(sum_of_diagonal)

# %% [markdown]
# ○ means that you have not tried yet, and ✓ means that you are right. *Not yet* comes with a sentence about your
# mistake. No answer stops the lesson.

# %% [markdown]
# If you are stuck, look at the solutions: end the lab and start `python3 run.py lab --solutions`. This command opens
# copies of the solved lessons, beside your own. (A course from your teacher may contain no solutions.)

# %% [markdown] tags=["exercise"]
# ### Exercise 2 · in code
# Write the model of the first figure. Each row of `K_qs` belongs to one query and holds its similarity to every
# example, one column for each example. `letters[j]` is the letter of example `j`. For each query, return the letter of
# its most similar example. `K_qs.argmax(1)` finds, for each row, the column with the largest number.

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
# Go back to the letters and press **Reset**. Queries 1 to 15 show letter 1, queries 16 to 30 show letter 2, and so on.
# One of the five letters is recognised every time. Move **query** and find this letter.

# %% tags=["exercise"]
### BEGIN SOLUTION
never_missed = 4
### END SOLUTION

# %% tags=["check"]
checks.always_read(never_missed, task=2)

# %% [markdown]
# ## What we claimed
#
# A claim in this course is a line of code that runs. If the claim were wrong, the cell would stop with an error.

# %%
x = rbf.POINTS["six points"]
for sigma in (0.05, 0.6, 5.0):
    table = kernels.rbf_kernel(x, x, sigma)
    assert torch.equal(table.diagonal(), torch.ones(6, dtype=x.dtype))  # the diagonal stays the same
    assert torch.isclose(table.trace(), torch.tensor(6.0, dtype=x.dtype))  # so its sum is six
assert torch.allclose((K + 0.1 * torch.eye(5)) @ alpha, y, atol=1e-5)  # one solve gives the weights α
right = kernels.rbf_kernel(query, support, 5.0).argmax(1) == task.query.y
assert len(query) / 5 == 15 < 25 <= right.sum() <= 50  # comparing pixels beats guessing, with many mistakes
assert gains[5].low > 0  # with five examples of each letter, one solve beats the most similar example
assert gains[5].mean > 2 * gains[1].mean  # this gain is more than twice the gain with one example

# %% [markdown]
# No lesson needs a network connection. The next cell blocks every connection, and the letters of the course still open.

# %%
with checks.no_network():
    source = tasks.open_source("glyphs", "test", tasks.EpisodeConfig(ways=5, shots=1, queries=15))
    first_task = source[0]
assert first_task.support.x.shape == (5, 1, 28, 28)
print(f"{source.classes} letters of alphabets kept for testing")

# %% [markdown]
# ## Where this breaks
#
# Give the model an empty white image. The model cannot answer "none of these", so it names the letter that is nearest
# to white paper. In this task it is the letter with the least ink, the letter of exercise 3. Most queries are less
# similar to any example than the empty image is to this letter. The reason: most pixels of a letter are white, too.

# %%
sheet = kernels.rbf_kernel(torch.zeros(1, 784), support, bandwidth=5.0)[0]
best = kernels.rbf_kernel(query, support, bandwidth=5.0).amax(1)
print(f"the empty image is recognised as letter {sheet.argmax() + 1}, similarity {sheet.max():.2f}")
print(f"for {int((best < sheet.max()).sum())} of {len(best)} queries, the largest similarity is smaller")
assert sheet.argmax() == support.norm(dim=1).argmin()  # nearest to white, in any task
assert sheet.argmax() == support.sum(1).argmin()  # the least ink, in this task
assert (best < sheet.max()).float().mean() > 0.75

# %% [markdown]
# So a high similarity does not mean that the answer is right. Lesson 09 learns a better space for the comparison.

# %% [markdown]
# ## The map
#
# The minutes estimate your time, not the computer's time. Lessons without a link are not ready yet.
#
# | nb | lesson | | minutes |
# |---|---|---|---|
# | 00 | [Start here](00_start_here.ipynb) | you are here | 15 |
# | 01 | [RBF kernels: similarity with a dial](01_rbf_kernels.ipynb) | how σ changes what a model can learn | 30 |
# | 02 | [One solve, one filter](02_one_solve_one_filter.ipynb) | how λ changes a fit | 50 |
# | 03 | [The representer theorem](03_representer_theorem.ipynb) | why one weight for each example is enough | 60 |
# | 04 | [Regularisers and choosing σ](04_regularisers_and_sigma.ipynb) | how to choose σ and λ from the labels | 75 |
# | 05 | [Few-shot episodes](05_few_shot_episodes.ipynb) | draw your own letters, and the model recognises them | 35 |
# | 06 | [One solve against many steps](06_one_solve_many_steps.ipynb) | the λ that replaces k gradient steps | 45 |
# | 07 | [The outer loop in the plane](07_outer_loop.ipynb) | the point to which each outer loop converges | 45 |
# | 08 | [Task conflict and O-AMFS](08_task_conflict.ipynb) | what to do if tasks disagree | 60 |
# | 09 | [Full meta-training](09_meta_training.ipynb) | the whole method on real letters | 50 |
# | 10 | Does it hold? | to come | 60 |

# %% [markdown]
# ## When something does not work
#
# - If a figure does not move, run its cell again. After a restart of the Jupyter kernel (the Python process), run the
#   page from the top (menu *Run*, *Run All Cells*).
# - If you want a fresh page, close the page and start `python3 run.py lab --fresh 01` (the number of the lesson).
#   Without this command, the course never overwrites your own pages.

# %% [markdown]
# ## In three sentences
#
# A model can recognise letters from one example each: comparing pixels is better than guessing, but it makes many
# mistakes. The Gram matrix holds the similarity of each pair of examples, and σ sets how far similarity reaches. One
# linear solve turns similarities and labels into weights, with no training loop.

# %% [markdown]
# ## Where to click next
#
# Next: [01 · RBF kernels: similarity with a dial](01_rbf_kernels.ipynb)
