"""What a restart of the hub must not lose: who runs, with what, until when, and how to end it."""

import signal
from datetime import datetime

import pytest

from tests.hub.realhub import processes_of, real_hub, session_process


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_a_session_outlives_the_hub_and_the_next_one_knows_and_ends_it(how: signal.Signals) -> None:
    with real_hub(vkd=False, cleanup_servers=False, limits=", session_extension: 3h") as hub:
        await hub.begin("ada", {"time_limit": "2h"})
        before = await hub.ready("ada")
        home = hub.data / "homes/ada"
        process = session_process(home)
        status, extended = await hub.api("POST", "/aiinfn/session-time/ada")
        assert status == 200, extended
        before = await hub.server("ada")  # type: ignore[assignment]
        hub.stop(how)
        assert process.is_running()
        hub.start()
        after = await hub.ready("ada")
        assert after["state"] == before["state"]
        assert after["state"]["pid"] == process.pid
        assert after["state"]["selection"]["time_limit"] == "2h"
        assert after["state"]["session_end"]
        # The extension is kept by a hub that is killed, too.
        assert datetime.fromisoformat(after["state"]["session_end"]) == datetime.fromisoformat(
            extended["end"]
        )
        assert (await hub.api("GET", "/aiinfn/session-time/ada"))[1]["extensions_left"] == 2
        await hub.end_session("ada")
        assert not processes_of(home)
