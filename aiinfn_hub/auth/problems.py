"""What can go wrong at sign-in, as exceptions that carry the page a person sees.

JupyterHub renders an `HTTPError` with ``error.html``; ours takes the title and the next step from the exception. A
message never holds a token, a code or a secret.
"""

from __future__ import annotations

from tornado.web import HTTPError


class SignInProblem(HTTPError):  # noqa: N818 - it is a page for a person first
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
        Label of the button that starts the sign-in again.
    other
        Whether that button asks IAM for another account instead of taking the one it remembers.
    """

    def __init__(
        self, status: int, title: str, message: str, *, action: str = "Sign in again", other: bool = False
    ) -> None:
        super().__init__(status, message)
        self.jupyterhub_message = message
        self.page_title = title
        self.page_action = action
        self.page_other = other


class ProviderUnreachable(SignInProblem):
    """IAM does not answer, or answers that it cannot work now.

    Parameters
    ----------
    what
        For the log: which request failed and how, without parameters.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            503,
            "IAM does not answer",
            "Nobody can sign in at the moment because the identity provider (IAM) does not answer. "
            "Sessions and jobs that already run go on. Please try again in a few minutes.",
            action="Try again",
        )
        self.what = what


class ProviderBroken(SignInProblem):
    """IAM answers with something that cannot be used; an operator has to look.

    Parameters
    ----------
    what
        A sentence for the page and the log, without tokens.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            502,
            "IAM gave an answer that cannot be used",
            f"{what} Please tell the people who run this platform.",
            action="Try again",
        )
        self.what = what


class NotAllowed(SignInProblem):
    """Somebody whom IAM knows, but who belongs to no project here."""

    def __init__(self, name: str, platform: str) -> None:
        super().__init__(
            403,
            "You have no project here",
            f"You are signed in to IAM as {name}, but belong to no project of {platform}. Ask the manager of your "
            "project to add you to its group in IAM, and then sign in again.",
            action="Sign in as somebody else",
            other=True,
        )


class WrongPerson(SignInProblem):
    """IAM's answers are about two different people: tokens were mixed up, or an account took over another's name."""

    def __init__(self) -> None:
        super().__init__(
            403,
            "This sign-in does not fit together",
            "IAM's answers are about two different accounts. Please sign in again; if it stays, tell the people who "
            "run this platform.",
            other=True,
        )
