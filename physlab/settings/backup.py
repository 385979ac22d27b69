"""`[backup]` and `[notify]`: where the lab is saved to, for how long, and who hears when it was not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from physlab.model.base import Model
from physlab.settings.rates import read_rate

BACKENDS = ("sftp:", "s3:", "rest:", "azure:", "gs:", "b2:", "swift:", "rclone:")
DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
DAY_S = 86_400.0


def read_days(text: str) -> int:
    """Return the days of `30 days`, `30_days`, `30d`, `2 weeks`; a month has 30, a year 365.

    Raises:
        ValueError: It is not a number of days.
    """
    match = re.fullmatch(r"\s*(\d{1,5})[\s_-]*(d|w|m|y|days?|weeks?|months?|years?)?\s*", str(text))
    if match is None or int(match[1]) < 1:
        raise ValueError(f"'{text}' is no time to keep; say 30 days, 30_days or 6 months")
    words = {word[0]: word for word in DAYS}
    return int(match[1]) * DAYS[words[(match[2] or "d")[0]]]


def read_share(text: str) -> int:
    """Return the n of `1/n`: how many parts the data is read in; 1 reads all at once.

    Raises:
        ValueError: It is not such a share.
    """
    match = re.fullmatch(r"\s*1\s*/\s*(\d{1,3})\s*", str(text))
    if match is None or not 1 <= int(match[1]) <= 256:
        raise ValueError(f"'{text}' is no share; say 1/30 (one of at most 256 parts), or 1/1 for all")
    return int(match[1])


def read_schedule(text: str) -> str:
    """Return `daily`, `daily at 03:30`, `03:30` or five fields of cron as cron.

    Raises:
        ValueError: It is none of these.
    """
    said = str(text).strip()
    if said == "daily":
        return "30 3 * * *"
    if match := re.fullmatch(r"(?:daily at )?([01]?\d|2[0-3]):([0-5]\d)", said):
        return f"{int(match[2])} {int(match[1])} * * *"
    if re.fullmatch(r"[\d*/,\-]+( [\dA-Za-z*/,\-]+){4}", said):
        return said
    raise ValueError(f"'{text}' is no schedule; say daily, daily at 03:30, or five fields of cron (30 3 * * *)")


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _spells_days(text: str) -> str:
    read_days(text)
    return text


def _spells_rate(text: str) -> str:
    read_rate(text)
    return text


def _spells_share(text: str) -> str:
    read_share(text)
    return text


def _spells_schedule(text: str) -> str:
    read_schedule(text)
    return text


class BackupSettings(Model):
    """`[backup]`: where the lab is saved to, what with it, and for how long."""

    repository: str | None = Field(
        None,
        description="Where backups go, as restic names it: /mnt/disk/lab, sftp:host:/lab, s3:https://host/bucket, "
        "rest:https://host/lab; or store:NAME, a sealed store of [stores.NAME], without restic; unset: there are none.",
    )
    restic: str = Field("restic", min_length=1, description="The program restic, by name or full path.")
    options: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="Restic's own extended options, such as sftp.command=ssh -p 2222 me@host -s sftp."
    )
    password: SecretStr | None = Field(
        None, description="Password of the repository; as the variable PHYSLAB_BACKUP__PASSWORD, not in a file."
    )
    password_file: Path | None = Field(
        None, description="File with the password; unset, and nothing else either: made in the lab's keys."
    )
    password_command: str | None = Field(
        None, description="Command that prints the password, such as pass show lab/backup; no shell reads it."
    )
    also: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = Field(
        (), description="Folders and git repositories to save as well; of a repository what is committed."
    )
    server: bool = Field(True, description="Save the database of the lab's own Prefect server too.")
    keep: Annotated[str, AfterValidator(_spells_days)] = Field(
        "30 days",
        description="Backups are kept so long, by when they were received, and never fewer than so many days.",
    )
    prune: bool = Field(
        True, description="Forget older ones after a backup; false where the repository only lets itself be added to."
    )
    schedule: Annotated[str, AfterValidator(_spells_schedule)] = Field(
        "daily", description="When: daily, daily at 03:30, or five fields of cron."
    )
    timezone: str = Field("UTC", min_length=1, description="Time zone of the schedule, such as Europe/Berlin.")
    late_h: float = Field(36, gt=0, description="A backup is late when the newest is older than this [h].")
    limit: Annotated[str, AfterValidator(_spells_rate)] | None = Field(
        None, description="Bytes a second that a backup may send or fetch, such as 5MB/s; unset: no limit."
    )
    share: Annotated[str, AfterValidator(_spells_share)] = Field(
        "1/30", description="The part of the data that the daily backup reads again, in turn; 1/1 is all, each day."
    )
    time_limit_h: float = Field(24, gt=0, description="A step of a backup or restore may take so long [h].")

    @field_validator("repository")
    @classmethod
    def _is_a_place(cls, place: str | None) -> str | None:
        if place is not None and not place.startswith(("/", "store:", *BACKENDS)):
            raise ValueError(
                f"give an absolute folder, one of {', '.join(BACKENDS)} as restic spells them, or store:NAME"
            )
        return place

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"'{name}' is no time zone; say UTC or Europe/Berlin") from error
        return name

    @model_validator(mode="after")
    def _has_one_password(self) -> BackupSettings:
        if sum(source is not None for source in (self.password, self.password_file, self.password_command)) > 1:
            raise ValueError("give one of password, password_file and password_command")
        return self


def _hook(url: str) -> str:
    this_machine = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/\S*)?"
    if not re.fullmatch(rf"https://[^\s/@?#]+(/\S*)?|{this_machine}", url):
        raise ValueError("give an https:// address without user and password; http:// only on this machine")
    return url


class NotifySettings(Model):
    """`[notify]`: who hears when something has to be looked at."""

    webhook: SecretStr | None = Field(
        None, description="https:// address that gets a JSON object by POST; it may be a secret, so it is never shown."
    )
    command: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="Program and arguments that get the same object on their input; no shell reads them."
    )
    timeout_s: float = Field(20, gt=0, le=600, description="How long either may take [s].")

    @field_validator("webhook")
    @classmethod
    def _is_safe(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _hook(url.get_secret_value())
        return url
