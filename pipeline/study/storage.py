"""A study's database, which may be away for a while: restarted, out of reach, or locked by another process."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from pipeline.base.errors import UserError
from pipeline.base.sqlite import PATIENCE

AWAY = 300.0  # seconds that a database may be away before a search gives up
PAUSE = 0.5  # seconds before it is asked again
CONNECT: dict[str, dict[str, Any]] = {  # what their drivers are told
    "sqlite": {"timeout": PATIENCE},
    "postgresql": {  # a host that vanished is noticed within a minute, and its locks are not kept for longer
        "connect_timeout": 20,
        "tcp_user_timeout": 60_000,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "options": "-c idle_in_transaction_session_timeout=60000",
    },
}
# seconds before it is opened again: processes that make it at once stumble, and a server may just be starting
OPENING = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
CALLS = (  # of a storage, by a study; made twice, each has the effect of once, or of a trial that nobody owns
    "create_new_study",
    "get_all_studies",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_trial",
    "get_trial_id_from_study_id_trial_number",
    "set_trial_state_values",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "_create_new_trial",
    "_get_trials",
    "_set_trial_param",
)


class Database(RDBStorage):
    """Optuna's storage in a database. A call is made again until the database has answered, or was away too long.

    Raises `UserError` where it does not answer in the end, or can't write: one sentence, without the address, which
    may hold a password.
    """

    def __init__(self, url: str) -> None:
        scheme = url.partition(":")[0].partition("+")[0]
        engine = {"connect_args": CONNECT.get(scheme, {}), "pool_pre_ping": scheme != "sqlite"}
        for pause in (*OPENING, None):
            try:
                super().__init__(url, engine_kwargs=engine)
                break
            except (DatabaseError, StorageInternalError) as error:  # Optuna's own where it was at a commit
                if pause is None:
                    raise UserError(f"the study's database can't be opened: {reason(error)}") from error
                time.sleep(pause)


def patient(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, made again while the database is away."""

    @wraps(call)
    def patiently(*args: Any, **kwargs: Any) -> Any:
        until = time.monotonic() + AWAY
        while True:
            try:
                return call(*args, **kwargs)
            except (StorageInternalError, DBAPIError) as error:
                if not away(error) or time.monotonic() > until:
                    said = f"the study's database does not take what is written: {reason(error)}"
                    raise UserError(f"{said}; finished trials are kept") from error
            time.sleep(PAUSE)

    return patiently


for _name in CALLS:
    setattr(Database, _name, patient(getattr(RDBStorage, _name)))


def away(error: BaseException) -> bool:
    """Whether a call may succeed later: the server does not answer now, or another process locks the file."""
    cause = cause_of(error)
    if not isinstance(cause, OperationalError | InterfaceError):
        return False
    return "locked" in str(cause.orig) if "sqlite" in type(cause.orig).__module__ else True


def cause_of(error: BaseException) -> BaseException:
    """What SQLAlchemy said, where Optuna wrapped it."""
    return error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error


def reason(error: BaseException) -> str:
    """What the database said, in its first line."""
    cause = cause_of(error)
    return str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
