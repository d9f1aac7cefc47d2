"""A process with a back end in it, to be killed: ``python -m tests.vkd.local_host FOLDER JOBS``.

JOBS is a JSON list of the keyword arguments of `World.job`. Each update is printed as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from aiinfn_hub.vkd.domain.backend import Update
from tests.vkd.local_world import World


async def main() -> None:
    world = World(Path(sys.argv[1]))

    class Printing(list[Update]):
        def append(self, update: Update) -> None:
            super().append(update)
            state = update.state.value if update.state else None
            print(json.dumps([update.job_id, update.attempt, state]), flush=True)

    world.told = Printing()
    await world.start()
    for job in json.loads(sys.argv[2]):
        await world.submit(**job)
    await asyncio.sleep(300)


if __name__ == "__main__":
    asyncio.run(main())
