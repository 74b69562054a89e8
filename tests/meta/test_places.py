"""
Everything has its place: packages in the import rules, unit tests beside modules, a test for each pure module.
"""

import pytest

from tests.meta import contracts, rules, sources


def unit_tests(package: str) -> dict[str, str]:
    """Map what the unit tests of a package are named for to their paths."""
    folder = sources.ROOT / "tests" / "unit" / package
    return {path.stem.removeprefix("test_"): str(path) for path in folder.rglob("test_*.py")}


def module_names(package: str) -> set[str]:
    """The last names of a package's modules and sub-packages."""
    return {source.dotted.rpartition(".")[2] for source in sources.product() if source.path.parts[0] == package}


def test_the_import_rules_know_every_package() -> None:
    assert contracts.root_packages() == sources.packages()


def test_every_package_is_exhaustive() -> None:
    """import-linter then fails on a module without a place. The two at the bottom have no layers to tell apart."""
    assert set(contracts.exhaustive_packages()) == set(sources.packages()) - {"protocol", "options"}


@pytest.mark.parametrize("package", sources.packages())
def test_unit_tests_mirror_the_source(package: str) -> None:
    """A unit test is named for one module of its package."""
    astray = {path for name, path in unit_tests(package).items() if name not in module_names(package)}
    assert not astray


def test_every_pure_module_has_unit_tests() -> None:
    """Modules without a function are messages; golden files hold those."""
    untested = [
        source.dotted
        for source in sources.product()
        for pure in contracts.pure_modules()
        if f"{source.dotted}.".startswith(f"{pure}.") and any(rules.functions(source))
        if source.path.stem not in unit_tests(source.path.parts[0])
    ]
    assert not untested
