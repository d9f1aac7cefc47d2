"""What a job used, in words: pure functions of its points and of what it was granted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiinfn_hub.contract.runner import ResourcePoint, Resources
from aiinfn_hub.contract.units import bytes_in_words, parse_quantity
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext
from aiinfn_hub.platform.model.projects import Size
from aiinfn_hub.vkd.domain.records import StoredJob

_FULL: Final = 0.95
"""Part of its memory from which on a job was lucky to come through."""
_SPARE: Final = 1.5
"""How much larger than the most that was used a size must be to be recommended."""
_LONG: Final = 60.0
"""Seconds that an attempt must have lasted for its averages to say something."""
_UNITS: Final = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def view(
    stored: StoredJob,
    attempt: int,
    points: Sequence[ResourcePoint],
    sizes: Mapping[str, Size],
    *,
    simulated: bool,
    final: bool,
) -> Resources:
    """Show what an attempt used, with what it was granted as the scale.

    Parameters
    ----------
    sizes
        Those that the person could have chosen.
    """
    granted: Mapping[str, Any] = stored.selection
    size: Mapping[str, Any] = granted["size"]
    device: Mapping[str, Any] = granted.get("accelerator") or {}
    each = device.get("memory")
    shown = Resources(
        attempt=attempt,
        final=final,
        cores=float(size["cores"]),
        memory=parse_quantity(size["memory"]),
        accelerator=stored.accelerator,
        accelerator_title=device.get("title") or "",
        accelerator_memory=parse_quantity(each) * stored.count if each and stored.count else None,
        count=stored.count,
        simulated=simulated,
        points=list(points),
    )
    sentences = _sentences(shown) if points else []
    advice = _advice(shown, granted["size_name"], sizes) if points and final else []
    return shown.model_copy(update={"sentences": sentences, "advice": advice})


def average(points: Sequence[ResourcePoint], name: str) -> float | None:
    """Return the mean of a figure over time; None where it is not told."""
    total = seconds = began = 0.0
    for point in points:
        value = getattr(point, name)
        if value is not None:
            total += value * (point.time - began)
            seconds += point.time - began
        began = point.time
    return total / seconds if seconds > 0 else None


def part(value: float, whole: int) -> str:
    """Write a part of some bytes in the unit of the whole: ``3.1 of 8 GiB``."""
    unit, name = next(((unit, name) for unit, name in _UNITS if whole >= unit), (1, "bytes"))
    return _("{part} of {whole}").format(
        # A small part of it would be nothing in its unit.
        part=bytes_in_words(round(value)) if value < unit / 4 else f"{value / unit:.1f}".removesuffix(".0"),
        whole=f"{whole / unit:.1f}".removesuffix(".0") + f"\N{NO-BREAK SPACE}{name}",
    )


def _sentences(shown: Resources) -> list[str]:
    points = shown.points
    said = [
        _("Peak memory {part}.").format(part=part(_peak(points), shown.memory)),
        _("CPU {used} of {cores} on average.").format(
            used=_used(average(points, "cores") or 0.0), cores=_cores(shown.cores)
        ),
    ]
    if not shown.count:
        return said
    title = shown.accelerator_title
    busy = average(points, "busy")
    used = max((p.accelerator_memory for p in points if p.accelerator_memory is not None), default=None)
    if shown.simulated:
        said.append(_("{title} is simulated here and has no figures.").format(title=title))
    elif busy is None and used is None:
        said.append(_("There are no figures of {title}.").format(title=title))
    else:
        if busy is not None:
            said.append(_("{title} busy {percent} of the time.").format(title=title, percent=f"{busy:.0f} %"))
        if used is not None:
            amount = part(used, shown.accelerator_memory or 2**30 * max(1, -(-used // 2**30)))
            if shown.accelerator_memory:
                said.append(_("Peak memory of {title}: {part}.").format(title=title, part=amount))
            else:
                gib = f"{used / 2**30:.1f}\N{NO-BREAK SPACE}GiB"
                said.append(_("Peak memory of {title}: {part}.").format(title=title, part=gib))
    return said


def _advice(shown: Resources, size_name: str, sizes: Mapping[str, Size]) -> list[str]:
    points = shown.points
    peak, long = _peak(points), points[-1].time >= _LONG
    cores = average(points, "cores") or 0.0
    said = []
    if peak >= _FULL * shown.memory:
        percent = f"{100 * peak / shown.memory:.0f} %"
        said.append(
            _("It reached {percent} of its memory: choose a larger size, or load less at once.").format(
                percent=percent
            )
        )
    elif smaller := _smaller(shown, peak, cores if long else shown.cores, size_name, sizes):
        said.append(
            _("It used at most {part}: a smaller size starts sooner, for example {size}.").format(
                part=part(peak, shown.memory), size=smaller.title
            )
        )
    busy = [point.busy for point in points if point.busy is not None]
    if shown.count and long and busy and max(busy) < 1:
        said.append(
            _("It never used {title}: without an accelerator it starts sooner.").format(
                title=shown.accelerator_title
            )
        )
    return said


def _smaller(
    shown: Resources, peak: int, cores: float, size_name: str, sizes: Mapping[str, Size]
) -> Size | None:
    """Find the smallest size that would have done with room to spare; None if that is not clearly another one."""
    fitting = [
        size
        for name, size in sizes.items()
        if name != size_name
        and 2 * size.memory <= shown.memory
        and size.cores <= shown.cores
        and size.memory >= _SPARE * peak
        and size.cores >= min(cores, shown.cores)
    ]
    return min(fitting, key=lambda size: (size.memory, size.cores), default=None)


def _peak(points: Sequence[ResourcePoint]) -> int:
    return max(point.memory for point in points)


def _used(cores: float) -> str:
    return f"{cores:.1f}" if cores >= 0.1 else f"{cores:.2f}"


def _cores(cores: float) -> str:
    return ngettext("{cores} core", "{cores} cores", 1 if cores == 1 else 2).format(cores=f"{cores:g}")
