"""Platform files on top of each other: how they merge, and where what is wrong is told to be."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiinfn_hub.platform.loading import overlay
from aiinfn_hub.platform.loading.loader import PlatformError, examine, load

BASE = """\
title: Base
images:
  base: {title: Base, reference: "base:1"}
  torch: {title: Torch, reference: "torch:1"}
sizes:
  s: {title: S, cores: 1, memory: 1Gi}
projects:
  alpha:
    title: Alpha
    groups: [a/x]
    images: [base, torch]
limits:
  session_max: 12h
"""
SITE = """\
extends: [base.yaml]
title: Site
accelerators:
  t4: {title: T4, kind: gpu, resource: nvidia.com/gpu}
"""


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Any]:
    def write(**texts: Any) -> Any:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        return tmp_path

    write(base=BASE, site=SITE)
    return write


def problems(path: Any) -> list[tuple[Any, Any, Any, Any]]:
    examined = examine(path)
    assert examined.platform is None
    return [(each.path.name, each.line, each.key, each.message) for each in examined.problems]


def test_mappings_merge_by_key_and_new_keys_come_last(files: Callable[..., Any]) -> None:
    folder = files(
        event="extends: [site.yaml]\n"
        "projects:\n  beta: {title: Beta, groups: [b/x]}\n  alpha: {title: First}\n"
        "limits: {session_default: 2h}\n"
    )
    platform = load(folder / "event.yaml")
    assert platform.title == "Site"
    assert list(platform.projects) == ["alpha", "beta"]
    assert platform.projects["alpha"].title == "First"
    assert platform.projects["alpha"].groups == ("a/x",)
    assert platform.limits.session_max.total_seconds() == 12 * 3600
    assert platform.limits.session_default.total_seconds() == 2 * 3600
    assert [each.name for each in examine(folder / "event.yaml").files] == [
        "base.yaml",
        "site.yaml",
        "event.yaml",
    ]


def test_lists_and_single_values_replace(files: Callable[..., Any]) -> None:
    folder = files(event="extends: [base.yaml]\nprojects: {alpha: {images: [torch], groups: [z/z]}}\n")
    alpha = load(folder / "event.yaml").projects["alpha"]
    assert (alpha.images, alpha.groups) == (("torch",), ("z/z",))


def test_null_removes_a_key_with_all_in_it(files: Callable[..., Any]) -> None:
    folder = files(
        event="extends: [site.yaml]\nimages: {torch: null}\nprojects: {alpha: {images: ~}}\naccelerators:\n"
    )
    platform = load(folder / "event.yaml")
    assert list(platform.images) == ["base"]
    assert platform.projects["alpha"].images is None
    assert platform.accelerators == {}


def test_null_in_a_file_that_extends_nothing_is_a_plain_value(files: Callable[..., Any]) -> None:
    assert (
        load(files(base=BASE + "queues: {q: {title: Q, max_time: null}}\n") / "base.yaml")
        .queues["q"]
        .max_time
        is None
    )


def test_several_files_are_merged_in_their_order(files: Callable[..., Any]) -> None:
    folder = files(
        one="title: One\nlimits: {grace: 1s}\n",
        two="title: Two\nuse_real_devices: false\n",
        event="extends: [base.yaml, one.yaml, two.yaml]\n",
    )
    platform = load(folder / "event.yaml")
    assert (platform.title, platform.use_real_devices) == ("Two", False)
    assert platform.limits.grace.total_seconds() == 1


def test_paths_are_relative_to_the_file_that_names_them(files: Callable[..., Any]) -> None:
    folder = files(
        sites__far__cnaf="extends: [../../site.yaml]\n", sites__event="extends: [far/cnaf.yaml]\ntitle: E\n"
    )
    assert load(folder / "sites/event.yaml").title == "E"


def test_a_file_may_be_below_two_others(files: Callable[..., Any]) -> None:
    folder = files(
        left=SITE, right="extends: [base.yaml]\ntitle: Right\n", top="extends: [left.yaml, right.yaml]\n"
    )
    assert load(folder / "top.yaml").title == "Right"


def test_what_an_alias_names_twice_is_changed_in_one_place(files: Callable[..., Any]) -> None:
    folder = files(
        base=BASE.replace("  s: {", "  s: &s {") + "queues: {}\n",
        site="extends: [base.yaml, more.yaml]\nsizes: {m: {cores: 2}}\n",
        more="sizes:\n  m: &m {title: M, cores: 1, memory: 1Gi}\n  l: *m\n",
    )
    sizes = load(folder / "site.yaml").sizes
    assert (sizes["m"].cores, sizes["l"].cores) == (2, 1)


@pytest.mark.parametrize(
    ("event", "where"),
    [
        # in the overlay
        ("extends: [site.yaml]\nprojects:\n  alpha: {titel: X}\n", ("event.yaml", 3, "projects.alpha.titel", "is title meant?")),
        ("extends: [site.yaml]\naccelerators:\n  t4:\n    kind: gup\n", ("event.yaml", 4, "accelerators.t4.kind", "is gpu meant?")),
        ("extends: [site.yaml]\naccelerators:\n  a100: {title: A100}\n", ("event.yaml", 3, "accelerators.a100.kind", "missing")),
        ("extends: [site.yaml]\nextnds: 1\n", ("event.yaml", 2, "extnds", "is extends meant?")),
        # in a file below, which an overlay broke
        ("extends: [site.yaml]\nimages: {torch: null}\n", ("base.yaml", 11, "projects.alpha.images.1", "there is no torch under images")),
        # what an overlay replaced is told of the overlay
        ("extends: [site.yaml]\nprojects:\n  alpha:\n    images: [base, tortch]\n", ("event.yaml", 4, "projects.alpha.images.1", "is torch meant?")),
        # what an overlay removed although it is required
        ("extends: [site.yaml]\nprojects:\n  alpha:\n    title: null\n", ("event.yaml", 4, "projects.alpha.title", "missing")),
        ("extends: [site.yaml]\nsizes: null\n", ("event.yaml", 2, "sizes", "missing")),
        ("extends: [site.yaml]\nprojects: {alpah: null}\n", ("event.yaml", 2, "projects.alpah", "but there is none; is alpha meant?")),
        # what is extended
        ("extends: [sight.yaml]\n", ("event.yaml", 1, "extends.0", "there is no such file")),
        ("title: T\nextends:\n  - site.yaml\n  - gone/x.yaml\n", ("event.yaml", 4, "extends.1", "there is no such file")),
        ("extends: site.yaml\n", ("event.yaml", 1, "extends", "a list of files")),
        ("extends: [1]\n", ("event.yaml", 1, "extends", "a list of files")),
        ("extends: null\n", ("event.yaml", 1, "extends", "a list of files")),
        ("extends: [event.yaml]\n", ("event.yaml", 1, "extends.0", "in a circle: event.yaml -> event.yaml")),
        ("extends: [loop.yaml]\n", ("loop.yaml", 1, "extends.0", "circle: event.yaml -> loop.yaml -> event.yaml")),
        ("extends: [./loop.yaml]\n", ("loop.yaml", 1, "extends.0", "circle")),
        ("extends: [broken.yaml]\n", ("broken.yaml", 2, "", "indentation")),
        ("extends: [empty.yaml]\n", ("empty.yaml", None, "", "empty")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_of_the_file_where_it_stands(
    files: Callable[..., Any], event: str, where: tuple[Any, ...]
) -> None:
    folder = files(
        event=event, loop="extends: [event.yaml]\n", broken="images:\n\ta: 1\n", empty="# nothing\n"
    )
    found = problems(folder / "event.yaml")
    name, line, key, says = where
    assert any(each[:3] == (name, line, key) and says in each[3] for each in found), found
    with pytest.raises(PlatformError):
        load(folder / "event.yaml")


def test_everything_that_is_wrong_is_found_in_all_files_at_once(files: Callable[..., Any]) -> None:
    folder = files(
        site=SITE + "queues:\n  q: {title: Q, projects: [alpa]}\n",
        event="extends: [site.yaml]\nlimits: {session_max: 1x, gracce: 3s}\nprojects:\n  beta: {title: B, groups: [a//b]}\n"
        "grants:\n  g: {project: gamma, people: [x], until: 2026-13-01}\n",
    )
    assert [each[:3] for each in problems(folder / "event.yaml")] == [
        ("site.yaml", 6, "queues.q.projects.0"),
        ("event.yaml", 2, "limits.session_max"),
        ("event.yaml", 2, "limits.gracce"),
        ("event.yaml", 4, "projects.beta.groups.0"),
        ("event.yaml", 6, "grants.g.until"),
        ("event.yaml", 6, "grants.g.project"),
    ]


@pytest.mark.parametrize(
    "text",
    ["a: &a\n  b: *a\n", "a: &a [*a]\n", "[" * 200 + "]" * 200, "{a: " * 60 + "1" + "}" * 60, "? [a]\n: 1\n", "a: !!int x\n",
     "a: !!timestamp 2026-02-30\n", "a: !!python/object:os.system {}\n", "a: 2026-02-30\n", "1: 2\n", "~: 1\n", "true: 1\n"],
)  # fmt: skip
def test_odd_files_are_refused_in_words(files: Callable[..., Any], text: str) -> None:
    folder = files(odd=text, event="extends: [odd.yaml]\ntitle: T\n")
    for name in ("odd.yaml", "event.yaml"):
        for each in examine(folder / name).problems:
            assert "Traceback" not in str(each)
            assert str(each).startswith(str(folder))
        assert examine(folder / name).platform is None


def test_a_file_that_grows_by_aliases_is_refused(files: Callable[..., Any]) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    found = problems(files(bomb=bomb) / "bomb.yaml")
    assert "nested too deeply, or refers to itself" in found[0][3]


trees = st.recursive(
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)
overlays = st.recursive(
    st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: isinstance(value, dict))


def merged(under: Any, over: Any) -> dict[str, Any]:
    """The rules in five lines."""
    result = dict(under)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(under.get(key), dict):
            result[key] = merged(under[key], value)
        else:
            result[key] = value
    return result


@given(mappings.filter(bool), overlays)
def test_merging_follows_its_rules(tmp_path_factory: pytest.TempPathFactory, under: Any, over: Any) -> None:
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "under.yaml").write_text(yaml.safe_dump(under))
    (folder / "over.yaml").write_text(yaml.safe_dump({"extends": ["under.yaml"], **over}))
    layers = overlay.read(folder / "over.yaml")
    assert layers.data == merged(under, over)
    keys = {key for key in layers.places if key[-1:] and _reach(layers.data, key)}
    assert keys == set(_all_keys(layers.data, ()))


def _all_keys(value: Any, at: tuple[Any, ...]) -> Iterator[tuple[Any, Any] | None]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*at, key)
        yield from _all_keys(each, (*at, key))


def _reach(value: Any, key: Any) -> bool:
    for part in key:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


EXAMPLES = Path(__file__).parents[2] / "examples/platforms"


@pytest.mark.parametrize("name", ["base", "cnaf", "recas", "hackathon"])
def test_the_examples_load(name: str) -> None:
    assert examine(EXAMPLES / f"{name}.yaml").problems == []
