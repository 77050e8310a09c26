"""Command lines as nobody should type them, for hypothesis, and what becomes of them.

Composing conf/ anew for each of hundreds of lines would take minutes. `composed` does it once for each choice of parts;
Hydra's own parser and its own rules then put the rest of a line on top of that, as they do in a command.
"""

import copy
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any

import hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck
from hypothesis import settings as examples
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict

from pipeline.base.errors import UserError
from pipeline.settings import CONF, PARTS, Settings
from pipeline.settings.composition import check, hydra_errors_as_user_errors
from pipeline.settings.known import require_known
from tests.conftest import options

SMALL = (
    "cell.hidden=3",
    "data.held_out=4",
    "training.length=12",
    "training.updates=2",
    "training.replicas=2",
    "training.batch=2",
    "training.threads=1",
    "search.length_min=12",
    "search.length_max=16",
    "search.replicas=2",
    "search.trials=2",
    "search.tuned=false",
    "tracking.enabled=false",
)
LINES = int(os.environ.get("INPUT_CASES", "100"))  # more, for a longer look
OPTIONAL = """
    betas eps weight_decay amsgrad foreach fused capturable centered differentiable maximize nesterov dampening params
"""  # that an optimizer may have beside those in conf/
OF_HYDRA = "_target_ _partial_ _args_ _convert_ nope"
NOWHERE = """
    nope training.lenght trainingé.length _target_ experiment training.length.more . a..b
    tune.sampler._partial_ tune.sampler.seed tune.sampler.n_ei_candidates tune.cells.rnn.gain
"""
EXTRA = (
    *(f"optimizer.{name}" for name in OPTIONAL.split()),
    *(f"{group}.{name}" for group in PARTS for name in OF_HYDRA.split()),
    *NOWHERE.split(),
    "",
)
WORDS = r"""
    0 1 2 3 7 20 64 -1 -3 1.0 0.5 0.1 0.9 1.5 1e-9 -0.0 1e3 1_000 0x10 1e300 1e999 -1e999
    nan inf -inf .nan .inf -.inf null true false yes ??? ~ abc a:b a=b é 😀 ../.. /dev/null
    1000000000 10000000 9223372036854775807 9223372036854775808 -99999999999999999999
    [] {} [1,2] [0.9,0.999] [nan] [[1]] {a:1} {a:{b:[1]}} {low:1,high:2} {_target_:os.system}
    ${nope} ${task} ${training.length} ${training.updates} ${oc.env:HOME} ${oc.env:NOPE} ${ $
    ' " [1 {a 1,2 range(1,3) choice(1,2) \ '' 'é😀' '
'
    os.system builtins.eval torch.load torch.optim.sgd.__builtins__ optuna.storages.RDBStorage
    hydra.utils.call pipeline.base.files.write_json pipeline.settings.messages.fail pipeline.search.main pipeline.cells
    torch.optim.SGD torch.optim.LBFGS torch.optim.SparseAdam torch.optim.lr_scheduler.StepLR
    torch.optim.swa_utils.AveragedModel optuna.samplers.RandomSampler pipeline.cells.gru.GRU
"""
VALUES = (*WORDS.split(), "", "' '", "'a b'", "a\tb", "x" * 3000, "1" + "0" * 400)


@dataclass(frozen=True)
class Line:
    """A command line: parts that are chosen, and words that say more."""

    parts: tuple[str, ...]
    words: tuple[str, ...]


@cache
def composed(parts: tuple[str, ...]) -> tuple[DictConfig, dict[str, str | None]]:
    """conf/ with these parts, small enough to be run, and the names of what was chosen."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        config = hydra.compose("config", [*parts, *SMALL], return_hydra_config=True)
    names = dict(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    return config, names


@cache
def names_of_settings(parts: tuple[str, ...]) -> list[str]:
    """Every setting and every group of settings there is with these parts."""
    tree: Any = OmegaConf.to_container(composed(parts)[0])
    return [*_flat(tree), *EXTRA]


def _flat(tree: dict[str, Any], prefix: str = "") -> list[str]:
    """Every name of a tree, groups and what is in them."""
    nested = [
        [prefix + key, *(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [])]
        for key, value in tree.items()
    ]
    return [name for names in nested for name in names]


def settings_of(line: Line) -> Settings:
    """Return checked settings; raise what a command raises."""
    config, names = composed(line.parts)
    config = copy.deepcopy(config)
    with hydra_errors_as_user_errors():
        parsed = OverridesParser.create().parse_overrides(list(line.words))
        require_known(parsed, several=False)
        ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
    return check(config, names, overrides=line.words)


def told(line: Line) -> Settings | str:
    """The settings, or the sentence with which a command would refuse them."""
    try:
        return settings_of(line)
    except UserError as error:
        return str(error)


def is_about(sentence: str, words: Sequence[str]) -> bool:
    """Whether a sentence is one, and names something of one of the words: all of it, its setting, or the group."""
    names = [re.split("[=@]", word.lstrip("+~"))[0] for word in words]
    mentioned = [*words, *names, *(name.partition(".")[0] for name in names)]
    if any(name.startswith("tune.c") for name in names):
        mentioned.append("cell.")  # without a space of its own, a cell is tried with the settings of every cell
    one = "\n" not in sentence.strip() and "Traceback" not in sentence and not sentence.endswith(".")
    return one and any((each and each in sentence) or repr(each) in sentence for each in mentioned)


def words(parts: tuple[str, ...]) -> st.SearchStrategy[str]:
    """One override: a setting and a value, or something that only looks like it; two in five may well be right."""
    names = names_of_settings(parts)
    numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats()).map(str)
    values = st.one_of(st.sampled_from(VALUES), st.sampled_from(VALUES), numbers, st.text(max_size=8))
    odd = st.builds("{}{}={}".format, st.sampled_from(("", "", "", "++", "+", "~")), st.sampled_from(names), values)
    bare = st.builds("{}{}".format, st.sampled_from(("~", "+", "")), st.sampled_from(names))
    small = st.one_of(st.integers(0, 20), st.floats(0, 3), st.sampled_from(("true", "false", "null")))
    likely = st.builds("{}={}".format, st.sampled_from([name for name in names if name not in EXTRA]), small)
    kinds = st.sampled_from(("optimizer.weight_decay", "optimizer.eps", "cell.gain", "cell.hidden", "training.clip"))
    return st.one_of(odd, odd, odd, bare, likely, likely, st.builds("++{}={}".format, kinds, small))


def choices() -> list[tuple[str, ...]]:
    """Choices of parts in which every part is chosen once."""
    rows = zip_longest(*(options(group) for group in PARTS if group != "sampler"))
    groups = [group for group in PARTS if group != "sampler"]
    return [tuple(f"{group}={name}" for group, name in zip(groups, row, strict=True) if name) for row in rows]


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """A line of one to three words; the same setting may be named twice."""
    parts = draw(st.sampled_from(choices()))
    return Line(parts, tuple(draw(st.lists(words(parts), min_size=1, max_size=draw(st.sampled_from((1, 1, 2, 3)))))))


def cases(share: float = 1.0) -> examples:
    """Return settings for so many cases; see tests.base.draws."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return examples(max_examples=max(1, round(share * LINES)), deadline=None, suppress_health_check=checks)
