"""The JSON of every verb: the page is as the types say, and the types are strict."""

import importlib.util
import json
from pathlib import Path

import msgspec
import pytest

from huracan_sync import cli
from huracan_sync.cli import document_parts, documents
from huracan_sync.engine.daemon.scheduler import Outcome
from huracan_sync.engine.daemon.status import State, Status
from huracan_sync.engine.run import RunReport
from huracan_sync.operations.publish import PublishReport
from huracan_sync.operations.push import PushReport
from huracan_sync.operations.restore import RestoreReport

ROOT = Path(__file__).parent.parent.parent


def script():
    spec = importlib.util.spec_from_file_location("generated_pages", ROOT / "scripts" / "generated_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["json.md", "errors.md", "settings.md"])
def test_the_page_is_as_the_code_says(name):
    pages = script()
    said = (pages.DOCS / name).read_text(encoding="utf-8")
    assert said == pages.PAGES[name](), "run python scripts/generated_pages.py"


def test_every_verb_has_its_documents():
    assert documents.DOCUMENTS.keys() == cli.VERBS.keys() - {"emulator"}
    for kinds in documents.DOCUMENTS.values():
        for kind in kinds:
            assert msgspec.json.schema(kind)


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"sent": "yes"}, {"schema_version": 2}, {"rev": None}],
    ids=lambda change: next(iter(change)),
)
def test_what_the_types_do_not_say_is_refused(change):
    document = {"schema_version": 1, "path": "/a", "sent": True, "size": 1, "rev": "0", "requests": 1}
    assert documents.of_verb("put", json.dumps(document))
    with pytest.raises(msgspec.ValidationError, match="no document of put"):
        documents.of_verb("put", json.dumps(document | change))


@pytest.mark.parametrize(
    ("report", "kind", "derived"),
    [
        (PushReport, documents.Push, {"filtered"}),
        (PublishReport, documents.Publish, set()),
        (RestoreReport, documents.Restore, {"filtered"}),
        (State, document_parts.Kind, {"healthy", "lag_s"}),
        (Status, document_parts.Continuous, {"running", "healthy"}),
        (Outcome, document_parts.KindOutcome, set()),
        (RunReport, documents.RunOnce, {"uploaded", "bytes_sent"}),
    ],
)
def test_a_field_of_a_report_is_a_field_of_its_document(report, kind, derived):
    """Add the field to cli/documents.py and run python scripts/generated_pages.py."""
    said = set(kind.__struct_fields__) - {"schema_version"} - derived
    assert {field.name for field in msgspec.structs.fields(report)} == said
