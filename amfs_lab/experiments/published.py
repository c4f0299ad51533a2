"""Published accuracies in percent, to be printed next to the accuracies of this project.

The backbone is Conv-4 unless `remark` names another one. Protocol and split differ from paper to paper. So do not rank
these numbers together with our accuracies.
"""

from dataclasses import dataclass

from amfs_lab.markdown import markdown_table

SHAPES = ("5w1s", "5w5s", "20w1s", "20w5s")


@dataclass(frozen=True)
class Published:
    """Published accuracies of a method on a data set.

    Args:
        source: the data set, as in `tasks.SOURCES`.
        values: one number or range for each of `SHAPES`, or "–" if there is none.
        read_in: source of the numbers. remark: any other difference from our protocol.
    """

    method: str
    source: str
    values: tuple[str, ...]
    read_in: str
    remark: str = ""


RANDOM, MINI = "omniglot-random-classes", "mini-imagenet"
COPIES = "copies of the paper's table"
RESULTS_PAGE = "the paper's results page"
PADDLE = "README of PaddleFSL"
RERUNS = "READMEs of maml (potsawee), PaddleFSL and learn2learn"
PUBLISHED: tuple[Published, ...] = (
    Published("MAML (Finn et al. 2017)", RANDOM, ("98.7", "99.9", "95.8", "98.9"), COPIES),
    Published("MAML, runs of others", RANDOM, ("94.7 to 99.1", "98.8 to 99.4", "83.4 to 91.0", "94.1"), RERUNS),
    Published("MAML++ (Antoniou et al. 2019)", RANDOM, ("99.47", "99.85", "97.65", "99.33"), RESULTS_PAGE),
    Published("ANIL (Raghu et al. 2020)", RANDOM, ("–", "–", "96.2", "98.0"), "learn2learn's tutorial, " + PADDLE),
    Published("ProtoNet (Snell et al. 2017)", RANDOM, ("98.8", "99.7", "96.0", "98.9"), COPIES),
    Published("RelationNet (Sung et al. 2018)", RANDOM, ("99.6", "99.8", "–", "–"), COPIES),
    Published("MAML (Finn et al. 2017)", MINI, ("48.70", "63.11"), COPIES),
    Published("MAML, runs of others", MINI, ("45.1 to 49.8", "62.1 to 65.4"), RERUNS),
    Published("MAML++ (Antoniou et al. 2019)", MINI, ("52.40", "67.15"), RESULTS_PAGE),
    Published("ANIL (Raghu et al. 2020)", MINI, ("46.7", "61.5"), "learn2learn's tutorial, " + PADDLE),
    Published("ProtoNet (Snell et al. 2017)", MINI, ("49.42", "68.20"), COPIES),
    Published("RelationNet (Sung et al. 2018)", MINI, ("50.44", "65.32"), COPIES),
    Published("R2-D2 (Bertinetto et al. 2019)", MINI, ("51.2", "68.8"), "MetaOptNet's table", "wider network"),
    Published("MetaOptNet-SVM (Lee et al. 2019)", MINI, ("62.64", "78.63"), COPIES, "ResNet-12"),
    Published("DKT (Patacchiola et al. 2020)", MINI, ("49.73", "64.00"), "notes on the paper"),
    Published("MAML", "cub", ("54.73", "75.75"), COPIES, "run of Chen et al. (2019)"),
    Published("MAML, runs of others", "cub", ("53.3", "69.9"), RERUNS),
    Published("ANIL (Raghu et al. 2020)", "cub", ("53.3", "69.1"), "learn2learn's tutorial, " + PADDLE),
    Published("ProtoNet, runs of others", "cub", ("50.46 to 51.31", "70.14 to 76.39"), PADDLE),
    Published("RelationNet, runs of others", "cub", ("62.34", "77.84"), PADDLE),
    Published("MAML", "cifar-fs", ("58.9", "71.5"), "README of maml-cifar-fs", "run of Bertinetto et al. (2019)"),
    Published("MAML, runs of others", "cifar-fs", ("57.1", "72 to 76.6"), RERUNS),
    Published("ANIL (Raghu et al. 2020)", "cifar-fs", ("56.2", "68.6"), "learn2learn's tutorial, " + PADDLE),
    Published("ProtoNet, runs of others", "cifar-fs", ("55.5", "72.0"), PADDLE),
    Published("RelationNet, runs of others", "cifar-fs", ("55.0", "69.3"), PADDLE),
    Published("R2-D2 (Bertinetto et al. 2019)", "cifar-fs", ("65.3", "79.4"), "README of r2d2", "wider network"),
    Published("MetaOptNet-SVM (Lee et al. 2019)", "cifar-fs", ("72.0", "84.2"), COPIES, "ResNet-12"),
    Published("MAML, runs of others", "fc100", ("37.6", "49.1"), RERUNS),
    Published("ANIL (Raghu et al. 2020)", "fc100", ("40.7", "48.0"), "learn2learn's tutorial, " + PADDLE),
    Published("ProtoNet, runs of others", "fc100", ("35.9", "49.3"), PADDLE),
    Published("RelationNet, runs of others", "fc100", ("35.8", "47.8"), PADDLE),
)


def published_table(source: str) -> str:
    """A Markdown table of the published accuracies on a data set; an empty text if there are none."""
    found = [each for each in PUBLISHED if each.source == source]
    if not found:
        return ""
    shapes = SHAPES[: max(len(each.values) for each in found)]
    rows = [[each.method, *each.values, each.read_in, each.remark or "–"] for each in found]
    return markdown_table(["method", *shapes, "read in", "remark"], rows)
