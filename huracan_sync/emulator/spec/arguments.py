"""The arguments of every route, as the public specification of Dropbox's API gives them. Only data.

One kind of path takes more than its pattern says, because the service does: `id:FOLDER/rest` where a folder is made.
"""

from huracan_sync.emulator.spec.schema import (
    Bool,
    Int,
    Many,
    Nullable,
    Real,
    Struct,
    Text,
    Timestamp,
    Union,
    Void,
)

_ABSOLUTE = r"/(.|[\r\n])*"
_NAMESPACE = r"(ns:[0-9]+(/(.|[\r\n])*)?)"


def _root_is_empty(path: str) -> str | None:
    return 'Specify the root folder as an empty string rather than as "/".' if path == "/" else None


def _not_the_root(path: str) -> str | None:
    return "The root folder is unsupported." if path in {"", "/"} else None


PATH = Text(_ABSOLUTE)
PATH_OR_ID = Text(rf"{_ABSOLUTE}|id:.*|{_NAMESPACE}")
READ_PATH_PATTERN = rf"({_ABSOLUTE}|id:.*)|(rev:[0-9a-f]{{9,}})|{_NAMESPACE}"
READ_PATH = Text(READ_PATH_PATTERN)
NOT_ROOT = Text(READ_PATH_PATTERN, special=_not_the_root)
FOLDER_PATH = Text(rf"({_ABSOLUTE})?|id:.*|{_NAMESPACE}", special=_root_is_empty)
WRITE_PATH = Text(rf"({_ABSOLUTE})|{_NAMESPACE}", also="(id:.*)")
WRITE_PATH_OR_ID = Text(rf"({_ABSOLUTE})|{_NAMESPACE}|(id:.*)")
REV = Text("[0-9a-f]+", shortest=9)
HASH = Text(shortest=64, longest=64)
ACCOUNT_ID = Text(shortest=40, longest=40)
SOME = Text(shortest=1)
NAMESPACE_ID = Text("[-_0-9a-zA-Z:]+")

NO = (Bool(), False)
YES = (Bool(), True)
_HASH = (Nullable(HASH), None)

PATH_ROOT = Union("home", root=NAMESPACE_ID, namespace_id=NAMESPACE_ID)
VOID = Void()
ECHO = Struct(query=(Text(longest=500), ""))
JOB = Struct(async_job_id=SOME)

# The values of custom properties are taken and not kept.
_PROPERTY_GROUPS = Many(Struct(template_id=SOME, fields=Many(Struct(name=Text(), value=Text()))))
_TEMPLATES = (Nullable(Union(filter_some=Many(SOME, fewest=1))), None)

WRITE_MODE = Union("add", "overwrite", update=REV)
COMMIT = Struct(
    path=WRITE_PATH_OR_ID,
    mode=(WRITE_MODE, ("add", None)),
    autorename=NO,
    client_modified=(Nullable(Timestamp()), None),
    mute=NO,
    property_groups=(Nullable(_PROPERTY_GROUPS), None),
    strict_conflict=NO,
)
UPLOAD = COMMIT.extend(content_hash=_HASH)

CURSOR = Struct(session_id=Text(), offset=Int())
SESSION_TYPE = (Nullable(Union("sequential", "concurrent")), None)
SESSION_START = Struct(close=NO, session_type=SESSION_TYPE, content_hash=_HASH)
SESSION_START_BATCH = Struct(session_type=SESSION_TYPE, num_sessions=Int(1, 1000))
SESSION_APPEND = Struct(cursor=CURSOR, close=NO, content_hash=_HASH)
SESSION_APPEND_BATCH = Struct(
    entries=Many(Struct(cursor=CURSOR, length=Int(), close=NO), most=1000),
    content_hash=_HASH,
)
SESSION_FINISH = Struct(cursor=CURSOR, commit=COMMIT, content_hash=_HASH)
SESSION_FINISH_BATCH = Struct(entries=Many(SESSION_FINISH, most=1000))

_SHARED_LINK = (Nullable(Struct(url=Text(), password=(Nullable(Text()), None))), None)
LIST_FOLDER = Struct(
    path=FOLDER_PATH,
    recursive=NO,
    include_media_info=NO,
    include_deleted=NO,
    include_has_explicit_shared_members=NO,
    include_mounted_folders=YES,
    limit=(Nullable(Int(1, 2000)), None),
    shared_link=_SHARED_LINK,
    include_property_groups=_TEMPLATES,
    include_non_downloadable_files=YES,
    include_restorable_info=NO,
)
CONTINUE = Struct(cursor=SOME)
LONGPOLL = Struct(cursor=SOME, timeout=(Int(30, 480), 30))

