"""Classes of unequal sizes in one array."""

import pytest
import torch

from amfs_lab.errors import ConfigError
from amfs_lab.tasks.ragged import Ragged

CLASSES = [torch.full((n, 2), float(n)) for n in (3, 1, 4, 2)]


def test_a_class_and_a_part_of_the_classes_are_those_of_the_list():
    ragged = Ragged.of(CLASSES)
    assert (len(ragged), ragged.counts, ragged.offsets) == (4, (3, 1, 4, 2), (0, 3, 4, 8, 10))
    assert torch.equal(ragged[-2], CLASSES[2])
    for part in (slice(1, 3), slice(None, 2), slice(2, None), slice(3, 1), slice(None, None, 2), slice(None, None, -1)):
        assert ragged[part].counts == tuple(map(len, CLASSES[part]))
        assert torch.equal(ragged[part].flat, torch.cat([*CLASSES[part], torch.empty(0, 2)]))
    assert list(map(len, ragged)) == [3, 1, 4, 2]
    with pytest.raises(IndexError):
        ragged[4]


def test_a_part_of_neighbours_is_a_view_so_that_a_memory_mapped_file_is_not_read():
    ragged = Ragged.of(CLASSES)
    assert ragged[1:3].flat.data_ptr() == ragged.flat[3:].data_ptr()


@pytest.mark.parametrize("counts", [(3, 1), (3, 1, 4, 3), (11, -1)])
def test_counts_must_add_up(counts):
    with pytest.raises(
        ConfigError, match=r"`counts` must be >= 0 and add up to the number of samples, 10. Got a sum of"
    ):
        Ragged(torch.zeros(10, 2), counts)
