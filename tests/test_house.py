"""The rules of the house: levels, doors, doctests, and documents that tell the truth."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import huggingtweets

ROOT = Path(__file__).parent.parent
PACKAGE = Path(huggingtweets.__file__).parent
MODULES = sorted(module.name for module in pkgutil.walk_packages([str(PACKAGE)], "huggingtweets."))
DOORS = {
    "torch": {"adapters", "devices", "bases", "batches", "steps", "training", "writers", "evaluation"},
    "transformers": {"bases", "batches", "steps", "training", "bot", "writers", "evaluation"},
    "ctranslate2": {"writers"},
    "peft": {"adapters"},
    "tokenizers": {"writers"},
    "typst": {"picture"},
    "pyarrow": {"sources"},
    "httpx2": {"sources"},
    "tenacity": {"sources", "hub"},
    "protego": {"sources"},
    "libipld": {"sources"},
    "datasets": {"sources"},
    "phonenumbers": {"privacy"},
    "py3langid": {"languages"},
    "huggingface_hub": {"snapshots", "card_header", "hub", "sources"},
    "wandb": {"tracking"},
    "typer": {"cli", "options"},
    "rich": {"terminal", "cli"},
    "sqlalchemy": {"web"},
    "alembic": {"web"},
    "fastapi": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "jinja2": {"web"},
    "argon2": {"web"},
    "limits": {"web"},
    "gradio": {"web"},
    "ray": {"fleet"},
    "fsspec": {"fleet"},
}


def room_of(module: str) -> str:
    return module.removeprefix("huggingtweets.").split(".")[0]


def levels() -> dict[str, int]:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    return {room: int(level) for level, room in rows}


def imports_of(module: str) -> set[str]:
    """Every module that this one's code imports, inside functions too, but not for types only."""
    tree = ast.parse(Path(importlib.import_module(module).__file__ or "").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = f"{node.module}.{{}}" if node.module == "huggingtweets" else None
            found |= {whole.format(alias.name) for alias in node.names} if whole else {node.module or ""}
    return found


def test_every_room_is_in_the_table_and_every_row_is_a_room() -> None:
    assert set(levels()) == {room_of(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_levels_below_its_own(module: str) -> None:
    level = levels()
    own = room_of(module)
    for imported in imports_of(module):
        if imported.startswith("huggingtweets."):
            room = room_of(imported)
            public = room in huggingtweets.__all__ or room.startswith("__")
            assert public or room == own or level[room] < level[own], f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_every_dependency_has_its_door(module: str) -> None:
    for imported in imports_of(module):
        package = imported.split(".")[0]
        assert room_of(module) in DOORS.get(package, {room_of(module)}), f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_are_true(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_what_is_public_is_exported() -> None:
    assert all(hasattr(huggingtweets, name) for name in huggingtweets.__all__)
    assert sorted(huggingtweets.__all__) == huggingtweets.__all__
    assert set(huggingtweets.__all__) <= set(dir(huggingtweets))


def test_type_checkers_are_told_what_is_imported_on_first_use() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (told,) = [
        node.body for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    homes = {alias.name: line.module for line in told if isinstance(line, ast.ImportFrom) for alias in line.names}
    assert sorted(homes) == huggingtweets.__all__
    for name, module in homes.items():
        assert getattr(huggingtweets, name) is getattr(importlib.import_module(module or ""), name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        huggingtweets.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_the_error_tree_is_the_one_in_its_docstring() -> None:
    from huggingtweets import errors

    drawn = set(re.findall(r"(\w+)  ", errors.__doc__ or "")) | {"HuggingtweetsError"}
    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert classes <= drawn


def test_every_command_and_option_is_in_the_reference() -> None:
    import typer

    from huggingtweets.cli import app

    reference = (ROOT / "docs/commands.md").read_text()
    command = typer.main.get_command(app)
    for name, sub in command.commands.items():  # type: ignore[attr-defined]
        assert f"## `huggingtweets {name}`" in reference
        for parameter in sub.params:
            for option in parameter.opts:
                assert not option.startswith("--") or option in reference, f"{name} {option}"
