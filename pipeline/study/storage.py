"""A study's database, which may be away for a while: restarted, out of reach, or locked by another process."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from pipeline.base.errors import UserError
from pipeline.base.sqlite import PATIENCE
from pipeline.study import optuna_private

AWAY = 300.0  # seconds that a database may be away before a search gives up
PAUSE = 0.5  # seconds between two tries
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
# seconds between tries to open it: processes that make it at once stumble, and a server may just be starting
OPENING = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)

Method = TypeVar("Method", bound=Callable[..., Any])


def retried(method: Method) -> Method:
    """Return a method of a storage that calls that of its `backend`, and retries it while the database is away."""

    @wraps(method, updated=())  # without the mark that it is abstract
    def call(self: "Database", *args: Any, **kwargs: Any) -> Any:
        until = time.monotonic() + AWAY
        while True:
            try:
                return getattr(self.backend, method.__name__)(*args, **kwargs)
            except (StorageInternalError, DBAPIError) as error:
                if not is_away(error) or time.monotonic() > until:
                    said = f"the study's database does not take what is written: {reason(error)}"
                    raise UserError(f"{said}; finished trials are kept") from error
            time.sleep(PAUSE)

    return call  # type: ignore[return-value]


class Database(BaseStorage):
    """Optuna's storage in a database. Every call is retried until the database answers, or was away too long.

    A call made twice has the effect of once, or leaves a trial that nobody owns. Raises `UserError` where the database
    does not answer in the end, or can't write: one sentence, without the address, which may hold a password.
    """

    def __init__(self, url: str) -> None:
        for pause in (*OPENING, None):
            try:
                self.backend = _opened(url)
                break
            except (DatabaseError, StorageInternalError) as error:  # Optuna's own where it was at a commit
                if pause is None:
                    raise UserError(f"the study's database can't be opened: {reason(error)}") from error
                time.sleep(pause)

    create_new_study = retried(BaseStorage.create_new_study)
    delete_study = retried(BaseStorage.delete_study)
    set_study_user_attr = retried(BaseStorage.set_study_user_attr)
    set_study_system_attr = retried(BaseStorage.set_study_system_attr)
    get_study_id_from_name = retried(BaseStorage.get_study_id_from_name)
    get_study_name_from_id = retried(BaseStorage.get_study_name_from_id)
    get_study_directions = retried(BaseStorage.get_study_directions)
    get_study_user_attrs = retried(BaseStorage.get_study_user_attrs)
    get_study_system_attrs = retried(BaseStorage.get_study_system_attrs)
    get_all_studies = retried(BaseStorage.get_all_studies)
    create_new_trial = retried(BaseStorage.create_new_trial)
    set_trial_param = retried(BaseStorage.set_trial_param)
    set_trial_state_values = retried(BaseStorage.set_trial_state_values)
    set_trial_intermediate_value = retried(BaseStorage.set_trial_intermediate_value)
    set_trial_user_attr = retried(BaseStorage.set_trial_user_attr)
    set_trial_system_attr = retried(BaseStorage.set_trial_system_attr)
    get_trial_id_from_study_id_trial_number = retried(BaseStorage.get_trial_id_from_study_id_trial_number)
    get_trial = retried(BaseStorage.get_trial)
    get_all_trials = retried(BaseStorage.get_all_trials)

    def remove_session(self) -> None:
        self.backend.remove_session()


def _opened(url: str) -> BaseStorage:
    scheme = url.partition(":")[0].partition("+")[0]
    engine = {"connect_args": CONNECT.get(scheme, {}), "pool_pre_ping": scheme != "sqlite"}
    database = RDBStorage(url, engine_kwargs=engine)
    if scheme == "sqlite":
        optuna_private.complete(database)
    return optuna_private.cached(database)


def is_away(error: BaseException) -> bool:
    """Return True if a call may succeed later: the server does not answer now, or another process locks the file."""
    cause = cause_of(error)
    if not isinstance(cause, OperationalError | InterfaceError):
        return False
    return "locked" in str(cause.orig) if "sqlite" in type(cause.orig).__module__ else True


def cause_of(error: BaseException) -> BaseException:
    """Return what SQLAlchemy said, where Optuna wrapped it."""
    return error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error


def reason(error: BaseException) -> str:
    """Return the first line of what the database said."""
    cause = cause_of(error)
    return str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
