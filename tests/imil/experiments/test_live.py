"""A live reader: a real server of the study, and somebody who answers over HTTP while the experiment waits."""

import json
import re
import threading
import uuid

import pytest

from imil.errors import BadInput, Conflict, ImilError
from imil.experiments import live
from imil.experiments.conduct import conduct
from imil.experiments.folder import ExperimentFolder
from imil.experiments.live import read_live
from imil.experiments.recordings import load_recording
from imil.experiments.run import Request, plan_of
from imil.readers import OracleReader
from imil.remote import HttpClient, RemoteRounds
from imil.review import study_masks
from imil.serve import running_server
from imil.study import Study
from tests.imil.experiments.experiment_helpers import ADA, InProcess, make_study, planned, record, request, settings
from tests.reviewable import open_round


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(live, "POLL_SECONDS", 0.2)


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path / "study")


class Stop(Exception):
    """The person at the terminal has pressed Ctrl-C."""


class Radiologist:
    """Is told what the experiment says; connects when it waits for a reader, and answers up to ``most`` cases."""

    def __init__(self, study, most=99):
        self.said = []
        self._study, self._most = study, most
        self._threads = []

    def __call__(self, sentence):
        self.said.append(sentence)
        if sentence.startswith("Waiting for a reader") and not self._threads:
            url = re.search(r"http://[0-9.]+:\d+", sentence)[0]
            self._threads.append(threading.Thread(target=self._answer, args=(url,)))
            self._threads[0].start()

    def _answer(self, url):
        rounds = RemoteRounds(HttpClient(url, "Ada"), study_masks(self._study))
        reader = OracleReader()
        for _ in range(self._most):
            if (opened := rounds.next_case()) is None:
                break
            rounds.submit(opened, reader.read(opened.case), seconds=1.0, key=str(uuid.uuid4()))
        rounds.close()

    def leave(self):
        for thread in self._threads:
            thread.join()


@pytest.mark.slow
def test_a_radiologist_reads_while_the_experiment_waits_and_her_answers_are_replayed(study, tmp_path):
    ada = Radiologist(Study.open(study.folder))
    asked = Request("compare", study, settings(), seeds=(0, 1), arms=("imil",), reader="live")
    outcome = replayed(asked, tmp_path / "out", ada)
    assert ada.said[0] == "Starting a server for the reader (half a minute)."
    assert ada.said[1].endswith("trains to the round that is to be read.")
    assert "imil review http" in ada.said[2]
    assert outcome.reader == "one recorded reader (run 1, 4 cases)"
    queue = {entry.case_id: entry for entry in study.store.queue(1, 1)}
    for result in outcome.results["imil"]:
        assert {sample.case_id for sample in result.samples} == set(queue)
        for sample in result.samples:
            assert (sample.reader, sample.reason) == ("Ada", "recorded")
            assert sample.confidence == queue[sample.case_id].confidence
    said = len(ada.said)
    again = replayed(asked, tmp_path / "out", ada)
    assert ada.said[said:] == ["Feedback comes from one recorded reader (run 1, 4 cases)."]
    assert len(study.store.runs()) == 1
    assert again.results.keys() == outcome.results.keys()


def replayed(asked, out, say):
    """The outcome of an experiment whose live reader is told by ``say``."""
    folder = ExperimentFolder(out)
    plan = plan_of(asked, folder, say=say)
    say.leave()
    return conduct(plan, folder, InProcess())


@pytest.mark.slow
def test_an_interrupted_reading_goes_on_with_the_same_run(study, tmp_path):
    ada = Radiologist(Study.open(study.folder), most=2)

    def interrupted(sentence):
        ada(sentence)
        if "2 of 4 cases are read" in sentence:
            raise Stop

    with pytest.raises(Stop):
        read_live(study, settings(), tmp_path / "reading", say=interrupted)
    ada.leave()
    assert json.loads((tmp_path / "reading" / "live.json").read_text()) == {"run": 1}
    with pytest.raises(Conflict, match=r"Run 1 of this study isn't over \(awaiting_review\); finish it first, or repl"):
        read_live(study, settings(), tmp_path / "another", say=print)
    bea = Radiologist(Study.open(study.folder))
    assert read_live(study, settings(), tmp_path / "reading", say=bea) == 1
    bea.leave()
    assert bea.said[0] == "Starting a server for the reader (half a minute)."
    assert bea.said[1].endswith("2 of 4 cases are read.")
    assert len(load_recording(study, "1").replies) == 4
    assert len(study.store.runs()) == 1


@pytest.mark.slow
def test_servers_that_cant_be_read_at(study, tmp_path):
    other = make_study(tmp_path / "other")
    with running_server(other.folder, tmp_path / "server.log") as url:
        with pytest.raises(BadInput, match=f"The server at {url} serves the study 'other', not 'study'; start one"):
            read_live(study, settings(), tmp_path / "reading", url=url, say=print)
        open_round(other)
        with pytest.raises(Conflict, match="finish it first, or replay its answers with --reader 1"):
            read_live(other, settings(), tmp_path / "reading", url=url, say=print)
    with pytest.raises(BadInput, match="No answer from"):
        read_live(study, settings(), tmp_path / "reading", url=url, say=print)
    assert study.store.runs() == []


def test_a_reading_without_a_round(study, tmp_path):
    with pytest.raises(BadInput, match="imil_epochs is empty, so there is nothing to read"):
        read_live(study, settings(imil_epochs=()), tmp_path / "reading", say=print)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"run": null}', '{"run": "one"}', "\x00"])
def test_a_damaged_note_of_the_reading(study, tmp_path, content):
    (tmp_path / "live.json").write_text(content)
    with pytest.raises(ImilError, match=r"live\.json is damaged .*; remove it to have the queue read anew"):
        read_live(study, settings(), tmp_path, say=print)


def test_what_was_read_before_isnt_read_again(study, tmp_path):
    """No server is started: the run's round has all its answers."""
    run = record(study, {"Ada": ADA})
    (tmp_path / "live.json").write_text(json.dumps({"run": run}))
    assert read_live(study, settings(), tmp_path, say=print) == run


def test_what_would_be_refused_later_is_refused_before_anybody_reads(study, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(BadInput, match="isn't an experiment's folder"):
        planned(request(study, reader="live"), tmp_path)
    with pytest.raises(BadInput, match="asks about 17 images"):
        planned(request(study, reader="live", num_outliers=17), tmp_path / "out")
    with pytest.raises(BadInput, match="neither recorded answers nor one reading can give"):
        planned(request(study, "grid", reader="live"), tmp_path / "out")
    assert study.store.runs() == []
    assert not (tmp_path / "out").exists()
