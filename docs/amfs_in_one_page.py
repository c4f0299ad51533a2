"""AMFS in plain PyTorch: fast adaptation with kernel and gradient based meta-learning (arXiv 2411.00404).

kernel      (1)  k(a, b) = exp(-|a - b|^2 / (2 sigma^2))
inner loop  (2)  alpha = (K + lam I)^-1 Y           one solve on a task's support set
            (3)  f(x) = scale * sum_i alpha_i k(x, x_i)
outer loop  (4)  c_j = sum_i cos(g_i, g_j)          g_j is the gradient of task j
            (5)  d = Z sum_j c_j g_j                Z makes d as long as the mean gradient"""

import json

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, max_pool2d, normalize, one_hot, relu

WAYS, SHOTS, QUERIES, TASKS, LAM = 5, 1, 15, 4, 0.1


class Learner(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(n, width, 3, padding=1, bias=False) for n in (1, width, width, width))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, track_running_stats=False) for _ in self.convs)
        self.log_sigma, self.log_scale = nn.Parameter(torch.tensor(10.0).log()), nn.Parameter(torch.tensor(5.0).log())

    def forward(self, support, labels, query):
        z = torch.cat([support, query])
        for conv, norm in zip(self.convs, self.norms, strict=True):  # Conv-4
            z = max_pool2d(relu(norm(conv(z))), 2)
        distances = (z.flatten(1)[:, None] - z.flatten(1)[None, : len(support)]).square().sum(-1)
        K, k_query = torch.exp(-distances / (2 * self.log_sigma.exp() ** 2)).split([len(support), len(query)])  # (1)
        alpha = torch.linalg.solve(K + LAM * torch.eye(len(K)).to(K), one_hot(labels).to(K))  # (2)
        return self.log_scale.exp() * k_query @ alpha  # (3)


def meta_step(learner, optimizer, tasks):
    parameters = list(learner.parameters())
    losses = [cross_entropy(learner(support, labels, query), answers) for support, labels, query, answers in tasks]
    g = torch.stack([torch.cat([part.flatten() for part in torch.autograd.grad(loss, parameters)]) for loss in losses])
    c = normalize(g) @ normalize(g).sum(0)  # (4)
    d = c @ g * (g.mean(0).norm() / (c @ g).norm())  # (5)
    for parameter, part in zip(parameters, d.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
    optimizer.step()
    return sum(losses).item() / len(losses)


def draw_task(images):
    x = torch.stack([images[c][torch.randperm(20)[: SHOTS + QUERIES]] for c in torch.randperm(len(images))[:WAYS]])
    y = torch.arange(WAYS)[:, None].expand(WAYS, SHOTS + QUERIES)
    return [part[:, half].flatten(0, 1) for half in (slice(SHOTS), slice(SHOTS, None)) for part in (x, y)]


if __name__ == "__main__":  # meta-trains on the characters of the course: python docs/amfs_in_one_page.py
    file, learner = np.load("data/glyphs.npz"), Learner()
    train = [json.loads(bytes(file["notes"]))["splits"][script] == "train" for script in file["scripts"]]
    images = torch.from_numpy(np.stack(divmod(file["images"][train], 16), -1)).view(-1, 20, 1, 28, 28) / 15
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-3)
    for step in range(1, 1001):
        print(step, meta_step(learner, optimizer, [draw_task(images) for _ in range(TASKS)]))
