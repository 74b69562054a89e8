"""
The import rules of `.importlinter`, read for the tests that hold other things against them.
"""

from configparser import ConfigParser

from tests.meta.sources import ROOT


def root_packages() -> list[str]:
    """Name the packages that the import rules know."""
    return _words("importlinter", "root_packages")


def pure_modules() -> list[str]:
    """Name the modules, or whole packages, that decide and do no I/O."""
    return _words("importlinter:contract:pure", "source_modules")


def exhaustive_packages() -> list[str]:
    """Name the packages in which every module must have a place."""
    exhaustive = [name for name in _rules().sections() if _rules().getboolean(name, "exhaustive", fallback=False)]
    return [word for name in exhaustive for word in _words(name, "containers")]


def _words(section: str, option: str) -> list[str]:
    return _rules().get(section, option).split()


def _rules() -> ConfigParser:
    rules = ConfigParser()
    rules.read(ROOT / ".importlinter")
    return rules
