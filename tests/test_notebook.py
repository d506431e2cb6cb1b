"""The notebook, run from top to bottom as Jupyter runs it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "notebooks/huggingtweets.ipynb"


@pytest.fixture
def notebook(posts_file: Path, tiny_gpt2: Path) -> nbformat.NotebookNode:
    """With a small file and a tiny base chosen in its form."""
    found = nbformat.read(NOTEBOOK, as_version=4)
    (form,) = (cell for cell in found.cells if cell.source.startswith("source ="))
    for chosen, ours in (('"posts.csv"', repr(str(posts_file))), ('"gpt2"', repr(str(tiny_gpt2))), ("= 5", "= 0.02")):
        assert chosen in form.source
        form.source = form.source.replace(chosen, ours, 1)
    return found


def test_the_notebook_makes_a_bot_and_shows_what_it_writes(
    notebook: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUGGINGTWEETS_TRACK", "none")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "downloaded 250 = retweets 0" in printed
    assert printed.count("· My dream is") == 10
    shown = [output.data for output in outputs if output.output_type in ("display_data", "execute_result")]
    assert any("bits per byte" in data.get("text/html", "") for data in shown), "the bot shows its scores"
    assert any("image/png" in data for data in shown)
    assert (tmp_path / "bots/rover/README.md").exists()


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in cells)
