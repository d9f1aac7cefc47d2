"""In which order a new proxy gets its routes."""

from types import SimpleNamespace
from typing import Any

import pytest

from aiinfn_hub.config.proxy import SessionProxy

HUB = SimpleNamespace(routespec="/", host="http://127.0.0.1:1")
SERVER = SimpleNamespace(host="http://127.0.0.1:2")


class Proxy(SessionProxy):
    """Keeps its routes here."""

    def __init__(self, *users: Any, **known: Any) -> None:
        vkd = SimpleNamespace(
            name="vkd",
            server=SERVER,
            prefix="/services/vkd/",
            proxy_spec="/services/vkd/",
            host="",
            domain="",
        )
        app = SimpleNamespace(hub=HUB, users={}, _service_map={"vkd": vkd})
        super().__init__(app=app, hub=HUB)
        self.known = known
        self.added: list[Any] = []

    async def get_all_routes(self) -> dict[str, Any]:
        return dict(self.known)

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        self.added.append((routespec, target))

    async def check(self) -> None:
        await self.check_routes(self.app.users, self.app._service_map)


@pytest.mark.parametrize("how", ["check", "restore_routes"])
async def test_the_hub_takes_what_has_no_route_only_once_services_have_theirs(how: str) -> None:
    proxy = Proxy()
    await getattr(proxy, how)()
    assert proxy.added == [("/services/vkd/", SERVER.host), ("/", HUB.host)]


async def test_a_hub_that_has_its_route_keeps_it_or_gets_its_new_address() -> None:
    proxy = Proxy(**{"/": {"routespec": "/", "target": HUB.host, "data": {"hub": True}}})
    await proxy.check()
    assert proxy.added == [("/services/vkd/", SERVER.host)]
    proxy = Proxy(**{"/": {"routespec": "/", "target": "http://127.0.0.1:9", "data": {"hub": True}}})
    await proxy.check()
    assert ("/", HUB.host) in proxy.added
