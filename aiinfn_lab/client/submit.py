"""The conversations that submit: with the batch service from a session, or with the session's server from outside."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

from aiinfn_hub.contract.jobs import DryRun, Job
from aiinfn_hub.contract.problem import Reason
from aiinfn_lab.paths import HomeDocument, clean, show
from aiinfn_lab.submission import snapshot
from aiinfn_lab.submission.inspection import Inspection, inspect

from . import precheck
from . import submission as files
from .errors import AiinfnError
from .identity import whose
from .io import (
    BackgroundWork,
    Call,
    HttpAnswer,
    Steps,
)
from .precheck import DRY
from .protocol import Protocol, read_model
from .submission import Prepared, Submission


def submit(protocol: Protocol, what: Submission) -> Steps[Job]:
    """Submit, and give the job."""
    return read_model(Job, (yield from _send(protocol, what, dry=False)))


def check(protocol: Protocol, what: Submission) -> Steps[DryRun]:
    """Ask what would happen to it."""
    return read_model(DryRun, (yield from _send(protocol, what, dry=True)))


def _send(protocol: Protocol, what: Submission, *, dry: bool) -> Steps[bytes]:
    if protocol.access.in_session:
        return (yield from _from_session(protocol, what, dry=dry))
    return (yield from _from_outside(protocol, what, dry=dry))


def _from_session(protocol: Protocol, what: Submission, *, dry: bool) -> Steps[bytes]:
    prepared: Prepared = yield BackgroundWork(lambda: files.prepare(what))
    url = f"{protocol.api}/jobs"
    if dry:
        return (yield from precheck.from_session(protocol, prepared))
    if not what.anyway:
        yield BackgroundWork(lambda: precheck.refuse(prepared))
    copy: snapshot.Snapshot = yield BackgroundWork(lambda: prepared.target.take(prepared.places, what.key))
    call = Call("POST", url, headers={"Idempotency-Key": what.key}, body=prepared.request)
    try:
        return (yield from protocol.ask(call)).body
    except AiinfnError as error:
        # If the job may exist in spite of the error, its input must stay.
        if not error.delivered:
            yield BackgroundWork(copy.discard)
        raise


def _from_outside(protocol: Protocol, what: Submission, *, dry: bool) -> Steps[bytes]:
    """Put the file into the home through a running session, and submit it as that session's JupyterLab does."""
    if what.path is not None and (what.with_folder or what.path.endswith("/") or what.command):
        return (yield from _folder_from_outside(protocol, what, dry=dry))
    name, data = files.command_name(what.command or ()), files.command_data()
    if what.command is None and what.in_home is None:
        local: HomeDocument = yield BackgroundWork(lambda: files.read_local(str(what.path)))
        name, data = local.name, local.data
    server = _Server(protocol, (yield from _session(protocol, what.session)))
    if what.in_home is not None:
        path = _checked(what.in_home)
        data = yield from server.present(path)
    else:
        path = _checked(f"{what.folder.strip('/')}/{name}".lstrip("/"))
    document = files.remote_document(path, data)
    # Before anything is put there: what cannot be submitted leaves nothing behind.
    body = yield BackgroundWork(lambda: what.body(document, inspect(document)))
    if what.in_home is None:
        yield from server.put(document, replace=what.replace or what.command is not None)
    return (yield from _through(server, protocol, {"path": path, **body}, what, dry=dry))


def _folder_from_outside(protocol: Protocol, what: Submission, *, dry: bool) -> Steps[bytes]:
    """Submit a folder of the home, or a file with its folder, through a running session."""
    if what.in_home is None:
        raise AiinfnError(
            Reason.INVALID,
            "From outside, a folder must be in your home already.",
            "Put it there, for example with git, and submit home:FOLDER/; or submit it in a session.",
            field="path",
        )
    path = _checked(what.in_home.rstrip("/"))
    server = _Server(protocol, (yield from _session(protocol, what.session)))
    keys: dict[str, str]
    if not what.in_home.endswith("/"):
        keys = yield BackgroundWork(lambda: files.keys_of_file(what, path))
    elif what.command:
        keys = {"folder": path, "command": files.command_line(what.command)}
    else:
        url = f"{server.url}aiinfn-lab/folder"
        found = json.loads((yield from server.ask(Call("GET", url, (("path", path),)))).body)
        program: str = yield BackgroundWork(lambda: files.meant(found))
        keys = {"folder": path, "path": f"{path}/{program}"}
    if "path" in keys:
        document = files.remote_document(keys["path"], (yield from server.present(keys["path"])))
        body = yield BackgroundWork(lambda: what.body(document, inspect(document)))
    else:
        body = what.body(files.remote_document(path, b""), Inspection("command", "shell"))
    return (yield from _through(server, protocol, {**keys, **body}, what, dry=dry))


def _through(
    server: _Server, protocol: Protocol, sent: dict[str, Any], what: Submission, *, dry: bool
) -> Steps[bytes]:
    """Have a session's JupyterLab submit it, or say what would happen to it."""
    if dry:
        try:
            looked = yield from server.ask(Call("POST", f"{server.url}aiinfn-lab/check", body=sent))
            return precheck.from_outside(protocol, looked)
        except AiinfnError as error:
            # An older session does not know it.
            if error.status != 404 or not error.foreign:
                raise
        return (yield from server.ask(Call("POST", f"{server.url}aiinfn-lab/jobs", DRY, body=sent))).body
    if what.anyway:
        sent = {**sent, "anyway": True}
    call = Call("POST", f"{server.url}aiinfn-lab/jobs", headers={"Idempotency-Key": what.key}, body=sent)
    return (yield from server.ask(call)).body


