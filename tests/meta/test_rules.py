"""
Every rule of `tests/meta/rules.py` complains of a planted violation, and of nothing else.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.meta import rules
from tests.meta.sources import Source, parse

FINE = '"""A docstring."""\n'


@pytest.mark.parametrize(
    ("rule", "path", "text", "complaint"),
    [
        (rules.judge_docstring, "a/b.py", "x = 1\n", "no docstring"),
        (rules.judge_docstring, "a/b.py", FINE, ""),
        (rules.judge_init, "a/__init__.py", FINE + "import os\n", "more than a docstring"),
        (rules.judge_init, "a/__init__.py", FINE, ""),
        (rules.judge_init, "a/b.py", FINE + "import os\n", ""),
        (rules.judge_name, "a/utils.py", FINE, "'utils' says nothing"),
        (rules.judge_name, "a/handlers/b.py", FINE, "'handlers' says nothing"),
        (rules.judge_name, "a/management/b.py", FINE, ""),
        (rules.judge_module_size, "a/b.py", FINE + "x = 1\n" * 400, "401 lines"),
        (rules.judge_module_size, "a/b.py", FINE + "x = 1\n" * 399, ""),
        (rules.judge_function_sizes, "a/b.py", "def f():\n" + "    x = 1\n" * 50, "f has 51 lines"),
        (rules.judge_function_sizes, "a/b.py", 'def f():\n    """Say."""\n' + "    x = 1\n" * 49, ""),
        (rules.judge_parameters, "a/b.py", "def f(a, *, b, c, d, e, g): ...", "takes 6 parameters"),
        (rules.judge_parameters, "a/b.py", "def f(a, b, c): ...", "keyword-only from the third"),
        (rules.judge_parameters, "a/b.py", "class A:\n    async def f(self, a, b, c): ...", "keyword-only"),
        (rules.judge_parameters, "a/b.py", "class A:\n    def f(self, a, b, *, c, d, e): ...", ""),
        (rules.judge_parameters, "a/b.py", "class A:\n    def __exit__(self, a, b, c): ...", ""),
        (rules.judge_parameters, "a/b.py", "@click.command('a')\ndef f(a, b, c, d, e, g): ...", ""),
        (rules.judge_parameters, "a/b.py", "async def app(scope, receive, send): ...", ""),
        (rules.judge_parameters, "a/b.py", "class A:\n    @typing.override\n    def f(self, a, b, c): ...", ""),
    ],
)
def test_a_planted_violation(rule: Callable[[Source], Iterator[str]], path: str, text: str, complaint: str) -> None:
    found = "".join(rule(parse(Path(path), text)))
    assert complaint in found
    assert bool(complaint) == bool(found)


def test_the_spread_of_sizes() -> None:
    assert "median 9" in "".join(rules.judge_spread("functions", [9] * 10, median=8, p90=25))
    assert "nine in ten" in "".join(rules.judge_spread("functions", [1] * 8 + [26] * 2, median=8, p90=25))
    assert not list(rules.judge_spread("functions", [1] * 10, median=8, p90=25))
