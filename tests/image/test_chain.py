"""Chain ids, against values computed with coreutils' sha256sum."""

from unionfs.image import Digest, chain_ids

LAYER1 = "sha256:77ea7eee3d80b1a38f83906dd3048e2689457eb90e18a7d12f839c5ae37106a2"
LAYER2 = "sha256:95cf1a2e1698fe3ca1fcc3f653119146b271d0b62e487ec264441e886a11bd06"
LAYER3 = "sha256:a0e70458d19e37e14d6388030a017c587283e2fb6ef10c0744cad0294c47e8f8"
# printf "$LAYER1 $LAYER2" | sha256sum
CHAIN2 = "sha256:9c7a0b8937394482a0afcc4bef0ca0aba0d74084bd9f60198ec7fac434e5436d"
# printf "$CHAIN2 $LAYER3" | sha256sum
CHAIN3 = "sha256:1512378f2edc09c9e21c7511cc1aaf7c6d42d3b6ff301027b8527b8b23c3ce70"


def chain(*diff_ids: str) -> list[str]:
    return [str(chain_id) for chain_id in chain_ids(map(Digest.parse, diff_ids))]


def test_chain_ids_are_those_of_the_known_vector() -> None:
    assert chain(LAYER1, LAYER2, LAYER3) == [LAYER1, CHAIN2, CHAIN3]


def test_images_with_a_common_base_share_its_chain_ids() -> None:
    assert chain(LAYER1, LAYER2, LAYER1)[:2] == chain(LAYER1, LAYER2)


def test_one_layer_twice_has_two_chain_ids() -> None:
    first, second = chain(LAYER1, LAYER1)
    assert first != second


def test_an_image_without_layers_has_no_chain_id() -> None:
    assert chain() == []
