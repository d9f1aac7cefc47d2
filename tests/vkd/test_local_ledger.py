"""The ledger never gives one device to two holders, whatever happens in whatever order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aiinfn_hub.vkd.backends.local.ledger import DeviceTakenError, HolderKind, Host, Ledger

NAMES = ["t4", "slice"]
DEVICES = {name: [f"{name}-{index}" for index in range(4)] for name in NAMES}
HOLDERS = [f"h{index}" for index in range(6)]


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.model: dict[str, set[str]] = {}

    @rule(
        stock=st.fixed_dictionaries({name: st.lists(st.sampled_from(DEVICES[name])) for name in NAMES}),
        offline=st.sets(st.sampled_from([device for devices in DEVICES.values() for device in devices])),
    )
    def stock(self, stock: dict[str, Any], offline: list[str]) -> None:
        self.ledger.stock(stock, offline)

    @rule(
        holder=st.sampled_from(HOLDERS),
        kind=st.sampled_from(HolderKind),
        name=st.sampled_from(NAMES),
        count=st.integers(-1, 5),
    )
    def hold(self, holder: Any, kind: Any, name: str, count: int) -> None:
        free = self.ledger.free(name)
        got = self.ledger.hold(holder, kind, name, count)
        if holder in self.model:
            assert set(got) == self.model[holder]  # type: ignore[arg-type]
        elif 1 <= count <= len(free):
            assert got == tuple(free[:count])
            self.model[holder] = set(got)
        else:
            assert got is None

    @rule(holder=st.sampled_from(HOLDERS), name=st.sampled_from(NAMES), data=st.data())
    def adopt(self, holder: Any, name: str, data: Any) -> None:
        devices = data.draw(st.lists(st.sampled_from(DEVICES[name]), unique=True))
        others = set().union(*(held for other, held in self.model.items() if other != holder))
        if others & set(devices):
            with pytest.raises(DeviceTakenError):
                self.ledger.adopt(holder, HolderKind.BATCH, name, devices)
        else:
            self.ledger.adopt(holder, HolderKind.BATCH, name, devices)
            self.model.pop(holder, None)
            if devices:
                self.model[holder] = set(devices)

    @rule(holder=st.sampled_from(HOLDERS))
    def release(self, holder: Any) -> None:
        assert set(self.ledger.release(holder)) == self.model.pop(holder, set())
        assert self.ledger.release(holder) == ()

    @invariant()
    def nobody_shares_and_the_sum_is_right(self) -> None:
        held = [device for holder in HOLDERS if (h := self.ledger.holding(holder)) for device in h.devices]
        assert len(held) == len(set(held))
        assert set(held) == set().union(*self.model.values())
        for name in NAMES:
            counts = self.ledger.counts(name)
            assert counts.total == counts.free + counts.sessions + counts.batch + counts.offline
            assert min(counts.free, counts.sessions, counts.batch, counts.offline) >= 0
            assert not set(self.ledger.free(name)) & set(held)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)


def test_an_offline_device_counts_as_offline_even_in_somebodys_hand() -> None:
    ledger = Ledger()
    ledger.stock({"t4": ["a", "b"]})
    assert ledger.hold("job", HolderKind.BATCH, "t4", 1) == ("a",)
    ledger.stock({"t4": ["a", "b"]}, offline=["a"])
    assert [holding.holder for holding in ledger.stranded()] == ["job"]
    counts = ledger.counts("t4")
    assert (counts.free, counts.batch, counts.offline, counts.total) == (1, 0, 1, 2)
    ledger.release("job")
    assert ledger.free("t4") == ["b"]
    assert ledger.capacity("t4") == 2
    ledger.stock({"t4": ["a", "b"]}, offline=["a"], gone=["a"])
    assert ledger.capacity("t4") == 1


def test_one_job_may_always_run_however_large_it_is() -> None:
    host = Host(cores=4, memory=100)
    assert host.fits(64, 10**9)
    host.take("big", 64, 10**9)
    assert not host.fits(1, 1)
    host.give_back("big")
    host.give_back("big")
    host.take("a", 3, 50)
    assert host.fits(1, 50)
    assert not host.fits(1.5, 1)
    assert not host.fits(1, 51)
