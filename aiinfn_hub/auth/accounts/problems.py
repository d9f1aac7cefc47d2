"""What a person reads who cannot have an account, or cannot have it now."""

from __future__ import annotations

from aiinfn_hub.auth.problems import ProviderUnreachableError, SignInError, WrongPersonError
from aiinfn_hub.i18n.language import gettext as _
from aiinfn_hub.web import full_disk


class AccountTakenError(WrongPersonError):
    """The account of the name by which IAM calls somebody is another person's.

    Parameters
    ----------
    name
        As IAM gives it.
    platform
        The platform's name.
    support
        Whom people can ask; may be empty.
    """

    def __init__(self, name: str, platform: str, support: str = "") -> None:
        message = _(
            "IAM calls you {name}, and on {platform} that name, or one that can be taken for it, belongs to somebody else. "
            "Nothing of that account was opened or changed. Ask the people who run this platform to give the name free, or "
            "have your user name changed in IAM, and then sign in again."
        ).format(name=name, platform=platform)
        if support:
            message = _("{message} Questions: {support}.").format(message=message, support=support)
        SignInError.__init__(
            self,
            403,
            _("This account belongs to somebody else"),
            message,
            action=_("Sign in as somebody else"),
            other=True,
        )


class AccountReleasedError(WrongPersonError):
    """An account is just being taken away from its owner."""

    def __init__(self) -> None:
        SignInError.__init__(
            self,
            503,
            _("This account is being released"),
            _(
                "The people who run this platform are giving its name free. Please try again in a few minutes."
            ),
            action=_("Try again"),
        )


class AccountsUnavailableError(ProviderUnreachableError):
    """Whose an account is cannot be looked up now: who is in stays in, as while IAM does not answer.

    Parameters
    ----------
    what
        For the log.
    full
        Because the disk is full.
    """

    def __init__(self, what: str, *, full: bool = False) -> None:
        message = _(
            "The platform cannot look up whose account this is. Sessions and jobs that already run go on. Please try again "
            "in a few minutes; if it stays, tell the people who run this platform."
        )
        SignInError.__init__(
            self,
            507 if full else 503,
            _("Nobody can sign in at the moment"),
            full_disk.sentence() if full else message,
            action=_("Try again"),
        )
        self.what = what
