"""Indexes, and the choice of one image from possibly nested ones."""

from collections import Counter

import pytest

from tests.image.documents import Fields, descriptor, encoded, index, manifest, platform
from unionfs.image import Descriptor, ImageError, Index, Limits, Platform, resolve
from unionfs.image import media_type as types
from unionfs.image.strict_json import Fields as JsonFields

AMD64 = Platform("linux", "amd64")


class Documents:
    """Blobs by digest; counts how often each is read."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.reads: Counter[str] = Counter()

    def image(self, name: str, of: Fields | None = None, media_type: str = types.OCI_MANIFEST) -> Fields:
        return self._add(encoded(manifest(name.encode(), [])), media_type, of)

    def nested(self, entries: list[Fields], of: Fields | None = None, **more: object) -> Fields:
        document = index(entries, **more)
        return self._add(encoded(document), document["mediaType"] or types.OCI_INDEX, of)

    def _add(self, content: bytes, media_type: str, of: Fields | None) -> Fields:
        found = descriptor(content, media_type)
        self.blobs[found["digest"]] = content
        return found if of is None else {**found, "platform": of}

    def read(self, wanted: Descriptor) -> bytes:
        self.reads[str(wanted.digest)] += 1
        return self.blobs[str(wanted.digest)]

    def resolve(self, root: Fields, wanted: Platform = AMD64, limits: Limits | None = None) -> str:
        found = resolve(Descriptor.read(JsonFields(root, "root")), self.read, wanted, limits or Limits())
        return str(found.digest)

    def refusal(self, root: Fields, wanted: Platform = AMD64) -> str:
        with pytest.raises(ImageError) as error:
            self.resolve(root, wanted)
        return str(error.value)


@pytest.fixture
def documents() -> Documents:
    return Documents()


def test_a_manifest_is_taken_without_reading_anything(documents: Documents) -> None:
    image = documents.image("a", platform("windows/arm64"))
    assert documents.resolve(image) == image["digest"]
    assert not documents.reads


def test_the_entry_of_the_platform_is_chosen(documents: Documents) -> None:
    arm = documents.image("arm", platform("linux/arm64/v8"))
    amd = documents.image("amd", platform("linux/amd64"))
    other = documents.image("other", platform("linux/amd64"))
    root = documents.nested([arm, amd, other])
    assert documents.resolve(root) == amd["digest"]
    assert documents.resolve(root, Platform.parse("linux/arm64")) == arm["digest"]


def test_a_docker_manifest_list_is_an_index(documents: Documents) -> None:
    image = documents.image("a", platform("linux/amd64"), types.DOCKER_MANIFEST)
    root = documents.nested([image], mediaType=types.DOCKER_INDEX)
    assert documents.resolve(root) == image["digest"]


def test_no_match_says_for_what(documents: Documents) -> None:
    root = documents.nested([documents.image("arm", platform("linux/arm64"))])
    assert documents.refusal(root) == ('no image found in image index for architecture "amd64", variant "", OS "linux"')


@pytest.mark.parametrize("levels", [1, 2, 5, 15])
def test_an_image_is_found_in_nested_indexes(documents: Documents, levels: int) -> None:
    image = documents.image("a", platform("linux/amd64"))
    root = image
    for _ in range(levels):
        root = documents.nested([documents.image("wrong", platform("linux/s390x")), root])
    assert documents.resolve(root) == image["digest"]


def test_a_nested_index_hands_its_platform_down(documents: Documents) -> None:
    arm = documents.nested([documents.image("arm")], platform("linux/arm64"))
    amd = documents.image("amd")
    root = documents.nested([arm, documents.nested([amd], platform("linux/amd64"))])
    assert documents.resolve(root) == amd["digest"]
    assert documents.reads[arm["digest"]] == 0


def test_a_platform_handed_down_counts_in_the_choice(documents: Documents) -> None:
    older = documents.nested([documents.image("v6")], platform("linux/arm/v6"))
    exact = documents.image("v7")
    root = documents.nested([older, documents.nested([exact], platform("linux/arm/v7"))])
    assert documents.resolve(root, Platform.parse("linux/arm/v7")) == exact["digest"]


def test_the_best_match_counts_over_all_levels(documents: Documents) -> None:
    older = documents.image("v6", platform("linux/arm/v6"))
    exact = documents.image("v7", platform("linux/arm/v7"))
    root = documents.nested([older, documents.nested([exact])])
    assert documents.resolve(root, Platform.parse("linux/arm/v7")) == exact["digest"]


def test_attestations_and_unknown_types_are_passed_over(documents: Documents) -> None:
    image = documents.image("a", platform("linux/amd64"))
    attestation = documents.image("proof", platform("unknown/unknown"))
    unknown = descriptor(b"?", "application/vnd.example.thing", platform=platform("linux/amd64"))
    assert documents.resolve(documents.nested([attestation, unknown, image])) == image["digest"]
    assert "no image found" in documents.refusal(documents.nested([attestation, unknown]))


def test_an_entry_without_a_platform_is_passed_over_beside_one_with(documents: Documents) -> None:
    unstated = documents.image("unstated")
    image = documents.image("a", platform("linux/amd64"))
    assert documents.resolve(documents.nested([unstated, image])) == image["digest"]
    arm = documents.image("arm", platform("linux/arm64"))
    assert "no image found" in documents.refusal(documents.nested([unstated, arm]))


def test_the_only_image_is_taken_where_no_platform_is_stated(documents: Documents) -> None:
    image = documents.image("a")
    assert documents.resolve(documents.nested([image])) == image["digest"]
    assert documents.resolve(documents.nested([documents.nested([image]), image])) == image["digest"]
    assert "no image found" in documents.refusal(documents.nested([image, documents.image("b")]))


def test_deep_nesting_is_refused_at_the_limit(documents: Documents) -> None:
    root = documents.image("a", platform("linux/amd64"))
    for _ in range(1000):
        root = documents.nested([root])
    with pytest.raises(ImageError, match="nested deeper than the limit of 16") as error:
        documents.resolve(root)
    assert error.value.limit == "index_depth"
    assert documents.reads.total() == 16
    with pytest.raises(ImageError, match="deeper than the limit of 3"):
        documents.resolve(root, AMD64, Limits(index_depth=3))


def test_an_index_listed_many_times_is_read_once(documents: Documents) -> None:
    image = documents.image("a", platform("linux/amd64"))
    inner = documents.nested([image])
    root = documents.nested([inner] * 10_000)
    assert documents.resolve(root) == image["digest"]
    assert documents.reads[inner["digest"]] == 1


def test_the_number_of_indexes_is_limited(documents: Documents) -> None:
    root = documents.nested([documents.nested([], annotations={"n": str(n)}) for n in range(50)])
    with pytest.raises(ImageError, match="more nested indexes than the limit of 20") as error:
        documents.resolve(root, AMD64, Limits(indexes=20))
    assert error.value.limit == "indexes"
    assert documents.reads.total() == 20


@pytest.mark.parametrize(
    ("media_type", "reason"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1 is not supported"),
        ("application/vnd.oci.image.config.v1+json", "is not the media type of an image"),
    ],
)
def test_a_root_that_is_no_image_is_refused(documents: Documents, media_type: str, reason: str) -> None:
    assert reason in documents.refusal(descriptor(b"{}", media_type))


def test_reading_an_index_keeps_entries_of_unknown_types() -> None:
    entries = [descriptor(b"?", "application/vnd.example.thing"), descriptor(b"m", types.OCI_MANIFEST)]
    found = Index.read(encoded(index(entries, annotations={"k": "v"})))
    assert [entry.media_type for entry in found.manifests] == [entry["mediaType"] for entry in entries]
    assert found.annotations == {"k": "v"}


@pytest.mark.parametrize("media_type", [None, types.OCI_INDEX, types.DOCKER_INDEX])
def test_the_media_type_of_an_index_is_optional(media_type: str | None) -> None:
    found = Index.read(encoded(index([], mediaType=media_type)))
    assert found.media_type == (media_type or types.OCI_INDEX)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mediaType": types.OCI_MANIFEST}, "is not that of an index"),
        ({"mediaType": "text/plain"}, "is not that of an index"),
        ({"schemaVersion": None}, "must have schemaVersion 2"),
        ({"schemaVersion": 1}, "schema 1 is not supported"),
        ({"manifests": {}}, '"manifests" must be a list'),
        ({"manifests": [{"size": 1}]}, '"manifests" 0 has no "mediaType"'),
        ({"layers": []}, "ambiguous"),
        ({"config": {}}, "ambiguous"),
        ({"manifests": None, "layers": []}, "is the manifest of one image"),
    ],
)
def test_what_is_no_index_is_refused(changes: Fields, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        Index.read(encoded({**index([]), **changes}))
    assert reason in str(error.value)


def test_an_index_that_came_as_something_else_is_refused() -> None:
    with pytest.raises(ImageError, match="but came as"):
        Index.read(encoded(index([])), types.DOCKER_INDEX)


def test_an_index_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(ImageError, match="exceeded maximum allowed size") as error:
        Index.read(b" " * (4 * 1024 * 1024 + 1))
    assert error.value.limit == "manifest"
