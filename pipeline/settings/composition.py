"""From conf/ and a command line to checked settings; all that Hydra composes is composed here."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.base.errors import UserError, require
from pipeline.horizon.options import AskedOptions
from pipeline.settings.known import require_known, unknown
from pipeline.settings.messages import sentence
from pipeline.settings.overrides import ELSEWHERE, asked, choice
from pipeline.settings.places import CONF, PARTS, options
from pipeline.settings.schema import OWN, SECTIONS, Settings
from pipeline.settings.typed import of_type, section

VERSION = "1.3"  # whose behaviour Hydra keeps


@contextmanager
def hydra_errors_as_user_errors() -> Iterator[None]:
    """Turn what Hydra or OmegaConf raise into a `UserError`."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError, yaml.YAMLError) as error:
        raise UserError(sentence(error)) from error


def compose(overrides: Sequence[str], used: Collection[str] = PARTS) -> Settings:
    """Return checked settings; raise `UserError` for the first override or value that is wrong.

    Of the parts only those in `used` are made and checked.
    """
    require_line(overrides)
    with hydra_errors_as_user_errors():
        config, names = composed(overrides)
    return check(config, names, overrides=asked(overrides), used=used)


def require_line(words: Sequence[str], several: bool = False) -> None:
    """Raise `UserError` for the first word that is no override, or overrides nothing that is there."""
    with hydra_errors_as_user_errors():
        parsed = OverridesParser.create().parse_overrides(list(words))
        require_known(parsed, several)


def composed(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """Return Hydra's configuration, and what was chosen in each group; also while a command of Hydra's runs."""
    if GlobalHydra.instance().is_initialized():
        config = hydra.compose("config", list(overrides), return_hydra_config=True)
    else:
        with hydra.initialize_config_dir(version_base=VERSION, config_dir=str(CONF)):
            config = hydra.compose("config", list(overrides), return_hydra_config=True)
    names = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return config, names


def composed_tree(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a command line as plain values, unchecked."""
    return _plain(composed(overrides)[0])


def grid(settings: Settings) -> list[Settings]:
    """Return the same settings for each pair of a sweep, as the command of one pair would get them."""
    require(settings.experiment is None, "experiment", "names one pair, so it is for search", settings.experiment)
    given = [each for each in settings.overrides if each.partition("=")[0] not in ("task", "cell")]
    return [
        beside(settings, given, choice("task", task), choice("cell", cell)) for task, cell in settings.sweep.pairs()
    ]


def beside(settings: Settings, given: Sequence[str], *pair: str) -> Settings:
    """Return the settings of another line, whose results go where these go; the words of `pair` are not recorded.

    Raises `UserError` for the first word or value that is wrong.
    """
    require_line([*given, *pair])
    with hydra_errors_as_user_errors():
        config, names = composed([*given, *pair])
    with open_dict(config):
        config.update({name: settings.tree[name] for name in ELSEWHERE})
    return check(config, names, settings.folder, given)


def check(
    config: DictConfig,
    names: Mapping[str, str | None],
    folder: str | None = None,
    overrides: Sequence[str] = (),
    used: Collection[str] = PARTS,
) -> Settings:
    """Return the settings of a composed configuration; raise `UserError` for the first wrong value."""
    for group in PARTS:
        require(names.get(group) is not None, group, f"must be one of {', '.join(options(group))}", None)
    with hydra_errors_as_user_errors():
        tree = _plain(config)
    publish, parts = of_type("publish", tree.pop("publish", False), bool), _parts(tree)
    search = tree.get("search")
    settings = Settings(
        **_sections({name: values for name, values in tree.items() if name not in parts}),
        open_range=isinstance(search, Mapping) and search.get("length_max") is None,
        parts=parts,
        names={group: str(names[group]) for group in PARTS},
        folder=folder,
        experiment=names.get("experiment"),
        publish=publish,
        overrides=tuple(overrides),
    )
    from pipeline.settings.checks import check_parts  # numpy

    check_parts(settings, used)
    return settings


def _parts(tree: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the values of each part; raise `UserError` where one is no group of settings."""
    for group in PARTS:
        require(isinstance(tree.get(group), Mapping), group, "is a group of settings", tree.get(group))
    return {group: tree[group] for group in tree if group in PARTS}


def _sections(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the typed sections; raise `UserError` for a name that is none, and for the first wrong value."""
    sections = {kind.section: kind for kind in (*SECTIONS, *OWN)} | {AskedOptions.section: AskedOptions}
    for name in tree:
        if name not in sections:
            raise UserError(unknown(name))
    values: dict[str, Any] = {name: section(kind, tree.get(name)) for name, kind in sections.items()}
    return values | {"search": values["search"].within(values["training"].updates)}


def _plain(config: DictConfig) -> dict[str, Any]:
    tree: dict[str, Any] = _with_infinities(OmegaConf.to_container(config, resolve=True))
    return tree


def _with_infinities(value: Any) -> Any:
    """Return settings with numbers for `.inf` and `.nan`, which are such in YAML, and text on Hydra's command line."""
    if isinstance(value, dict):
        return {key: _with_infinities(each) for key, each in value.items()}
    return float(value.replace(".", "")) if value in (".inf", "-.inf", ".nan") else value
