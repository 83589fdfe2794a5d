import numpy as np

from tests.siamese_core.training.test_partners import samples


def test_one_copy_is_the_images_themselves() -> None:
    assert samples(1).labels().tolist() == [0, 0, 1, 1, 2]
    assert samples(1).siblings().tolist() == [0, 0, 1]


def test_every_copy_has_classes_and_groups_of_its_own() -> None:
    four = samples(4)
    labels = four.labels()
    assert labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 8, 9, 10, 11]
    siblings = four.siblings()
    assert siblings[0] == siblings[4] != siblings[8]  # Greek/a and Greek/b upright, Latin/a
    assert siblings[0] != siblings[1]  # another turn
    assert four.of_each(np.array([[1, 2]])).tolist() == [[[4, 5, 6, 7], [8, 9, 10, 11]]]
