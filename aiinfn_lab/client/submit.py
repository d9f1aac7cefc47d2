"""The conversations that submit: with the batch service from a session, or with the session's server from outside."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from aiinfn_hub.contract.jobs import DryRun, Job
from aiinfn_hub.contract.problem import Reason
from aiinfn_lab.i18n.language import gettext as _
from aiinfn_lab.paths import HomeDocument, clean, show
from aiinfn_lab.submission import snapshot
from aiinfn_lab.submission.inspection import Inspection, inspect
from aiinfn_lab.transport import Call, HttpAnswer

from . import precheck
from . import submission as files
from .api import Api, read_model
from .errors import AiinfnError
from .identity import whose
from .precheck import DRY
from .submission import Prepared, Submission


async def submit(api: Api, what: Submission) -> Job:
    """Submit, and give the job."""
    return read_model(Job, await _send(api, what, dry=False))


async def check(api: Api, what: Submission) -> DryRun:
    """Ask what would happen to it."""
    return read_model(DryRun, await _send(api, what, dry=True))


async def _send(api: Api, what: Submission, *, dry: bool) -> bytes:
    if api.access.in_session:
        return await _from_session(api, what, dry=dry)
    return await _from_outside(api, what, dry=dry)


async def _from_session(api: Api, what: Submission, *, dry: bool) -> bytes:
    prepared: Prepared = await api.background(lambda: files.prepare(what))
    url = f"{api.root}/jobs"
    if dry:
        return await precheck.from_session(api, prepared)
    if not what.anyway:
        await api.background(lambda: precheck.refuse(prepared))
    copy: snapshot.Snapshot = await api.background(lambda: prepared.target.take(prepared.places, what.key))
    call = Call("POST", url, headers={"Idempotency-Key": what.key}, body=prepared.request)
    try:
        return (await api.ask(call)).body
    except AiinfnError as error:
        # If the job may exist in spite of the error, its input must stay.
        if not error.delivered:
            await api.background(copy.discard)
        raise


async def _from_outside(api: Api, what: Submission, *, dry: bool) -> bytes:
    """Put the file into the home through a running session, and submit it as that session's JupyterLab does."""
    if what.path is not None and (what.with_folder or what.path.endswith("/") or what.command):
        return await _folder_from_outside(api, what, dry=dry)
    name, data = files.command_name(what.command or ()), files.command_data()
    if what.command is None and what.in_home is None:
        local: HomeDocument = await api.background(lambda: files.read_local(str(what.path)))
        name, data = local.name, local.data
    server = _Server(api, (await _session(api, what.session)))
    if what.in_home is not None:
        path = _checked(what.in_home)
        data = await server.present(path)
    else:
        path = _checked(f"{what.folder.strip('/')}/{name}".lstrip("/"))
    document = files.remote_document(path, data)
    # Before anything is put there: what cannot be submitted leaves nothing behind.
    body = await api.background(lambda: what.body(document, inspect(document)))
    if what.in_home is None:
        await server.put(document, replace=what.replace or what.command is not None)
    return await _through(server, api, {"path": path, **body}, what, dry=dry)


async def _folder_from_outside(api: Api, what: Submission, *, dry: bool) -> bytes:
    """Submit a folder of the home, or a file with its folder, through a running session."""
    if what.in_home is None:
        raise AiinfnError(
            Reason.INVALID,
            _("From outside, a folder must be in your home already."),
            _("Put it there, for example with git, and submit home:FOLDER/; or submit it in a session."),
            field="path",
        )
    path = _checked(what.in_home.rstrip("/"))
    server = _Server(api, (await _session(api, what.session)))
    keys: dict[str, str]
    if not what.in_home.endswith("/"):
        keys = await api.background(lambda: files.keys_of_file(what, path))
    elif what.command:
        keys = {"folder": path, "command": files.command_line(what.command)}
    else:
        url = f"{server.url}aiinfn-lab/folder"
        found = json.loads((await server.ask(Call("GET", url, (("path", path),)))).body)
        program: str = await api.background(lambda: files.meant(found))
        keys = {"folder": path, "path": f"{path}/{program}"}
    if "path" in keys:
        document = files.remote_document(keys["path"], (await server.present(keys["path"])))
        body = await api.background(lambda: what.body(document, inspect(document)))
    else:
        body = what.body(files.remote_document(path, b""), Inspection("command", "shell"))
    return await _through(server, api, {**keys, **body}, what, dry=dry)


async def _through(server: _Server, api: Api, sent: dict[str, Any], what: Submission, *, dry: bool) -> bytes:
    """Have a session's JupyterLab submit it, or say what would happen to it."""
    if dry:
        try:
            looked = await server.ask(Call("POST", f"{server.url}aiinfn-lab/check", body=sent))
            return precheck.from_outside(api, looked)
        except AiinfnError as error:
            # An older session does not know it.
            if error.status != 404 or not error.foreign:
                raise
        return (await server.ask(Call("POST", f"{server.url}aiinfn-lab/jobs", DRY, body=sent))).body
    if what.anyway:
        sent = {**sent, "anyway": True}
    call = Call("POST", f"{server.url}aiinfn-lab/jobs", headers={"Idempotency-Key": what.key}, body=sent)
    return (await server.ask(call)).body


