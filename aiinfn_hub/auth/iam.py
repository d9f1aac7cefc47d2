"""Sign-in with INDIGO IAM: OpenID Connect with discovery, PKCE, and groups that decide about access.

What the base class (oauthenticator's generic one, 17.4) lacks is here: discovery, verification of the id token, groups
from either IAM profile, access that is checked again at every refresh, and pages with a sentence for what goes wrong.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final
from urllib.parse import urlencode

from jupyterhub import orm
from jupyterhub.user import User
from tornado.httpclient import HTTPClientError
from tornado.web import RequestHandler
from traitlets import Callable, Integer, List, Unicode, default

from aiinfn_hub.i18n.language import gettext as _

from . import claims, tokens
from .client import DiscoveringAuthenticator
from .discovery import session_of
from .handlers import IAMCallbackHandler, IAMLoginHandler, nonce_of
from .logout import IAMLogoutHandler, SeenTokens
from .managers import sync_manager_roles
from .membership_watch import MembershipVerdict, MembershipWatch
from .problems import (
    NotAllowedError,
    ProviderBrokenError,
    ProviderUnreachableError,
    RequiredGroupError,
    WrongPersonError,
    stale,
)
from .refusals import ClientRefusedError, GrantRefusedError, ProviderRefusal, ScopeRefusedError
from .rules import Rules
from .session_tokens import ScopesNotGrantedError, SignInAgainError

_REQUESTS: Final = {
    "authorization_code": "code",
    "refresh_token": "refresh token",
    tokens.EXCHANGE: "token exchange",
}
SIGNED_OUT: Final = "signed_out"
"""Key of a state: its owner signed out, and it is kept for a session or a job only."""
_SECRET: Final = ("code", "refresh_token", "subject_token", "client_secret", "code_verifier")
"""Parameters of requests for tokens that no log may hold."""


class IAMAuthenticator(DiscoveringAuthenticator):
    """Authenticate with an OpenID Connect provider whose claims are shaped as INDIGO IAM's."""

    login_handler = IAMLoginHandler
    callback_handler = IAMCallbackHandler
    logout_handler = IAMLogoutHandler

    unreachable_grace = Integer(
        24 * 3600,
        min=0,
        config=True,
        help="""Seconds for which the last known groups of somebody hold while IAM does not answer.

        An outage of IAM must not end anybody's work, but it must not keep access alive for ever either. Counted from
        the last successful check of each person, also over restarts of the hub.""",
    )
    unreachable_pause = Integer(
        15,
        min=1,
        config=True,
        help="Seconds without another try after IAM did not answer, so that pages do not wait for it one by one.",
    )
    rules: Any = Callable(
        None,
        allow_none=True,
        config=True,
        help="""Function without arguments that gives the `Rules`, asked whenever somebody's groups are judged.

        They replace `allowed_groups` and `admin_groups`, and may change while the hub runs.""",
    )
    platform: Any = Callable(None, allow_none=True, config=True, help="Gives the platform in force.")
    vkd_client: Any = Callable(
        None,
        allow_none=True,
        config=True,
        help="Gives the client of vkd, which holds jobs of who lost the access.",
    )
    scope = List(
        Unicode(),
        ["openid", "profile", "email", "offline_access"],
        config=True,
        help="Scopes asked for; offline_access lets groups be checked while somebody works.",
    )

    token_client_id = Unicode(
        config=True,
        help="""Another client at IAM with which tokens for sessions are made by token exchange (RFC 8693).

        For providers that ignore `scope` when a token is renewed. Empty: the hub's own client makes them.""",
    )
    token_client_secret = Unicode(config=True, help="The secret of that client.")

    @default("login_service")
    def _default_login_service(self) -> str:
        return "IAM"

    @default("username_claim")
    def _default_username_claim(self) -> str:
        return "preferred_username"

    @default("manage_groups")
    def _default_manage_groups(self) -> bool:
        return True

    @default("enable_auth_state")
    def _default_enable_auth_state(self) -> bool:
        return True

    @default("reconcile_auth_state_hook")
    def _default_reconcile_auth_state_hook(self) -> Any:
        return newest_tokens

    @default("auth_refresh_strict")
    def _default_auth_refresh_strict(self) -> bool:
        # Else the token of a running session keeps the groups of somebody who was removed from them.
        return True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pause_until = 0.0
        self._wallets = tokens.Wallets()
        self.seen_tokens = SeenTokens()
        self._signing_out: set[str] = set()
        self._looked_back = False
        self._told_claims: set[str] = set()
        self._chores: set[asyncio.Task[None]] = set()
        self._watch: MembershipWatch | None = None
        self._roles: tuple[dict[str, Any], ...] | None = None

    def get_handlers(self, app: Any) -> list[tuple[str, type[RequestHandler]]]:
        """Add the pages of a sign-in to the hub, which does this once while it starts, and begin to look after people."""
        self._watch = MembershipWatch(
            app,
            self.look,
            self.log,
            newest=self.newest_state,
            age=lambda: float(self.auth_refresh_age),
            grace=lambda: self.now().withdrawn_grace,
            platform=self.platform,
            jobs=self.vkd_client,
            tidy=lambda: self.tidy(app.db, app.users),
        )
        self._watch.start()
        handlers: list[tuple[str, type[RequestHandler]]] = super().get_handlers(app)
        return handlers

    def now(self) -> Rules:
        """Return the rules in force."""
        if self.rules is None:
            return Rules("JupyterHub", frozenset(self.allowed_groups), frozenset(self.admin_groups))
        rules: Rules = self.rules()
        return rules

    def asked_scopes(self) -> list[str]:
        """Return the scopes that a sign-in asks for: the hub's own, and what sessions may want of them."""
        return [*self.scope, *sorted(self.now().token_scopes.difference(self.scope))]

    async def get_token_info(
        self,
        handler: RequestHandler | None,
        params: dict[str, Any],
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Get tokens for a code, a refresh token or another token; at sign-in the id token is verified.

        Parameters
        ----------
        headers
            Added to those of the request, for another client than the hub's own.

        Raises
        ------
        GrantRefusedError, ScopeRefusedError, ClientRefusedError
            If a refresh is refused.
        SignInError
            If a sign-in is, or the answer cannot be used.
        """
        signing_in = params["grant_type"] == "authorization_code"
        await self.discover()
        try:
            token_info = await self.httpfetch(
                self.token_url,
                "token request",
                method="POST",
                headers=self.build_token_info_request_headers() | (headers or {}),
                body=urlencode({key: value for key, value in params.items() if value is not None}),
                validate_cert=self.validate_server_cert,
                follow_redirects=False,
            )
        except HTTPClientError as error:
            secrets = [self.client_secret, self.token_client_secret]
            refusal = ProviderRefusal.of(error, [*secrets, *(params.get(key) for key in _SECRET)])
            self.log.warning("IAM refused a %s (%s)", _REQUESTS.get(params["grant_type"], "request"), refusal)
            raise self._refused(refusal, signing_in=signing_in) from None
        if not isinstance(token_info, dict) or not isinstance(token_info.get("access_token"), str):
            raise ProviderBrokenError(_("IAM sent no access token."))
        token_info.setdefault("token_type", "Bearer")
        token_info["renewed_at"] = time.time()
        if signing_in and handler is not None:
            token_info["sub"] = await self.provider.verify(
                token_info.get("id_token"),
                client_id=self.client_id,
                leeway=self.now().clock_skew,
                nonce=nonce_of(handler.get_argument("state")),
            )
            # Verified just now. By it IAM says later which of its sessions ended.
            token_info["sid"] = session_of(token_info["id_token"])
        return token_info

    def _refused(self, refusal: ProviderRefusal, *, signing_in: bool) -> Exception:
        """Return what a refusal of the token endpoint means; only that of the grant is mended by signing in again."""
        if refusal.of_the_grant:
            return stale() if signing_in else GrantRefusedError()
        if refusal.of_the_client:
            return ClientRefusedError()
        if refusal.of_the_scope and not signing_in:
            return ScopeRefusedError()
        return ProviderBrokenError(_("IAM refused the platform's request for tokens."))

    async def authenticate(
        self, handler: RequestHandler, data: Any = None, **kwargs: Any
    ) -> dict[str, Any] | None:
        """Let the tokens of a sign-in replace those that are known, also if a clock was set back meanwhile."""
        model: dict[str, Any] | None = await super().authenticate(handler, data, **kwargs)
        if model and model["auth_state"]:
            self._wallets.of(model["name"]).supersede(model["auth_state"])
            self._signing_out.discard(model["name"])
        return model

    async def token_to_user(self, token_info: dict[str, Any]) -> dict[str, Any]:
        """Ask the userinfo endpoint, which knows the groups of now; it must speak of whom the id token spoke of."""
        user_info = await super().token_to_user(token_info)
        if not isinstance(user_info, dict):
            raise ProviderBrokenError(_("IAM's userinfo is not a JSON object."))
        if user_info.get("sub") != token_info.get("sub"):
            raise WrongPersonError
        return user_info

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """Return the user name from IAM's claims."""
        name = claims.username(user_info, self.username_claim)
        if name is None:
            raise ProviderBrokenError(
                _("IAM gives no usable user name for this account (claim {claim}).").format(
                    claim=self.username_claim
                )
            )
        return name

    def build_auth_state_dict(self, token_info: dict[str, Any], user_info: dict[str, Any]) -> dict[str, Any]:
        """Add when IAM was asked last, which decides how long its answer holds during an outage."""
        state: dict[str, Any] = super().build_auth_state_dict(token_info, user_info)
        return state | {"checked_at": int(time.time())}

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Return the groups in IAM's claims, as whole paths."""
        return set(claims.groups(auth_state[self.user_auth_state_key]))

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Decide who is an operator: said each time, so that leaving the group takes the right away."""
        rules = self.now()
        self.allowed_groups, self.admin_groups = set(rules.allowed), set(rules.admins)
        if auth_model["admin"] is None:
            auth_model["admin"] = bool(
                await self.get_user_groups(auth_model["auth_state"]) & self.admin_groups
            )
        return auth_model

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in whom one of the platform's groups lets in; tell everybody else what is missing.

        Raises
        ------
        NotAllowedError, RequiredGroupError
            With the page that says so.
        """
        rules = self.now()
        wrong = self._unusable_claims(auth_model)
        if not self._has_required(auth_model):
            if wrong:
                raise ProviderBrokenError(_("IAM's groups of this account cannot be read."))
            self.log.info("%s is in none of the required groups and is not let in", username)
            raise RequiredGroupError(
                username, rules.title, rules.required, self.openid_provider_url, rules.support
            )
        if await super().check_allowed(username, auth_model):
            return True
        if wrong:
            raise ProviderBrokenError(_("IAM's groups of this account cannot be read."))
        self.log.info("%s belongs to no project and is not let in", username)
        raise NotAllowedError(username, rules.title, rules.support)

    def _unusable_claims(self, auth_model: dict[str, Any] | None) -> bool:
        """Return whether a claim about groups has a shape that cannot be read, which is told to the operators."""
        info = ((auth_model or {}).get("auth_state") or {}).get(self.user_auth_state_key) or {}
        found = claims.unusable(info)
        for problem in found:
            if problem not in self._told_claims:
                self._told_claims.add(problem)
                self.log.error(
                    "IAM's claims about groups cannot be read: %s. See `aiinfn-hub check --iam`.", problem
                )
        return bool(found)

    def _has_required(self, auth_model: dict[str, Any] | None) -> bool:
        required = self.now().required
        # Without a model it is about somebody whom the hub knows already (JupyterHub before 5).
        return not required or auth_model is None or not required.isdisjoint(auth_model.get("groups") or ())

    async def refresh_user(
        self, user: User, handler: RequestHandler | None = None, **kwargs: Any
    ) -> bool | dict[str, Any]:
        """Ask IAM again who somebody is, and whether that still gives access.

        Returns
        -------
        The new auth model; True to go on with the old one because IAM does not answer (at most `unreachable_grace`
        seconds); False if the person has to sign in again: the tokens are no longer good, the account was renamed, or
        no group gives access any more. In the last case running sessions end too.
        """
        if handler is not None and not hasattr(handler, "_token_authenticated"):
            # JupyterHub 6.1.1 reads this after a refused refresh, but sets it for tokens only: a traceback in the log.
            vars(handler)["_token_authenticated"] = False
        found = await self.look(user)
        if self._watch is not None:
            self._watch.judged(user, found)
        return found is MembershipVerdict.HOLDS if isinstance(found, MembershipVerdict) else found

    async def look(self, user: User) -> dict[str, Any] | MembershipVerdict:  # noqa: C901 - one answer after the other
        """Ask IAM about somebody: the new auth model, or what else the answer means."""
        rules = self.now()
        if rules.manager_roles != self._roles:
            sync_manager_roles(user.db, rules.manager_roles, self.log)
            self._roles = rules.manager_roles
        wallet = self._wallets.of(user.name)
        # One at a time: a second renewal with the same refresh token would look like theft to IAM.
        async with wallet.lock:
            auth_state = wallet.latest(await user.get_auth_state())
            if not auth_state or not auth_state.get("token_response"):
                return MembershipVerdict.SIGN_IN
            if time.monotonic() < self._pause_until:
                return self._holds(user.name, auth_state)
            try:
                model = await self._renew(user, wallet, auth_state)
            except (ProviderUnreachableError, ProviderBrokenError) as problem:
                self.log.warning("The groups of %s could not be checked: %s", user.name, problem.what)
                if isinstance(problem, ProviderUnreachableError | ClientRefusedError):
                    # It concerns everybody. An answer about one person must not keep others from being checked.
                    self._pause()
                return self._holds(user.name, auth_state)
            except GrantRefusedError:
                self.log.info("%s has to sign in again", user.name)
                return MembershipVerdict.REVOKED
            except WrongPersonError:
                model = None
            if model is None or self.normalize_username(model["name"]) != user.name:
                self.log.info("%s has to sign in again", user.name)
                return MembershipVerdict.SIGN_IN
            unusable = self._unusable_claims(model)
            if unusable:
                model["auth_state"]["checked_at"] = auth_state.get("checked_at", 0)
            if auth_state.get(SIGNED_OUT):
                model["auth_state"][SIGNED_OUT] = True
            await self._keep(user, wallet, auth_state, model["auth_state"])
        allowed = (
            self._has_required(model)
            and await super().check_allowed(user.name, model)
            and self.check_blocked_users(user.name, model)
        )
        if not allowed and unusable:
            # It is the provider that is wrong: as if it did not answer.
            return self._holds(user.name, auth_state)
        if not allowed:
            wallet.forget()
            self.log.info("%s has no group any more that gives access", user.name)
            return MembershipVerdict.LOST
        return model

    async def _keep(
        self, user: User, wallet: tokens.Wallet, before: tokens.State, after: tokens.State
    ) -> None:
        """Save renewed tokens before anybody else can ask for them: a rotated refresh token is the only good one."""
        if tokens.renewed_at(after) > tokens.renewed_at(before):
            wallet.newest = after
            await user.save_auth_state(after)

    # Signing out

    def signed_out(self, user: User) -> None:
        """Revoke the refresh token of somebody who signed out, once neither a session nor a job needs it."""
        self._signing_out.add(user.name)
        task = asyncio.get_running_loop().create_task(self._sign_out(user))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _sign_out(self, user: User) -> None:
        wallet = self._wallets.of(user.name)
        try:
            async with wallet.lock:
                state = wallet.latest(await user.get_auth_state())
                if not state or user.name not in self._signing_out:
                    return
                marked = {**state, SIGNED_OUT: True}
                if wallet.newest is not None:
                    wallet.newest = marked
                # Kept, so that it is not forgotten with a restart of the hub.
                await user.save_auth_state(marked)
            await self.revoke_unneeded(user)
        except Exception:
            self.log.exception("The tokens of %s, who signed out, could not be looked at", user.name)

    async def revoke_unneeded(self, user: User) -> None:
        """Revoke the refresh token (RFC 7009) of somebody who signed out and whom no session and no job needs."""
        if self._watch is None or await self._watch.needed(user):
            return
        wallet = self._wallets.of(user.name)
        async with wallet.lock:
            state = wallet.latest(await user.get_auth_state())
            if not state or user.name not in self._signing_out or not await self._revoke(user.name, state):
                return
            wallet.revoked(state)
            # Somebody may have signed in again meanwhile.
            if user.name in self._signing_out:
                self._signing_out.discard(user.name)
                await user.save_auth_state(None)

    async def _revoke(self, name: str, state: tokens.State) -> bool:
        """Tell IAM that a refresh token is not used any more; False if that has to be repeated."""
        token = state.get("refresh_token")
        try:
            endpoint = (await self.discover()).revocation
            if not token or not endpoint:
                return True
            params = {"token": token, "token_type_hint": "refresh_token"}
            if not self.basic_auth:
                params |= {"client_id": self.client_id, "client_secret": self.client_secret}
            await self.httpfetch(
                endpoint,
                "revocation",
                parse_json=False,
                method="POST",
                headers=self.build_token_info_request_headers(),
                body=urlencode(params),
                validate_cert=self.validate_server_cert,
                follow_redirects=False,
            )
        except HTTPClientError as error:
            refusal = ProviderRefusal.of(error, [self.client_secret, token])
            self.log.warning("IAM refused to revoke the refresh token of %s (%s)", name, refusal)
            return not refusal.of_the_client
        except (ProviderUnreachableError, ProviderBrokenError) as problem:
            self.log.warning("The refresh token of %s could not be revoked yet: %s", name, problem.what)
            return False
        self.log.info("The refresh token of %s, who signed out, is revoked", name)
        return True

    async def tidy(self, db: Any, users: Any) -> None:
        """Revoke what was needed until now; the first time those are found who signed out before the hub started."""
        if not self._looked_back:
            self._looked_back = True
            for found in db.query(orm.User).filter(orm.User.encrypted_auth_state.is_not(None)).all():
                state = await users[found].get_auth_state()
                if (state or {}).get(SIGNED_OUT):
                    self._signing_out.add(found.name)
        for name in sorted(self._signing_out):
            found = orm.User.find(db, name)
            if found is None:
                self._signing_out.discard(name)
            else:
                await self.revoke_unneeded(users[found])

    # Tokens for sessions

    def session_token_scopes(self) -> frozenset[str]:
        """Return the scopes of IAM tokens that sessions may ask for."""
        return self.now().token_scopes

    async def token_for_session(self, user: User, scopes: frozenset[str], audience: str) -> dict[str, Any]:
        """Return a session an access token, a new one only if none lasts that was made before.

        Parameters
        ----------
        scopes
            Some of `session_token_scopes`.
        audience
            Whom the token is for; empty: whoever takes it.

        Returns
        -------
        As a token endpoint answers, without refresh token and id token.

        Raises
        ------
        ProviderUnreachableError, ProviderBrokenError, SignInAgainError, ScopesNotGrantedError, TokenRateError
        """
        wallet = self._wallets.of(user.name)
        async with wallet.lock:
            token = wallet.found(scopes, audience)
            if token is None:
                if time.monotonic() < self._pause_until:
                    raise ProviderUnreachableError("it did not answer a moment ago")
                wallet.pace(scopes, audience)
                try:
                    token = await self._new_token(user, wallet, scopes, audience)
                except ProviderUnreachableError as problem:
                    self.log.warning("IAM gave no token for a session of %s: %s", user.name, problem.what)
                    self._pause()
                    raise
                except (ProviderBrokenError, SignInAgainError, ScopesNotGrantedError) as problem:
                    wallet.failed(scopes, audience, problem)
                    raise
                wallet.remember(token)
        return token.answer(time.time())

    async def _new_token(
        self, user: User, wallet: tokens.Wallet, scopes: frozenset[str], audience: str
    ) -> tokens.SessionToken:
        state = wallet.latest(await user.get_auth_state())
        refresh_token = (state or {}).get("refresh_token")
        if not state or not refresh_token:
            raise SignInAgainError
        refresh = self.build_refresh_token_request_params(refresh_token)
        if not self.token_client_id:
            refresh = tokens.narrow_request(refresh, scopes, audience)
        try:
            info = await self.get_token_info(None, refresh)
            if (rotated := info.get("refresh_token")) and rotated != refresh_token:
                after = tokens.with_refresh_token(state, str(rotated), info["renewed_at"])
                await self._keep(user, wallet, state, after)
            if self.token_client_id:
                return await self._exchanged(user, info, scopes, audience)
            try:
                return tokens.session_token(info, scopes, audience, info["renewed_at"])
            except tokens.TokenScopeError as problem:
                self.log.info(
                    "IAM did not narrow a token for a session of %s when it was renewed (it has %s besides); "
                    "trying a token exchange",
                    user.name,
                    problem,
                )
                return await self._exchanged(user, info, scopes, audience)
        except GrantRefusedError:
            raise SignInAgainError from None
        except ScopeRefusedError:
            raise ScopesNotGrantedError from None

    async def _exchanged(
        self, user: User, info: dict[str, Any], scopes: frozenset[str], audience: str
    ) -> tokens.SessionToken:
        """Exchange an access token of the hub for a narrow one (RFC 8693), as a client of its own if there is one."""
        params = tokens.exchange_request(info["access_token"], scopes, audience)
        headers = None
        if self.token_client_id:
            headers = tokens.basic(self.token_client_id, self.token_client_secret)
        elif not self.basic_auth:
            params |= {"client_id": self.client_id, "client_secret": self.client_secret}
        try:
            exchanged = await self.get_token_info(None, params, headers=headers)
            return tokens.session_token(exchanged, scopes, audience, exchanged["renewed_at"])
        except tokens.TokenScopeError as problem:
            self.log.warning(
                "IAM gave a token for a session of %s that is not handed out: it has the scopes %s, which were not asked "
                "for. Take them out of the default scopes of the client %s, or set AIINFN_IAM_TOKEN_CLIENT_ID.",
                user.name,
                problem,
                self.token_client_id or self.client_id,
            )
            raise ProviderBrokenError(_("IAM gave a token that can do more than was asked for.")) from None
        except (GrantRefusedError, ProviderBrokenError) as problem:
            # The grant is that of the access token here, which is some seconds old: no reason to sign in again.
            self.log.warning(
                "IAM gives no narrow tokens to the client %s: it ignores the scope when a token is renewed, and refused a "
                "token exchange (%s). Allow the client to exchange tokens, or set AIINFN_IAM_TOKEN_CLIENT_ID.",
                self.token_client_id or self.client_id,
                getattr(problem, "what", "invalid_grant"),
            )
            raise ProviderBrokenError(_("IAM gives this platform no tokens for sessions.")) from None

    async def _renew(
        self, user: User, wallet: tokens.Wallet, auth_state: tokens.State
    ) -> dict[str, Any] | None:
        """Make a new auth model with the stored tokens, or return None if there is none that can be renewed.

        Raises
        ------
        GrantRefusedError
            If IAM takes none of them.
        """
        await self.discover()
        token_info: dict[str, Any] = auth_state["token_response"]
        try:
            return dict(await self._token_to_auth_model(token_info))
        except HTTPClientError:
            pass  # An access token lives for an hour or less; now the refresh token has to do.
        refresh_token = auth_state.get("refresh_token")
        if not refresh_token:
            return None
        try:
            renewed = await self.get_token_info(None, self.build_refresh_token_request_params(refresh_token))
        except ScopeRefusedError:
            raise ProviderBrokenError(_("IAM refused the platform's request for tokens.")) from None
        # A provider may keep the refresh token and leave it, and the id token, out of this answer.
        kept = {
            key: token_info[key] for key in ("refresh_token", "id_token", "sub", "sid") if key in token_info
        }
        renewed = kept | renewed
        # Before anything else is asked: if that fails, the old refresh token may be worth nothing any more.
        await self._keep(user, wallet, auth_state, tokens.with_tokens(auth_state, renewed))
        try:
            return dict(await self._token_to_auth_model(renewed))
        except HTTPClientError as error:
            refusal = ProviderRefusal.of(error, [renewed["access_token"]])
            self.log.warning("IAM refused a token that it has just made at its userinfo (%s)", refusal)
            if refusal.status not in {400, 401} or refusal.error == "insufficient_scope":
                raise ProviderBrokenError(_("IAM's userinfo cannot be read.")) from None
            raise GrantRefusedError from None

    def newest_state(self, name: str, state: tokens.State | None) -> tokens.State | None:
        """Return what to save instead of a state: tokens may have been renewed, or revoked, since it was made."""
        return self._wallets.of(name).latest(state)

    def _pause(self) -> None:
        self._pause_until = time.monotonic() + self.unreachable_pause
        self.provider.doubt()

    def _holds(self, name: str, auth_state: dict[str, Any]) -> MembershipVerdict:
        """Return whether what IAM said last still counts while it does not answer."""
        if time.time() - auth_state.get("checked_at", 0) <= self.unreachable_grace:
            return MembershipVerdict.HOLDS
        self.log.warning("IAM has not answered for too long: %s has to sign in again", name)
        return MembershipVerdict.SIGN_IN


def newest_tokens(
    authenticator: IAMAuthenticator, auth_model: dict[str, Any], _existing: tokens.State | None
) -> tokens.State | None:
    """Return the state that JupyterHub saves after a check: of two that were renewed the one with the newer tokens."""
    return authenticator.newest_state(auth_model["name"], auth_model.get("auth_state"))
