"""What can go wrong at sign-in, as exceptions that carry the page a person sees.

JupyterHub renders an `HTTPError` with ``error.html``; ours takes the title and the next step from the exception. A
message never holds a token, a code or a secret. The sentences are in the language of the request.
"""

from __future__ import annotations

from collections.abc import Iterable

from tornado.web import HTTPError

from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.i18n.language import ngettext


class SignInError(HTTPError):
    """A sign-in that did not succeed.

    Parameters
    ----------
    status
        HTTP status of the page.
    title
        Heading: what happened, in a few words.
    message
        Sentences: what is wrong and what to do.
    action
        Label of the button that starts the sign-in again; default: “Sign in again”.
    other
        Whether that button asks IAM for another account instead of taking the one it remembers.
    """

    def __init__(
        self, status: int, title: str, message: str, *, action: str = "", other: bool = False
    ) -> None:
        super().__init__(status, message)
        self.jupyterhub_message = message
        self.page_title = title
        self.page_action = action or _("Sign in again")
        self.page_other = other


class ProviderUnreachableError(SignInError):
    """IAM does not answer, or answers that it cannot work now.

    Parameters
    ----------
    what
        For the log: which request failed and how, without parameters.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            503,
            _("IAM does not answer"),
            _(
                "Nobody can sign in at the moment because the identity provider (IAM) does not answer. "
                "Sessions and jobs that already run go on. Please try again in a few minutes."
            ),
            action=_("Try again"),
        )
        self.what = what


class ProviderBrokenError(SignInError):
    """IAM answers with something that cannot be used; an operator has to look.

    Parameters
    ----------
    what
        A sentence for the page and the log, without tokens.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            502,
            _("IAM gave an answer that cannot be used"),
            _("{what} Please tell the people who run this platform.").format(what=what),
            action=_("Try again"),
        )
        self.what = what


class ClocksDifferError(ProviderBrokenError):
    """An id token that was made just now is not valid now.

    Parameters
    ----------
    ahead
        Seconds that IAM's clock seems to be ahead of this one; negative if it is behind.
    """

    def __init__(self, ahead: float) -> None:
        minutes = max(1, round(abs(ahead) / 60))
        super().__init__(
            ngettext(
                "The clocks of IAM and of this platform differ by about {minutes} minute.",
                "The clocks of IAM and of this platform differ by about {minutes} minutes.",
                minutes,
            ).format(minutes=minutes)
        )


class NotAllowedError(SignInError):
    """Somebody whom IAM knows, but who belongs to no project here.

    Parameters
    ----------
    support
        Whom people can ask; may be empty.
    """

    def __init__(self, name: str, platform: str, support: str = "") -> None:
        message = _(
            "You are signed in to IAM as {name}, but belong to no project of {platform}. Ask the manager of your "
            "project to add you to its group in IAM, and then sign in again."
        ).format(name=name, platform=platform)
        super().__init__(
            403,
            _("You have no project here"),
            _with_support(message, support),
            action=_("Sign in as somebody else"),
            other=True,
        )


class RequiredGroupError(SignInError):
    """Somebody who is in none of the groups of which everybody must be in one.

    Parameters
    ----------
    groups
        These groups.
    issuer
        IAM's address, where people ask to join a group.
    support
        Whom people can ask; may be empty.
    """

    def __init__(
        self, name: str, platform: str, groups: Iterable[str], issuer: str, support: str = ""
    ) -> None:
        needed = sorted(groups)
        message = ngettext(
            "You are signed in to IAM as {name}, but {platform} is for members of the group {groups} only. Ask to join it "
            "at {issuer}, and then sign in again.",
            "You are signed in to IAM as {name}, but {platform} is for members of one of the groups {groups} only. Ask to "
            "join one at {issuer}, and then sign in again.",
            len(needed),
        ).format(name=name, platform=platform, groups=", ".join(needed), issuer=issuer)
        super().__init__(
            403,
            _("You are not in the group that is needed"),
            _with_support(message, support),
            action=_("Sign in as somebody else"),
            other=True,
        )


class WrongPersonError(SignInError):
    """IAM's answers are about two different people: tokens were mixed up, or an account took over another's name."""

    def __init__(self) -> None:
        super().__init__(
            403,
            _("This sign-in does not fit together"),
            _(
                "IAM's answers are about two different accounts. Please sign in again; if it stays, tell the people who "
                "run this platform."
            ),
            other=True,
        )


def stale() -> SignInError:
    """Return the problem of a sign-in that was begun elsewhere, or too long ago."""
    return SignInError(
        400,
        _("This sign-in cannot be completed"),
        _("It was started in another window, under another address, or too long ago. Please sign in again."),
    )


def _with_support(message: str, support: str) -> str:
    return (
        _("{message} Questions: {support}.").format(message=message, support=support) if support else message
    )
