"""The command lines that callers of fuse-overlayfs use, word by word."""

import pytest

from unionfs.mount.errors import OptionError
from unionfs.mount.options import RedirectDir
from unionfs.mount.overlay_options import CommandLine, parse_command_line


def parsed(*words: str, is_root: bool = True) -> CommandLine:
    return parse_command_line(words, is_root=is_root)


def test_a_writable_mount_of_podman() -> None:
    options = 'lowerdir=l/A:l/B/../diff1,upperdir=/s/diff,workdir=/s/work,volatile,context="system_u:c1,c2"'
    asked = parsed("-o", options, "/s/merged")
    assert asked.mountpoint == b"/s/merged"
    assert asked.options.lowers == (b"l/A", b"l/B/../diff1")
    assert (asked.options.upper, asked.options.work) == (b"/s/diff", b"/s/work")
    assert asked.options.volatile
    assert asked.options.labels == (("context", "system_u:c1,c2"),)
    assert asked.ignored == []
    assert not asked.foreground


def test_a_read_only_mount_of_podman() -> None:
    asked = parsed("-o", "lowerdir=/s/diff:l/A", "/s/merged")
    assert asked.options.lowers == (b"/s/diff", b"l/A")
    assert not asked.options.writable


def test_a_volume_of_buildah_with_a_colon_in_its_path() -> None:
    asked = parsed("-o", r"lowerdir=/src\:1,upperdir=/u,workdir=/w,private", "/merge")
    assert asked.options.lowers == (b"/src:1",)
    assert asked.ignored == ["private"]


def test_a_mount_of_containerd_through_mount_fuse3() -> None:
    asked = parsed("overlay", "/target", "-o", "workdir=/w,upperdir=/u,lowerdir=/a:/b,dev,suid")
    assert (asked.mountpoint, asked.options.fsname) == (b"/target", b"overlay")
    assert (asked.options.suid, asked.options.dev) == (True, True)


def test_a_mount_of_mount_8() -> None:
    asked = parsed("none", "/mnt", "-o", "rw,noatime,lowerdir=/a,x-systemd.automount,nofail")
    assert (asked.mountpoint, asked.options.fsname, asked.ignored) == (b"/mnt", b"none", [])


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "lowerdir=/a", "-o", "ro", "/m"],
        ["-olowerdir=/a", "-oro", "/m"],
        ["/m", "-o", "lowerdir=/a,ro"],
        ["-o", "lowerdir=/a,ro", "--", "/m"],
        ["-s", "-o", "lowerdir=/a,ro,threaded=0,clone_fd", "/m"],
    ],
)
def test_options_may_be_repeated_joined_and_stand_anywhere(words: list[str]) -> None:
    asked = parsed(*words)
    assert (asked.options.lowers, asked.options.read_only, asked.mountpoint) == ((b"/a",), True, b"/m")
    assert asked.ignored == []


def test_root_mounts_with_set_id_programs_and_devices_unless_told_otherwise() -> None:
    assert [parsed("-o", "lowerdir=/a", "/m").options.suid, parsed("-o", "lowerdir=/a", "/m").options.dev] == [True] * 2
    without = parsed("-o", "lowerdir=/a,nosuid,nodev,noexec", "/m").options
    assert (without.suid, without.dev, without.exec_) == (False, False, False)


def test_others_never_mount_with_set_id_programs_or_devices() -> None:
    options = parsed("-o", "lowerdir=/a,suid,dev", "/m", is_root=False).options
    assert (options.suid, options.dev) == (False, False)


def test_redirects_and_metadata_only_files_are_off_unless_asked_for() -> None:
    def choices(more: str) -> tuple[RedirectDir | None, bool | None]:
        options = parsed("-o", f"lowerdir=/a,upperdir=/u,workdir=/w{more}", "/m").options
        return options.redirect_dir, options.metacopy

    assert choices("") == (RedirectDir.OFF, False)
    assert choices(",redirect_dir=on") == (RedirectDir.ON, False)
    assert choices(",metacopy=on") == (RedirectDir.ON, True)
    assert choices(",redirect_dir=nofollow") == (RedirectDir.NOFOLLOW, False)
    with pytest.raises(OptionError, match="metacopy=on,redirect_dir=off"):
        choices(",metacopy=on,redirect_dir=off")