async def _session(api: Api, wanted: str | None) -> str:
    """Find a running session of the person, and give the address of its server."""
    hub = str(api.access.hub)
    answer = await whose(api)
    try:
        model: dict[str, Any] = json.loads(answer.body)
        name: str = model["name"]
    except (ValueError, KeyError, TypeError):
        raise api.refusal(HttpAnswer(404, {})) from None
    servers = model.get("servers")
    if not isinstance(servers, dict):
        # The token may not list them; the usual one is tried.
        return f"{hub}/user/{quote(name, safe='@~')}/{f'{quote(wanted)}/' if wanted else ''}"
    # Paths only: the token goes to no other host, whatever the answer says.
    ready = {
        key: server["url"]
        for key, server in servers.items()
        if server.get("ready") and str(server.get("url")).startswith("/")
    }
    start = AiinfnError(
        Reason.CONFLICT,
        _("No session of yours is running, and from outside files get into your home through one."),
        _("Start one at {hub}/hub/home, then submit again. The job goes on when you stop it.").format(
            hub=hub
        ),
    )
    if wanted is not None and wanted not in ready:
        if not ready:
            raise start
        names = ", ".join(show(key) for key in ready)
        raise AiinfnError(
            Reason.NOT_FOUND,
            _("No session {name} of yours is running.").format(name=show(wanted)),
            _("There are: {names}.").format(names=names),
        )
    if not ready:
        raise start
    key = wanted if wanted is not None else "" if "" in ready else next(iter(ready))
    parts = urlsplit(hub)
    return f"{parts.scheme}://{parts.netloc}{ready[key]}"


class _Server:
    """A session's Jupyter server, as seen from outside."""

    def __init__(self, api: Api, url: str) -> None:
        self._api = api
        self.url = url if url.endswith("/") else f"{url}/"

    async def ask(self, call: Call) -> HttpAnswer:
        """Ask, and explain what is about the way to the session."""
        try:
            return await self._api.ask(call)
        except AiinfnError as error:
            raise self._explained(error) from None

    async def read(self, path: str) -> bytes | None:
        """Read a file; None if there is none."""
        query = (("type", "file"), ("format", "base64"), ("content", "1"))
        try:
            answer = await self.ask(Call("GET", self._contents(path), query))
            return files.decoded(json.loads(answer.body)["content"])
        except AiinfnError as error:
            if error.status == 404:
                return None
            raise
        except (ValueError, KeyError, TypeError):
            raise self._api.refusal(HttpAnswer(502, {})) from None

    async def present(self, path: str) -> bytes:
        """Read a file that must be there."""
        data = await self.read(path)
        if data is None:
            raise AiinfnError(
                Reason.NOT_FOUND,
                _("There is no file {path} in your home.").format(path=show(path)),
                _("The path counts from the folder that JupyterLab shows at the top."),
                field="path",
            )
        return data

    async def put(self, document: HomeDocument, *, replace: bool) -> None:
        """Put a file into the home; over another one only if that is wanted."""
        path = document.path
        present = await self.read(path)
        if present == document.data:
            return
        if present is not None and not replace:
            raise AiinfnError(
                Reason.CONFLICT,
                _("Your home has another file {path} already.").format(path=show(path)),
                _("Add --replace to put this one in its place, or choose another folder with --folder."),
                field="path",
            )
        for folder in reversed(PurePosixPath(path).parents):
            if str(folder) != ".":
                await self._make(str(folder))
        content = {"type": "file", "format": "base64", "content": files.encoded(document.data)}
        await self.ask(Call("PUT", self._contents(path), body=content))

    async def _make(self, folder: str) -> None:
        try:
            await self.ask(Call("GET", self._contents(folder), (("content", "0"),)))
        except AiinfnError as error:
            if error.status != 404:
                raise
            await self.ask(Call("PUT", self._contents(folder), body={"type": "directory"}))

    def _contents(self, path: str) -> str:
        return f"{self.url}api/contents/{quote(path)}"

    def _explained(self, error: AiinfnError) -> AiinfnError:
        """Explain in words of ours what Jupyter or the hub says of the way to the session."""
        hub = self._api.access.hub
        if not error.foreign or error.status in {None, 404}:
            return error
        if error.status in {401, 403}:
            return AiinfnError(
                Reason.FORBIDDEN,
                _("This token may not use your session, through which files get into your home."),
                _(
                    "Request one at {hub}/hub/token with the field Permissions empty, or with access:servers!user "
                    "beside the other scopes, and run: aiinfn login"
                ).format(hub=hub),
                status=error.status,
            )
        # The proxy has no way to it and the hub sends on to its page, or says 424 there.
        if error.status in {302, 424, 503}:
            return AiinfnError(
                Reason.CONFLICT,
                _("Your session is not running, and from outside files get into your home through it."),
                _("Start it at {hub}/hub/home, then submit again.").format(hub=hub),
                status=error.status,
            )
        return AiinfnError(
            error.reason,
            _("Your session's server says: {message}.").format(message=error.message.rstrip(".")),
            _("See in JupyterLab whether that folder can be written, then submit again."),
            status=error.status,
        )


def _checked(path: str) -> str:
    path = clean(path)
    if ".." in path.split("/"):
        raise AiinfnError(
            Reason.INVALID,
            _("{path} leaves your home.").format(path=show(path)),
            _("Choose a folder below it."),
            field="path",
        )
    return path
