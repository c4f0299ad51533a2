"""An episode is a pure function of (source, split, seed, index), and its halves share classes but no image."""

import numpy as np
import pytest
import torch

from amfs_lab.errors import ConfigError, MovedError
from amfs_lab.tasks import EpisodeConfig, EpisodeSource, ImageSource, open_source
from amfs_lab.tasks.ragged import Ragged


@pytest.fixture
def numbered():
    """Ten classes of six images, each image filled with its own number."""
    numbers = torch.arange(60, dtype=torch.uint8).reshape(10, 6, 1, 1)
    shape = EpisodeConfig(4, 2, 3)
    return lambda config=shape, **rest: ImageSource(numbers.expand(10, 6, 4, 4), tuple("abcdefghij"), config, **rest)


def numbers_of(half):
    return (half.x[:, 0, 0, 0] * 255).round().int()


def test_support_and_query_share_classes_and_no_image(numbered):
    for index in range(50):
        episode = numbered()[index]
        support, query = numbers_of(episode.support), numbers_of(episode.query)
        assert len({*support.tolist(), *query.tolist()}) == 4 * 5
        for label in range(4):
            classes = torch.cat([support[episode.support.y == label], query[episode.query.y == label]]) // 6
            assert len(classes.unique()) == 1


def test_the_shape_is_the_configurations(numbered):
    episode = numbered()[0]
    assert episode.support.x.shape == (8, 1, 4, 4)
    assert episode.query.x.shape == (12, 1, 4, 4)
    assert episode.support.y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert torch.equal(episode.query.targets.argmax(1), episode.query.y)


def test_an_episode_depends_on_source_split_seed_and_index_and_on_nothing_else(numbered):
    def drawn(index=7, **rest):
        return numbers_of(numbered(**rest)[index].support).tolist()

    source = numbered()
    torch.manual_seed(3)
    in_another_order = [numbers_of(source[i].support).tolist() for i in (9, 7)][1]
    assert drawn() == in_another_order
    others = [drawn(index=8), drawn(seed=1), drawn(split="test"), drawn(name="other")]
    assert all(other != drawn() for other in others)


def test_every_class_and_sample_is_drawn_about_equally_often(numbered):
    counts = torch.zeros(60)
    for index in range(1500):
        counts[numbers_of(numbered()[index].support)] += 1
    expected = 1500 * 8 / 60
    assert ((counts - expected).square() / expected).sum() < 59 + 4 * (2 * 59) ** 0.5  # chi-square, about 4 sigma


