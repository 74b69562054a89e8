"""
The measurable half of the house style, over every module.
"""

from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.meta import rules, sources
from tests.meta.sources import Source

Rule = Callable[[Source], Iterator[str]]


def fail_for(complaints: Iterable[str]) -> None:
    """Fail with nothing but the complaints, one a line."""
    if found := list(complaints):
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize(
    "rule",
    [
        rules.judge_docstring,
        rules.judge_init,
        rules.judge_name,
        rules.judge_module_size,
        rules.judge_function_sizes,
        rules.judge_parameters,
    ],
)
def test_every_module_of_the_product(rule: Rule) -> None:
    fail_for(complaint for module in sources.product() for complaint in rule(module))


@pytest.mark.parametrize("rule", [rules.judge_docstring, rules.judge_init, rules.judge_name])
def test_every_module_of_the_tests(rule: Rule) -> None:
    fail_for(complaint for module in sources.tests() for complaint in rule(module))


def test_most_modules_are_small() -> None:
    sizes = [source.size for source in sources.product() if source.path.name != "__init__.py"]
    fail_for(rules.judge_spread("modules", sizes, median=rules.MODULE_MEDIAN, p90=rules.MODULE_P90))


def test_most_functions_are_small() -> None:
    sizes = [rules.function_size(function) for source in sources.product() for function in rules.functions(source)]
    fail_for(rules.judge_spread("functions", sizes, median=rules.FUNCTION_MEDIAN, p90=rules.FUNCTION_P90))
