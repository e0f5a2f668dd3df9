"""The model of tongdai.toml: every key, its type, its limits and its default.

docs/configuration.md says what each is for; a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ivr.trunk import TrunkConfig
from server.config.errors import FILE, ConfigError
from server.config.values import (
    Bind,
    CallerId,
    DatabaseUrl,
    Host,
    HostPort,
    IpAddress,
    Language,
    Network,
    Ports,
    Prefix,
    Region,
    UserName,
    Zone,
)

T = TypeVar("T")
Listed = Annotated[tuple[T, ...], Field(strict=False)]  # a TOML array, frozen like the rest
Codec = Literal["PCMA", "PCMU"]


class Section(BaseModel):
    """What every table of the file shares: no unknown keys, no guessing of types, no changes."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


class Account(Section):
    """A section that holds a password, in the file or in a variable of the environment."""

    name: UserName
    password: SecretStr = SecretStr("")
    password_env: str = ""

    def secret(self, environment: Mapping[str, str] = os.environ) -> str:
        """The password. Raises ConfigError where the variable that should hold it is not set."""
        if not self.password_env:
            return self.password.get_secret_value()
        value = environment.get(self.password_env)
        if not value:
            raise ConfigError(
                [
                    f'{FILE}: password_env of "{self.name}": the environment variable '
                    f"{self.password_env} is not set: export it, then start again."
                ]
            )
        return value


class Sip(Section):
    """[sip]: signalling."""

    bind: Bind = HostPort("0.0.0.0", 5060)  # noqa: S104  a SIP server is there to be reached
    external_address: IpAddress = ""
    max_calls: int = Field(default=2000, ge=1, le=20_000)
    max_call_seconds: float = Field(default=14_400.0, ge=60, le=604_800)


class Rtp(Section):
    """[rtp]: media."""

    bind: IpAddress = ""  # empty: the address of [sip] bind
    ports: Ports = range(20_000, 30_000)
    external_address: IpAddress = ""  # empty: that of [sip]
    workers: int = Field(default=1, ge=1, le=64)
    timeout: float = Field(default=60.0, ge=0, le=3600)  # seconds


class Http(Section):
    """[http]: the API, /healthz and /metrics."""

    bind: Bind = HostPort("127.0.0.1", 8080)


class Log(Section):
    """[log]: what `tongdai serve` writes to stderr."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Compliance(Section):
    """[compliance]: which country's rules for calls hold."""

    preset: Literal["vn", "us", "uk", "none"] = "vn"


class Trunk(Account):
    """[[trunk]]: a carrier, or a PBX."""

    host: Host
    failover: Listed[UserName] = ()  # names of other trunks, in order
    transport: Literal["udp", "tcp"] = "udp"
    allow: Listed[Network] = ()
    username: str = ""
    register_: bool = Field(default=False, alias="register")
    register_expires: int = Field(default=300, ge=30, le=86_400)  # seconds
    qualify: float = Field(default=30.0, ge=0, le=3600)  # seconds between OPTIONS; 0: none
    caller_ids: Listed[CallerId] = ()
    number_format: Literal["plus", "e164", "national"] = "plus"
    prefix: Prefix = ""
    max_calls: int = Field(default=100, ge=1, le=20_000)
    calls_per_second: float = Field(default=10.0, gt=0, le=1000)
    codecs: Listed[Codec] = ("PCMA", "PCMU")


class User(Account):
    """[[user]]: a phone that may register here, such as an agent's."""


class Inbound(Section):
    """[[inbound]]: which call flow answers a called number."""

    number: str
    flow: str


class Config(Section):
    """The whole of tongdai.toml."""

    timezone: Zone = ZoneInfo("Asia/Ho_Chi_Minh")
    region: Region = "VN"
    language: Language = "vi"
    database: DatabaseUrl = Field(default="sqlite:///tongdai.db", repr=False)
    drain_seconds: float = Field(default=120.0, ge=0, le=86_400)
    sip: Sip = Sip()
    rtp: Rtp = Rtp()
    http: Http = Http()
    log: Log = Log()
    compliance: Compliance = Compliance()
    trunks: Listed[Trunk] = Field(default=(), alias="trunk")
    users: Listed[User] = Field(default=(), alias="user")
    inbound: Listed[Inbound] = ()

    def trunk(self, name: str) -> Trunk | None:
        """The trunk of that name."""
        return next((trunk for trunk in self.trunks if trunk.name == name), None)

    def trunk_config(
        self, trunk: Trunk, environment: Mapping[str, str] = os.environ
    ) -> TrunkConfig:
        """A trunk as the telephone engine wants it. Raises ConfigError (see Account.secret)."""
        return TrunkConfig(
            name=trunk.name,
            host=trunk.host.host,
            port=trunk.host.port,
            transport=trunk.transport,
            caller_ids=trunk.caller_ids,
            max_calls=trunk.max_calls,
            calls_per_second=trunk.calls_per_second,
            codecs=trunk.codecs,
            username=trunk.username,
            password=trunk.secret(environment),
            register=trunk.register_,
            register_expires=trunk.register_expires,
            qualify=trunk.qualify,
            number_format=trunk.number_format,
            prefix=trunk.prefix,
            region=self.region,
            failover=trunk.failover,
            allow=trunk.allow,
        )
