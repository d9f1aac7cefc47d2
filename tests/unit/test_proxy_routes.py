"""In which order a new proxy gets its routes."""

from types import SimpleNamespace

import pytest

from aiinfn_hub.config.proxy import SessionProxy

HUB = SimpleNamespace(routespec="/", host="http://127.0.0.1:1")
SERVER = SimpleNamespace(host="http://127.0.0.1:2")


class Proxy(SessionProxy):
    """Keeps its routes here."""

    def __init__(self, *users, **known):
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
        self.known, self.added = known, []

    async def get_all_routes(self):
        return dict(self.known)

    async def add_route(self, routespec, target, data):
        self.added.append((routespec, target))

    async def check(self):
        await self.check_routes(self.app.users, self.app._service_map)


@pytest.mark.parametrize("how", ["check", "restore_routes"])
async def test_the_hub_takes_what_has_no_route_only_once_services_have_theirs(how):
    proxy = Proxy()
    await getattr(proxy, how)()
    assert proxy.added == [("/services/vkd/", SERVER.host), ("/", HUB.host)]


async def test_a_hub_that_has_its_route_keeps_it_or_gets_its_new_address():
    proxy = Proxy(**{"/": {"routespec": "/", "target": HUB.host, "data": {"hub": True}}})
    await proxy.check()
    assert proxy.added == [("/services/vkd/", SERVER.host)]
    proxy = Proxy(**{"/": {"routespec": "/", "target": "http://127.0.0.1:9", "data": {"hub": True}}})
    await proxy.check()
    assert ("/", HUB.host) in proxy.added