def _session(protocol: Protocol, wanted: str | None) -> Steps[str]:
    """Find a running session of the person, and give the address of its server."""
    hub = str(protocol.access.hub)
    answer = yield from whose(protocol)
    try:
        model: dict[str, Any] = json.loads(answer.body)
        name: str = model["name"]
    except (ValueError, KeyError, TypeError):
        raise protocol.refusal(HttpAnswer(404, {})) from None
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
        "No session of yours is running, and from outside files get into your home through one.",
        f"Start one at {hub}/hub/home, then submit again. The job goes on when you stop it.",
    )
    if wanted is not None and wanted not in ready:
        if not ready:
            raise start
        names = ", ".join(show(key) for key in ready)
        raise AiinfnError(
            Reason.NOT_FOUND, f"No session {show(wanted)} of yours is running.", f"There are: {names}."
        )
    if not ready:
        raise start
    key = wanted if wanted is not None else "" if "" in ready else next(iter(ready))
    parts = urlsplit(hub)
    return f"{parts.scheme}://{parts.netloc}{ready[key]}"


class _Server:
    """A session's Jupyter server, as seen from outside."""

    def __init__(self, protocol: Protocol, url: str) -> None:
        self._protocol = protocol
        self.url = url if url.endswith("/") else f"{url}/"

    def ask(self, call: Call) -> Steps[HttpAnswer]:
        """Ask, and explain what is about the way to the session."""
        try:
            return (yield from self._protocol.ask(call))
        except AiinfnError as error:
            raise self._explained(error) from None

    def read(self, path: str) -> Steps[bytes | None]:
        """Read a file; None if there is none."""
        query = (("type", "file"), ("format", "base64"), ("content", "1"))
        try:
            answer = yield from self.ask(Call("GET", self._contents(path), query))
            return files.decoded(json.loads(answer.body)["content"])
        except AiinfnError as error:
            if error.status == 404:
                return None
            raise
        except (ValueError, KeyError, TypeError):
            raise self._protocol.refusal(HttpAnswer(502, {})) from None

    def present(self, path: str) -> Steps[bytes]:
        """Read a file that must be there."""
        data = yield from self.read(path)
        if data is None:
            raise AiinfnError(
                Reason.NOT_FOUND,
                f"There is no file {show(path)} in your home.",
                "The path counts from the folder that JupyterLab shows at the top.",
                field="path",
            )
        return data

    def put(self, document: HomeDocument, *, replace: bool) -> Steps[None]:
        """Put a file into the home; over another one only if that is wanted."""
        path = document.path
        present = yield from self.read(path)
        if present == document.data:
            return
        if present is not None and not replace:
            raise AiinfnError(
                Reason.CONFLICT,
                f"Your home has another file {show(path)} already.",
                "Add --replace to put this one in its place, or choose another folder with --folder.",
                field="path",
            )
        for folder in reversed(PurePosixPath(path).parents):
            if str(folder) != ".":
                yield from self._make(str(folder))
        content = {"type": "file", "format": "base64", "content": files.encoded(document.data)}
        yield from self.ask(Call("PUT", self._contents(path), body=content))

    def _make(self, folder: str) -> Steps[None]:
        try:
            yield from self.ask(Call("GET", self._contents(folder), (("content", "0"),)))
        except AiinfnError as error:
            if error.status != 404:
                raise
            yield from self.ask(Call("PUT", self._contents(folder), body={"type": "directory"}))

    def _contents(self, path: str) -> str:
        return f"{self.url}api/contents/{quote(path)}"

    def _explained(self, error: AiinfnError) -> AiinfnError:
        """Explain in words of ours what Jupyter or the hub says of the way to the session."""
        hub = self._protocol.access.hub
        if not error.foreign or error.status in {None, 404}:
            return error
        if error.status in {401, 403}:
            return AiinfnError(
                Reason.FORBIDDEN,
                "This token may not use your session, through which files get into your home.",
                f"Request one at {hub}/hub/token with the field Permissions empty, or with access:servers!user "
                "beside the other scopes, and run: aiinfn login",
                status=error.status,
            )
        # The proxy has no way to it and the hub sends on to its page, or says 424 there.
        if error.status in {302, 424, 503}:
            return AiinfnError(
                Reason.CONFLICT,
                "Your session is not running, and from outside files get into your home through it.",
                f"Start it at {hub}/hub/home, then submit again.",
                status=error.status,
            )
        return AiinfnError(
            error.reason,
            f"Your session's server says: {error.message.rstrip('.')}.",
            "See in JupyterLab whether that folder can be written, then submit again.",
            status=error.status,
        )


def _checked(path: str) -> str:
    path = clean(path)
    if ".." in path.split("/"):
        raise AiinfnError(
            Reason.INVALID, f"{show(path)} leaves your home.", "Choose a folder below it.", field="path"
        )
    return path
