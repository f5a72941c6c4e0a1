"""Events go where the host wants them: structlog where it is configured, else the standard logging; never to stdout."""

import logging
import subprocess
import sys

import pytest
import structlog
from structlog.testing import CapturingLoggerFactory

from huracan_sync.engine.event_log import EventLog

log = EventLog("huracan_sync.engine")


@pytest.fixture
def unconfigured():
    configured, config = structlog.is_configured(), structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**config) if configured else structlog.reset_defaults()


def test_a_host_with_the_standard_logging(unconfigured, caplog, capsys):
    with caplog.at_level(logging.INFO):
        log.info("file_uploaded", path="a b", token="sl.u." + "A" * 60)
        log.debug("not_asked_for", x=1)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("huracan_sync.engine", "INFO")
    assert record.getMessage().startswith("file_uploaded path='a b' token=")
    assert "AAAA" not in record.getMessage()
    assert record.facts["path"] == "a b"
    assert capsys.readouterr().out == ""


def test_a_host_with_structlog(unconfigured, caplog):
    captured = CapturingLoggerFactory()
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()], logger_factory=captured)
    with caplog.at_level(logging.INFO):
        log.warning("file_upload_waits", remote="/x")
    (call,) = captured.logger.calls
    assert (call.method_name, call.args) == ("warning", ("remote='/x' event='file_upload_waits'",))
    assert caplog.records == []


def test_a_host_that_configured_nothing():
    code = (
        "from huracan_sync.engine.event_log import log\n"
        "import sys\n"
        "log.info('done'); log.error('file_upload_failed', remote='/x')\n"
        "assert 'structlog' not in sys.modules\n"
        "import structlog\n"
        "log.error('again', remote='/y')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "file_upload_failed remote='/x'\nagain remote='/y'\n")
