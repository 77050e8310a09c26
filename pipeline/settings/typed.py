"""Values of conf/ and the command line as typed fields; what does not fit is one sentence."""

from collections.abc import Mapping
from inspect import signature
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.base.errors import UserError, require
from pipeline.base.rules import Section, require_rules
from pipeline.settings.known import unknown
from pipeline.settings.trust import trusted_class

WHOLE = 2**63  # whole numbers stay below, in size: numpy and torch have no larger ones
LARGEST = 3.4e38  # the same of other numbers: a float32 has no larger ones
SMALLEST = 2.3e-308  # of those that are not 0: a training takes denormal ones for 0
BOUNDLESS = ("training.clip",)  # may be infinite
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}

Kind = TypeVar("Kind")
OneSection = TypeVar("OneSection", bound=Section)


def section(kind: type[OneSection], values: Any) -> OneSection:
    """Return the typed, checked settings of one section; raise `UserError` for the first wrong value."""
    made = typed(kind.section, kind, values)
    made.check()
    return made


def typed(name: str, kind: type[Kind], values: Any) -> Kind:
    """Return `kind(**values)` with the types and ranges of its fields enforced; an error names `name`.field."""
    require(isinstance(values, Mapping), name, "is a group of settings", values)
    fields, hints, ruled = signature(kind).parameters, get_type_hints(kind), get_type_hints(kind, include_extras=True)
    for field in values:
        if field not in fields:
            raise UserError(unknown(f"{name}.{field}"))
    for field, parameter in fields.items():
        if field not in values and parameter.default is parameter.empty:
            raise UserError(f"{name}.{field} must have a value")
    found = {field: of_type(f"{name}.{field}", value, hints[field]) for field, value in values.items()}
    for field, value in found.items():
        require_rules(f"{name}.{field}", value, ruled[field])
    return kind(**found)


def of_type(name: str, value: Any, kind: Any) -> Any:
    """Return the value, a whole number as float where a float is wanted; raise `UserError` for another type."""
    if get_origin(kind) is type:
        return trusted_class(value, name, get_args(kind)[0])
    if get_origin(kind) is Mapping:
        require(isinstance(value, Mapping), name, "is a group of settings", value)
        return value
    allowed = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if not set(allowed) <= set(KINDS):
        return value  # a rule beside the type, or the class, checks it
    words = " or ".join(KINDS[each] for each in allowed)
    if type(value) is int and {int, float} & set(allowed):
        require(abs(value) < WHOLE, name, f"must be {words}, below 2^63 in size", value)
        return value if int in allowed else float(value)
    require(type(value) in allowed and value == value, name, f"must be {words}", value)  # nan equals nothing
    if isinstance(value, float):
        small = abs(value) < LARGEST or name in BOUNDLESS
        require(small, name, f"must be {words}, below {LARGEST:g} in size", value)
        normal = value == 0 or abs(value) >= SMALLEST
        require(normal, name, f"must be {words}, 0 or at least {SMALLEST:g} in size", value)
    return value