GET_METADATA = Struct(
    path=NOT_ROOT,
    include_media_info=NO,
    include_deleted=NO,
    include_has_explicit_shared_members=NO,
    include_property_groups=_TEMPLATES,
)
ALPHA_GET_METADATA = GET_METADATA.extend(include_property_templates=(Nullable(Many(SOME)), None))
_REV = (Nullable(REV), None)
DOWNLOAD = Struct(path=READ_PATH, rev=_REV)
READ = Struct(path=READ_PATH)
TEMPORARY_LINK = Struct(path=NOT_ROOT)
EXPORT = Struct(path=READ_PATH, export_format=(Nullable(Text()), None))

DELETE = Struct(path=WRITE_PATH_OR_ID, parent_rev=_REV)
DELETE_BATCH = Struct(entries=Many(DELETE, most=1000))
CREATE_FOLDER = Struct(path=WRITE_PATH, autorename=NO)
CREATE_FOLDER_BATCH = Struct(paths=Many(WRITE_PATH, most=10000), autorename=NO, force_async=NO)
_RELOCATION = Struct(from_path=WRITE_PATH_OR_ID, to_path=WRITE_PATH_OR_ID)
RELOCATE = _RELOCATION.extend(allow_shared_folder=NO, autorename=NO, allow_ownership_transfer=NO)
COPY_BATCH = Struct(entries=Many(_RELOCATION, fewest=1, most=1000), autorename=NO)
MOVE_BATCH = COPY_BATCH.extend(allow_ownership_transfer=NO)
RELOCATE_BATCH_OLD = COPY_BATCH.extend(allow_shared_folder=NO, allow_ownership_transfer=NO)

LIST_REVISIONS = Struct(
    path=PATH_OR_ID,
    mode=(Union("path", "id"), ("path", None)),
    limit=(Int(1, 100), 10),
    before_rev=_REV,
    include_restorable_info=NO,
)
RESTORE = Struct(path=WRITE_PATH, rev=REV)

UPLOAD_LINK = Struct(commit_info=COMMIT, duration=(Real(60, 14400), 14400.0))
COPY_REFERENCE_SAVE = Struct(copy_reference=Text(), path=PATH)
SAVE_URL = Struct(path=PATH, url=Text())

_CATEGORIES = Union(
    "image", "document", "pdf", "spreadsheet", "presentation", "audio", "video", "folder", "paper", "others"
)
SEARCH_OPTIONS = Struct(
    path=(Nullable(FOLDER_PATH), None),
    max_results=(Int(1, 1000), 100),
    order_by=(Nullable(Union("relevance", "last_modified_time")), None),
    file_status=(Union("active", "deleted"), ("active", None)),
    filename_only=NO,
    file_extensions=(Nullable(Many(Text())), None),
    file_categories=(Nullable(Many(_CATEGORIES)), None),
    account_id=(Nullable(ACCOUNT_ID), None),
)
SEARCH = Struct(
    query=Text(longest=1000),
    options=(Nullable(SEARCH_OPTIONS), None),
    match_field_options=(Nullable(Struct(include_highlights=NO)), None),
    include_highlights=(Nullable(Bool()), None),
)
SEARCH_OLD = Struct(
    path=FOLDER_PATH,
    query=Text(longest=1000),
    start=(Int(0, 9999), 0),
    max_results=(Int(1, 1000), 100),
    mode=(Union("filename", "filename_and_content", "deleted_filename"), ("filename", None)),
)
SEARCH_CONTINUE = Struct(cursor=SOME)

_SIZES = ("w32h32", "w64h64", "w128h128", "w256h256", "w480h320", "w640h480", "w960h640", "w1024h768", "w2048h1536")
THUMBNAIL = Struct(
    path=READ_PATH,
    format=(Union("jpeg", "png", "webp"), ("jpeg", None)),
    size=(Union(*_SIZES, "w3200h2400"), ("w64h64", None)),
    mode=(Union("strict", "bestfit", "fitone_bestfit", "original"), ("strict", None)),
    quality=(Union("quality_80", "quality_90"), ("quality_80", None)),
    exclude_media_info=(Nullable(Bool()), None),
)
THUMBNAIL_BATCH = Struct(entries=Many(THUMBNAIL))
_DEADLINE = Struct(
    deadline=Timestamp(),
    allow_late_uploads=(Nullable(Union("one_day", "two_days", "seven_days", "thirty_days", "always")), None),
)
FILE_REQUEST = Struct(
    title=SOME,
    destination=PATH,
    deadline=(Nullable(_DEADLINE), None),
    open=YES,
    description=(Nullable(Text()), None),
    video_project_id=(Nullable(Text()), None),
)
GET_FILE_REQUEST = Struct(id=Text("[-_0-9a-zA-Z]+", shortest=1))
GET_ACCOUNT = Struct(account_id=ACCOUNT_ID)
