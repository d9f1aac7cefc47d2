"""Sign-in with IAM to accounts that belong to one person each."""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from jupyterhub.user import User
from tornado.web import RequestHandler
from traitlets import Unicode

from aiinfn_hub.auth.database.accounts import BoundAccount, Identity, TakenError
from aiinfn_hub.auth.iam import IAMAuthenticator
from aiinfn_hub.auth.membership_watch import MembershipVerdict

from .bindings import Bindings
from .problems import AccountReleasedError, AccountsUnavailableError, AccountTakenError


class AccountAuthenticator(IAMAuthenticator):
    """Binds each account of the hub to issuer and subject, so that a name alone opens nothing.

    An account that exists already is bound at the next sign-in, or at the next time its owner's groups are checked.
    """

    accounts_url = Unicode(
        "sqlite:///accounts.sqlite",
        config=True,
        help="SQLAlchemy URL of the table that says whose an account is, with a synchronous driver.",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accounts = Bindings(self.accounts_url, self.log)
        self._app: Any = None

    def get_handlers(self, app: Any) -> list[tuple[str, type[RequestHandler]]]:
        """Keep the hub, whose people are looked up at a first sign-in."""
        self._app = app
        return super().get_handlers(app)

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Find whose account this is: the person's own, whatever IAM calls them today.

        Raises
        ------
        AccountTakenError
            If it is another person's.
        """
        auth_model = await super().update_auth_model(auth_model)
        name, identity = auth_model["name"], self._identity(auth_model)
        try:
            account = await self.accounts.account_for(name, identity)
        except TakenError:
            raise self._taken(name) from None
        if account.name in self.accounts.releasing:
            raise AccountReleasedError
        if account.identity is None:
            await self._check_first(account, identity)
        auth_model["name"] = account.name
        return auth_model

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in as `IAMAuthenticator` does, and bind the account of whom it lets in."""
        allowed = await super().check_allowed(username, auth_model)
        if allowed and auth_model is not None:
            if auth_model["name"] in self.accounts.releasing:  # it began after `update_auth_model`
                raise AccountReleasedError
            await self._bind(auth_model)
        return allowed

    async def look(self, user: User) -> dict[str, Any] | MembershipVerdict:
        """Ask IAM about somebody, and bind an account that is not bound yet."""
        found = await super().look(user)
        if isinstance(found, dict):
            try:
                await self._bind(found)
            except AccountTakenError:
                return MembershipVerdict.SIGN_IN
            except AccountsUnavailableError:
                # Whose it is was looked up a moment ago; the next check binds it.
                return found
        return found

    async def add_user(self, user: Any) -> None:
        """Note each account that the hub has, so that operators see which ones are not bound yet."""
        super().add_user(user)
        await self.accounts.register(user.name)

    def delete_user(self, user: Any) -> None:
        """Forget the tokens of a user that the hub deletes."""
        super().delete_user(user)
        self._wallets.drop(user.name)

    async def _bind(self, auth_model: dict[str, Any]) -> None:
        try:
            await self.accounts.bind(auth_model["name"], self._identity(auth_model))
        except TakenError:
            raise self._taken(auth_model["name"]) from None

    async def _check_first(self, account: BoundAccount, identity: Identity) -> None:
        """Refuse another person than the one who is still signed in to an account that is not bound yet."""
        user = orm.User.find(self._app.db, account.name) if self._app is not None else None
        if user is None:
            return
        state = await self._app.users[user].get_auth_state() or {}
        subject = (state.get(self.user_auth_state_key) or {}).get("sub")
        if isinstance(subject, str) and subject != identity.subject:
            self.accounts.refused(account.name, identity, account)
            raise self._taken(account.name)

    def _identity(self, auth_model: dict[str, Any]) -> Identity:
        # The subject was compared with the verified id token's, whose issuer is the one that is configured.
        info = auth_model["auth_state"][self.user_auth_state_key]
        return Identity.of(self.openid_provider_url, info["sub"])

    def _taken(self, name: str) -> AccountTakenError:
        rules = self.now()
        return AccountTakenError(name, rules.title, rules.support)
