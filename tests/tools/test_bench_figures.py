"""What the benchmark works out from its samples, and how it shows that."""

import json
import re
from pathlib import Path
from xml.parsers import expat

import pytest

from tools.bench import publish
from tools.bench.arm import Sample
from tools.bench.candidates import all_candidates
from tools.bench.chart import as_svg
from tools.bench.figures import compared, geometric_means, processor_ratio, row
from tools.bench.measure import Outcome
from tools.bench.report import as_text
from tools.bench.result import Result, from_document, merged, to_document
from tools.bench.workload import Group


def outcome(*seconds: float, peak_memory: int = 0) -> Outcome:
    return Outcome([Sample(second, 0.5, 0.25) for second in seconds], peak_memory=peak_memory)


@pytest.fixture
def result() -> Result:
    rows = [
        row(
            "near", Group.WRITING, {"overlayfs": outcome(1, 1, 1), "other": outcome(4, 8, 9), "mine": outcome(2, 3, 2)}
        ),
        row("far", Group.WRITING, {"overlayfs": outcome(1, 2, 9), "other": outcome(4, 4), "mine": outcome(16)}),
        row("lame", Group.COLD, {"overlayfs": outcome(2), "other": Outcome(failure="EIO"), "mine": outcome(1)}),
    ]
    run: dict[str, str | int] = {"date": "today", "kernel": "6.1", "processor": "fast", "processors": 2}
    run |= {"memory_mib": 9, "load_average": "0.1", "commit": "abc", "sizes": "full", "repetitions": 3}
    versions = {"overlayfs": "Linux 6.1", "other": "other <1>", "mine": "unionfs 2"}
    return Result([run], rows, versions, {"absent": "isn't there"}, {"sqlite": "no time"})


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_quartiles(result: Result) -> None:
    other = result.rows[0].figures["other"]
    assert (other.median, other.quartiles) == (8, (6, 8.5))
    assert (other.ratio, other.ratio_quartiles) == (8, (6, 8.5))
    assert result.rows[1].figures["other"].ratio == 2


def test_a_geometric_mean_counts_what_was_measured(result: Result) -> None:
    means = geometric_means(result.rows, ["other", "mine"])
    assert means == {
        Group.COLD: {"mine": (0.5, 1)},
        Group.WRITING: {"other": (pytest.approx(4), 2), "mine": (pytest.approx(4), 2)},
    }


def test_processor_time_is_that_of_workload_and_daemon() -> None:
    busy = Outcome([Sample(1, 1.5, 3.0)])
    assert processor_ratio(row("near", Group.COLD, {"overlayfs": outcome(1), "mine": busy}), "mine") == 6
    assert processor_ratio(row("near", Group.COLD, {"mine": busy}), "mine") is None


def test_slower_is_where_the_quartiles_lie_wholly_above(result: Result) -> None:
    found = compared(result.rows, "mine", "other")
    assert found
    mean, slower = found
    assert mean == pytest.approx(1)
    assert slower == ["far"]
    assert compared(result.rows, "mine", "absent") is None


def test_there_are_no_ratios_where_overlayfs_failed() -> None:
    found = row("sqlite", Group.WRITING, {"overlayfs": Outcome(failure="EIO"), "mine": outcome(1)})
    assert found.figures["mine"].ratio is None
    assert geometric_means([found], ["mine"]) == {}


def test_the_text_names_whatever_was_not_measured(result: Result) -> None:
    text = as_text(result)
    assert "- absent: **not measured**: isn't there" in text
    assert "- sqlite: **not measured**: no time" in text
    assert "- lame: other **failed**: EIO" in text
    assert "8.00 (6.00 to 8.50)" in text
    assert "mine is 1.00 times as fast as other by geometric mean; slower in 1: far" in text


def test_a_result_is_the_same_after_it_was_written_and_read(result: Result) -> None:
    again = from_document(json.loads(json.dumps(to_document(result))))
    assert as_text(again) == as_text(result)
    assert as_svg(again) == as_svg(result)


def test_of_several_runs_the_last_counts(result: Result) -> None:
    again = row("far", Group.WRITING, {"overlayfs": outcome(1), "absent": outcome(3)})
    sqlite = row("sqlite", Group.WRITING, {"overlayfs": outcome(1)})
    later = Result(result.runs, [sqlite, again], {"absent": "here"}, {}, {"lame": "no time"})
    both = merged([result, later])
    assert len(both.runs) == 2
    assert [row.workload for row in both.rows] == ["near", "far", "lame", "sqlite"]
    assert both.rows[1] is again
    assert set(both.versions) == {"overlayfs", "other", "mine", "absent"}
    assert both.unavailable == both.left_out == {}
    text = as_text(both)
    assert "| failed " in text
    assert "| not measured " in text


def test_the_chart_has_a_mark_for_each_median_and_mean(result: Result) -> None:
    chart = as_svg(result)
    expat.ParserCreate().Parse(chart, True)  # noqa: FBT003 - expat takes its arguments by place: this is the end
    titles = re.findall("<title>(.*?)</title>", chart)
    assert titles == [
        "lame, mine: 0.50",
        "near, other: 8.00",
        "near, mine: 2.00",
        "far, other: 2.00",
        "far, mine: 8.00",
    ]
    assert chart.count("<path ") == 3


def test_publishing_replaces_what_stands_between_the_marks(result: Result, tmp_path: Path) -> None:
    document, figures = tmp_path / "performance.md", tmp_path / "figures.json"
    document.write_text(f"before\n{publish.BEGIN}\nreplaced\n{publish.END}after\n")
    figures.write_text(json.dumps(to_document(result)))
    for _ in range(2):
        assert publish.main([str(figures)], document) == 0
        text = document.read_text()
        assert text.startswith(f"before\n{publish.BEGIN}\n![")
        assert text.endswith(f"\n{publish.END}after\n")
        assert "replaced" not in text
        assert text.count("time, geometric means") == 1
        assert "- untar: **not measured**: by none of these runs" in text
    assert (tmp_path / "performance.svg").read_text() == as_svg(result)


@pytest.mark.parametrize("variant", ["no colon", "overlayfs:--transport kernel", ":-o volatile"])
def test_a_variant_needs_a_name_of_its_own(variant: str) -> None:
    with pytest.raises(ValueError, match="a variant is a new name"):
        all_candidates({}, [variant])
