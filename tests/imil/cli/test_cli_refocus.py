"""`imil experiment refocus`: usage errors in a sentence, before anything is drawn."""

import sys

import pytest

from imil.cli import main


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """What a command that ends with an error says; nothing must be left behind."""

    def run(*arguments):
        out = tmp_path / "out"
        monkeypatch.setattr(sys, "argv", ["imil", "experiment", "refocus", *arguments, "--out", str(out)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = " ".join(capsys.readouterr().err.split())
        assert ended.value.code
        assert "Traceback" not in said
        assert not out.exists()
        return said

    return run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--settings", "edge"), "There is no setting 'edge'; the settings are corner,"),
        (("--arms", "blackuot"), "There is no arm 'blackuot'"),
        (("--shortcuts", "0.8"), "aren't calibrated for a shortcut of 0.8"),
        (("--shortcuts", "strong"), "The shortcut 'strong' isn't a number"),
        (("--seeds", "1,1"), "each once"),
        (("--seeds", "one"), "The seed 'one' isn't a whole number"),
        (("--jobs", "2", "--ray", "auto"), "--jobs is about this machine"),
        (("--jobs", "2", "--report"), "--report trains nothing"),
        (("--report",), "isn't the folder of a benchmark, so there is nothing to report"),
    ],
)
def test_usage_errors_are_sentences(refused, arguments, words):
    assert words in refused(*arguments)


def test_a_folder_with_something_else_is_refused(monkeypatch, capsys, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["imil", "experiment", "refocus", "--quick", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code
    assert "isn't an experiment's folder" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
