"""Where the host can't render, it says so in one sentence, and a test that needs it fails."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from slicer_host import environment

TESTS = Path(__file__).resolve().parents[1]


def start_without_drivers() -> subprocess.CompletedProcess:
    """Starts the host in a process to which EGL offers no driver."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from slicer_host.host import start; start()"
    variables = {**os.environ, "__EGL_VENDOR_LIBRARY_FILENAMES": os.devnull}
    command = [sys.executable, "-c", code, str(TESTS)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


def test_without_an_egl_driver_the_start_fails_with_what_to_install():
    done = start_without_drivers()
    assert done.returncode != 0
    assert "Off-screen OpenGL by EGL doesn't work here" in done.stderr
    assert "libegl-mesa0" in done.stderr


def test_a_missing_library_is_named_by_its_package():
    script = 'LIBRARIES="libc.so.6=libc6 libnosuchthing.so.9=libnosuchthing9"\n'
    assert environment.missing_packages(script) == ["libnosuchthing9"]


def run_pytest(folder: Path, conftest: str, test: str) -> str:
    """What pytest prints about one test, in a process of its own."""
    (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n{textwrap.dedent(conftest)}")
    (folder / "test_one.py").write_text(textwrap.dedent(test))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    done = subprocess.run([*command, str(folder)], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout


def test_a_test_fails_where_the_host_cant_start(tmp_path):
    conftest = """
        from slicer_host import environment
        from slicer_host.fixtures import host

        def prepare():
            raise RuntimeError("Install libegl1.")

        environment.prepare = prepare
    """
    printed = run_pytest(tmp_path, conftest, "def test_it(host): pass")
    assert "Install libegl1." in printed
    assert "1 error" in printed
    assert "skipped" not in printed


def test_an_error_that_raised_nowhere_fails_the_test(tmp_path):
    test = """
        def test_it(host):
            import qt

            button = qt.QPushButton()
            button.clicked.connect(lambda: [][0])
            button.click()
    """
    printed = run_pytest(tmp_path, "from slicer_host.fixtures import host", test)
    assert "Errors that raised nowhere" in printed
    assert "IndexError" in printed
    assert "1 error" in printed