def test_drawing_leaves_the_global_random_state_alone(numbered):
    before = torch.random.get_rng_state()
    numbered()[0]
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_labels_of_an_episode_are_those_of_its_images(numbered):
    source = numbered()
    support = numbers_of(source[3].support)
    assert source.classes_of(3) == ["abcdefghij"[int(n) // 6] for n in support[::2]]


def test_more_than_there_is_is_refused_with_what_there_is(numbered):
    with pytest.raises(ConfigError, match=r"11 ways needs at least 11 classes. Got 10 in the split 'all'.* at most 10"):
        numbered(EpisodeConfig(11, 1, 1))
    with pytest.raises(ConfigError, match=r"2 shots and 5 queries need 7 samples of a class. Got 6"):
        numbered(EpisodeConfig(2, 2, 5))


@pytest.mark.parametrize(("name", "value"), [("ways", 1), ("shots", 0), ("queries", 0)])
def test_a_shape_that_is_none_is_refused(name, value):
    with pytest.raises(ConfigError, match=rf"EpisodeConfig.{name} must be an integer >= \d. Got {value}"):
        EpisodeConfig(**{name: value})


def test_glyphs_open_by_name_and_unknown_names_are_refused():
    episode = open_source("glyphs", "test", EpisodeConfig(5, 1, 15))[0]
    assert episode.query.x.shape == (75, 1, 28, 28)
    assert 0 <= episode.query.x.min() < episode.query.x.max() <= 1
    with pytest.raises(ConfigError, match=r"source must be one of glyphs, omniglot, .*. Got 'mnist'"):
        open_source("mnist", "test", EpisodeConfig())
    with pytest.raises(ConfigError, match=r"`split` must be one of train, validation, test. Got 'dev'"):
        open_source("glyphs", "dev", EpisodeConfig())


def test_labels_may_be_a_list_an_array_or_a_tensor(numbered):
    images, shape = numbered().samples, EpisodeConfig(4, 2, 3)
    for labels in (list(range(10)), np.arange(10), torch.arange(10), np.array(list("0123456789"))):
        assert ImageSource(images, labels, shape).labels == tuple("0123456789")


def test_a_label_names_one_class(numbered):
    with pytest.raises(ConfigError, match=r"needs its own label. Got 'a' for 2 classes"):
        ImageSource(numbered().samples, tuple("abcdefghia"), EpisodeConfig(4, 2, 3))


def test_the_protocol_called_as_the_old_class_names_the_classes_of_today():
    class Old(EpisodeSource):
        def __init__(self, images):
            super().__init__(images, ("a", "b"), EpisodeConfig(2, 1, 1))

        def __getitem__(self, index):
            raise NotImplementedError

    class Own(EpisodeSource):
        def __getitem__(self, index):
            return index

    for make in (EpisodeSource, Old):
        with pytest.raises(MovedError, match=r"is now a protocol.*Use `tasks.ImageSource` for images"):
            make(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(MovedError, match="is now a protocol"):
        EpisodeSource()
    assert Own()[3] == 3


SIZES = (6, 9, 5, 30, 7)


@pytest.fixture
def ragged():
    """Five classes of unequal sizes; each image is filled with its own number."""
    numbers = torch.arange(sum(SIZES), dtype=torch.uint8)[:, None, None].expand(-1, 4, 4)
    shape = EpisodeConfig(3, 2, 3)
    return lambda config=shape, **rest: ImageSource(Ragged(numbers, SIZES), tuple("abcde"), config, **rest)


def test_classes_of_unequal_sizes_give_images_of_their_own_only(ragged):
    offsets = torch.tensor([0, *SIZES]).cumsum(0)
    for index in range(60):
        source = ragged()
        episode, names = source[index], source.classes_of(index)
        for half in (episode.support, episode.query):
            classes = torch.bucketize(numbers_of(half), offsets, right=True) - 1
            assert ["abcde"[c] for c in classes] == [names[y] for y in half.y.tolist()]
        both = [*numbers_of(episode.support).tolist(), *numbers_of(episode.query).tolist()]
        assert len(set(both)) == len(both)


def test_each_image_of_a_large_class_is_drawn(ragged):
    seen = {n for index in range(400) for n in numbers_of(ragged()[index].query).tolist()}
    assert len(seen) == sum(SIZES)


def test_equal_sizes_give_the_same_episodes_as_a_tensor(numbered):
    source = numbered()
    flat = source.samples.flatten(0, 1)
    for images in (Ragged(flat, (6,) * 10), list(source.samples)):
        other = ImageSource(images, source.labels, source.config)
        for index in range(5):
            assert torch.equal(other[index].query.x, source[index].query.x)


def test_a_class_with_too_few_images_is_named(ragged):
    with pytest.raises(
        ConfigError, match=r"2 shots and 4 queries need 6 samples of a class. Got 5 in 'c' of images\. Lower"
    ):
        ragged(EpisodeConfig(3, 2, 4))
    with pytest.raises(ConfigError, match=r"Got 5 in 'c' of images. 3 classes have fewer than 8"):
        ragged(EpisodeConfig(3, 4, 4))
    assert ragged().smallest == 5


def test_colour_images_have_three_channels_in_every_layout():
    flat = torch.randint(0, 256, (12, 5, 5, 3), dtype=torch.uint8)
    images = flat.permute(0, 3, 1, 2)  # as a packed copy stores them
    config = EpisodeConfig(2, 1, 2)
    sources = [ImageSource(x, "ab", config) for x in (images.reshape(2, 6, 3, 5, 5), Ragged(images, (6, 6)))]
    episodes = [source[4] for source in sources]
    assert episodes[0].support.x.shape == (2, 3, 5, 5)
    assert torch.equal(episodes[0].query.x, episodes[1].query.x)
    assert all((image * 255).round().byte().tolist() in images.tolist() for image in episodes[0].support.x)


def test_images_that_are_neither_grey_nor_in_colour_are_refused():
    for wrong in (torch.zeros(2, 6, 4, 5, 5), torch.zeros(2, 6, 2, 5, 5), torch.zeros(2, 6, 5)):
        with pytest.raises(ConfigError, match=r"images \(classes, samples, h, w\), or in colour"):
            ImageSource(wrong.byte(), "ab", EpisodeConfig(2, 1, 2))
    with pytest.raises(ConfigError, match=r"Got 2 classes of \(4, 5, 5\) in torch.uint8"):
        ImageSource(Ragged(torch.zeros(4, 4, 5, 5).byte(), (2, 2)), "ab", EpisodeConfig(2, 1, 1))
    with pytest.raises(ConfigError, match=r"All samples must have one shape and type. Got "):
        ImageSource([torch.zeros(3, 5, 5).byte(), torch.zeros(3, 6, 6).byte()], "ab", EpisodeConfig(2, 1, 1))