@pytest.mark.parametrize(
    ("option", "is_volatile"),
    [("volatile", True), ("fsync=0", True), ("sync=0", True), ("fsync=1", False), ("sync=1", False), ("sync", False)],
)
def test_what_is_not_synced_is_volatile(option: str, *, is_volatile: bool) -> None:
    assert parsed("-o", f"lowerdir=/a,{option}", "/m").options.volatile == is_volatile


def test_a_workdir_without_an_upper_is_of_no_use_and_does_no_harm() -> None:
    assert parsed("-o", "lowerdir=/a,workdir=/w", "/m").options.work is None


@pytest.mark.parametrize(
    "option",
    ["index=on", "nfs_export=on", "uuid=on", "verity=require", "datadir+=/d", "lowerdir+=/b", "plugins=/x.so"],
)
def test_what_would_show_other_data_is_refused_by_name(option: str) -> None:
    with pytest.raises(OptionError, match=option.split("=", maxsplit=1)[0].replace("+", r"\+")):
        parsed("-o", f"lowerdir=/a,{option}", "/m")


@pytest.mark.parametrize("option", ["index=off", "nfs_export=off", "verity=off", "plugins=", "lowerdir+=", "xino=auto"])
def test_what_is_so_anyway_is_accepted(option: str) -> None:
    assert parsed("-o", f"lowerdir=/a,{option}", "/m").ignored == []


@pytest.mark.parametrize(
    "option",
    [
        "redirect_dir=maybe", "metacopy=1", "xino=1", "uidmapping=0:1", "gidmapping=0:1:x", "squash_to_uid=-1",
        "squash_to_gid=", "timeout=never", "timeout=-1", "xattr_permissions=3", "fsync=x", "upperdir=",
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused_by_name(option: str) -> None:
    with pytest.raises(OptionError, match=option.split("=", maxsplit=1)[0]):
        parsed("-o", f"lowerdir=/a,{option}", "/m")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-o", "lowerdir=/a"], "no mountpoint"),
        (["/m"], "nothing to mount"),
        (["-o", "lowerdir=/a", "a", "b", "c"], "a, b, c"),
        (["/m", "-o"], "-o needs"),
        (["-o", "lowerdir=/a,upperdir=/u", "/m"], "workdir"),
    ],
)
def test_what_is_missing_is_said(words: list[str], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parsed(*words)


def test_a_list_of_lowers_longer_than_a_page_is_taken() -> None:
    lowers = [f"l/{'X' * 26}{number}" for number in range(300)]
    asked = parsed("-o", "lowerdir=" + ":".join(lowers), "/m")
    assert [lower.decode() for lower in asked.options.lowers] == lowers


def test_unknown_words_and_options_are_reported() -> None:
    asked = parsed("-x", "--what", "-o", "lowerdir=/a,unheard,of=it", "/m")
    assert asked.ignored == ["-x", "--what", "unheard", "of=it"]


def test_debugging_stays_in_the_foreground() -> None:
    for words in (["-d"], ["--debug"], ["-o", "debug"]):
        asked = parsed(*words, "-o", "lowerdir=/a", "/m")
        assert (asked.foreground, asked.debug) == (True, True)
    assert parsed("-f", "-o", "lowerdir=/a", "/m").foreground


def test_gathering_writes_is_left_open_unless_asked_for() -> None:
    asked = [parsed("-o", f"lowerdir=/a{more}", "/m").writeback for more in ("", ",writeback=0", ",writeback=1")]
    assert asked == [None, False, True]


def test_ids_are_mapped_as_containers_storage_writes_it() -> None:
    ids = parsed("-o", "lowerdir=/a,uidmapping=:0:1000:1:1:100000:65536,gidmapping=0:10:1", "/m").options.ids
    assert [ids.users.owner(number) for number in (0, 1, 65536)] == [1000, 100000, 165535]
    assert (ids.groups.owner(0), ids.users.on_disk(1000)) == (10, 0)


def test_ids_are_squashed_to_one() -> None:
    ids = parsed("-o", "lowerdir=/a,squash_to_root,squash_to_gid=7", "/m").options.ids
    assert (ids.users.owner(5), ids.groups.owner(5)) == (0, 7)


@pytest.mark.parametrize("option", ["uidmapping=0:0:0", "gidmapping=0:4294967295:1", "squash_to_uid=4294967295"])
def test_a_range_of_ids_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(OptionError):
        parsed("-o", f"lowerdir=/a,{option}", "/m")
