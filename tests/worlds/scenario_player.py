"""A scenario: calls and how the real Dropbox answers them, as JSON; and how one is played against a server.

A file has a `name`, its `grounds` (what is known from where), perhaps `folder` false (no folder of its own), `needs`
(names of values the player must have), and `steps`. A step has:

    call, arg             a route and its argument; `raw_body` / `raw_arg` the literal text, `form` that of oauth2/token
    url, method           a plain request instead
    body                  content: text, {"repeat", "size"}, {"base64"}, or a list of these
    auth, token           bearer (default), none, url, or a literal value; another token
    headers, arg_in       added headers, null takes one away; arg_in "url" puts the argument there
    control               instead of a call: a control endpoint of the emulator, [path, body]; save from "control/..."
    expect                one expectation or a list of alternatives: status, headers, json, text, result, body,
                          error_summary, zip_contains, within
    save                  {"name": "json/path/0/to"}; an item of a list also as key=value
    job, drain            poll that check until the job is done; follow continue to the end (adds `net`, `pages`)
    until, seconds        repeat until the JSON is like this
    wait, repeat, parallel, start / join

`${name}` is replaced by what was saved, and by dir, dir_lower, run, i and the player's values.
"""

import base64
import io
import json
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from scenario_matching import MISSING, unlike

SCENARIOS = Path(__file__).parents[1] / "contract" / "conformance" / "scenarios"
SESSION = {f"files/upload_session/{name}" for name in ("start", "append", "append_v2", "append_batch", "finish")}
UPLOADS = {"files/upload", "files/alpha/upload"} | SESSION
DOWNLOADS = {f"files/{name}" for name in ("download", "download_zip", "export", "get_preview", "get_thumbnail")}


def host_of(route):
    """Which of the service's hosts serves a route."""
    if route == "files/list_folder/longpoll":
        return "notify"
    return "content" if route in UPLOADS | DOWNLOADS | {"files/get_thumbnail_batch"} else "api"


def filled(value, names):
    if isinstance(value, dict):
        return {filled(key, names): filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{(\w+)\}", value)
    return names[whole[1]] if whole else re.sub(r"\$\{(\w+)\}", lambda match: str(names[match[1]]), value)


def content(spec):
    if isinstance(spec, list):
        return b"".join(content(part) for part in spec)
    if isinstance(spec, str):
        return spec.encode()
    if "base64" in spec:
        return base64.b64decode(spec["base64"])
    unit = spec["repeat"].encode()
    return (unit * (spec["size"] // len(unit) + 1))[: spec["size"]]


def picked(value, path):
    for part in path.split("/"):
        if isinstance(value, list) and "=" in part:
            key, _, wanted = part.partition("=")
            value = next(item for item in value if item.get(key) == wanted)
        else:
            value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def as_json(text):
    try:
        return json.loads(text)
    except ValueError:
        return MISSING


HTTP = urllib3.PoolManager(maxsize=32, retries=False, timeout=150)


class Player:
    """Plays scenarios against a server. `values` are what scenarios need; `control` calls the control endpoints.

    `url` serves all hosts; or a dict has the URLs of the hosts api, content and notify. `root` is the folder in which
    each scenario gets a folder of its own. `last` is the step that was played last, with its answer.
    """

    def __init__(self, url, token, values, control=None, *, root="/Scenario"):
        self.hosts = url if isinstance(url, dict) else dict.fromkeys(("api", "content", "notify"), url)
        self.token, self.values, self.control, self.root = token, values, control, root
        self.last = None

    def play(self, scenario):
        """The first step's differences from what is expected: none if the scenario holds."""
        folder = f"{self.root}/{scenario['name']}"
        names = {**self.values, "token": self.token, "run": "scenario", "dir": folder, "dir_lower": folder.lower()}
        if scenario.get("folder", True):
            self.send({"call": "files/create_folder_v2", "arg": {"path": folder}})
        background = {}
        for number, raw in enumerate(scenario["steps"], 1):
            time.sleep(raw.get("wait", 0))
            for turn in range(raw.get("repeat", 1)):
                answers = self._step(raw, {**names, "i": turn}, background)
                for step, answer in answers:
                    self.last = step, answer
                    lines = [] if "control" in answer else differences(step, answer)
                    if lines:
                        return [f"step {number}, {raw.get('call') or raw.get('url')}: {line}" for line in lines]
                for name, path in (raw.get("save") or {}).items():
                    names[name] = picked(answers[0][1], path)
        return []

    def _step(self, raw, names, background):
        if "control" in raw:
            return [(raw, {"control": self.control(*filled(raw["control"], names))})]
        if "parallel" in raw:
            steps = [filled(raw, {**names, "i": index}) for index in range(raw["parallel"])]
            with ThreadPoolExecutor(len(steps)) as pool:
                return list(zip(steps, pool.map(self.call, steps), strict=True))
        step = filled(raw, names)
        if "start" in step:
            background[step["start"]] = ThreadPoolExecutor(1).submit(self.call, step)
            return []
        if "join" in step:
            return [(step, background[step["join"]].result())]
        return [(step, self.call(step))]

    def call(self, step):
        answer = self.send(step)
        end = time.monotonic() + step.get("seconds", 60)
        while "until" in step and unlike(step["until"], answer["json"]) and time.monotonic() < end:
            time.sleep(0.05)
            answer = self.send(step)
        value = answer["json"] if isinstance(answer["json"], dict) else {}
        if "job" in step and value.get(".tag") == "async_job_id":
            job = {"call": step["job"], "arg": {"async_job_id": value["async_job_id"]}}
            return self.call({**job, "until": {"$not": {".tag": "in_progress"}}})
        return self._drained(answer) if step.get("drain") and answer["status"] == 200 else answer

    def _drained(self, answer):
        value, entries, pages = answer["json"], list(answer["json"]["entries"]), 1
        while value["has_more"] and pages < 1000:
            more = self.send({"call": "files/list_folder/continue", "arg": {"cursor": value["cursor"]}})
            if more["status"] != 200:
                return more
            value, pages = more["json"], pages + 1
            entries += value["entries"]
        net = {entry["path_lower"]: entry for entry in entries}
        return {**answer, "json": {**value, "entries": entries, "net": net, "pages": pages}}

    def send(self, step):
        """One request, sent again as long as it is refused with a 429 that the step does not expect."""
        wanted = [one.get("status", 200) for one in alternatives(step)]
        for _ in range(6):
            answer = self._once(step)
            if answer["status"] != 429 or 429 in wanted:
                break
            time.sleep(float(answer["headers"].get("retry-after", 1)))
        return answer

    def _once(self, step):
        url, headers, fields, body = self._request(step)
        for name, value in step.get("headers", {}).items():
            headers.pop(name, None)
            if value is not None:
                headers[name] = value
        if fields:
            url += ("&" if "?" in url else "?") + urlencode(fields)
        began = time.monotonic()
        response = HTTP.request(step.get("method", "POST"), url, headers=headers, body=body, redirect=False)
        seen = {name.lower(): value for name, value in response.headers.items()}
        parsed = as_json(response.data) if re.search("json|javascript", seen.get("content-type", "")) else MISSING
        return {
            "status": response.status,
            "headers": seen,
            "bytes": response.data,
            "text": response.data[:5000].decode("utf-8", "replace"),
            "json": parsed,
            "result": as_json(seen.get("dropbox-api-result", "")),
            "seconds": time.monotonic() - began,
            "api": "call" in step and step["call"] != "oauth2/token",
        }

    def _request(self, step):
        name = step.get("call", "")
        if "url" in step:
            return step["url"], {}, {}, content(step.get("body", ""))
        if name == "oauth2/token":
            form = urlencode(step["form"]).encode()
            return f"{self.hosts['api']}/oauth2/token", {"Content-Type": "application/x-www-form-urlencoded"}, {}, form
        headers, fields, body = {}, {}, b""
        if name in UPLOADS | DOWNLOADS:
            argument = step.get("raw_arg") or json.dumps(step.get("arg")).replace("\x7f", "\\u007f")
            place = fields if step.get("arg_in") == "url" else headers
            place["arg" if place is fields else "Dropbox-API-Arg"] = argument
            if name in UPLOADS:
                headers["Content-Type"], body = "application/octet-stream", content(step.get("body", ""))
        else:
            headers["Content-Type"] = "application/json"
            body = step["raw_body"].encode() if "raw_body" in step else json.dumps(step.get("arg")).encode()
        self._authorize(step, name, headers, fields)
        return f"{self.hosts[host_of(name)]}/2/{name}", headers, fields, body

    def _authorize(self, step, name, headers, fields):
        how = step.get("auth", "none" if name == "files/list_folder/longpoll" else "bearer")
        bearer = f"Bearer {step.get('token', self.token)}"
        if how == "url":
            fields["authorization"] = bearer
        elif how != "none":
            headers["Authorization"] = bearer if how == "bearer" else how


def shown_answer(answer):
    """An answer as text: status, the headers that say something, and the beginning of the body."""
    dull = {"date", "x-dropbox-request-id", "x-server-response-time", "connection"}
    headers = "".join(f"{name}: {value}\n" for name, value in answer["headers"].items() if name not in dull)
    return f"HTTP {answer['status']}\n{headers}\n{answer['text'][:2000]}"


def alternatives(step):
    expected = step.get("expect", {})
    return expected if isinstance(expected, list) else [expected]


def differences(step, answer):
    """Where an answer departs from the nearest of the alternatives, and from what holds for every answer."""
    return min((_unexpected(one, answer) for one in alternatives(step)), key=len) + (
        _laws(answer) if answer["api"] else []
    )


def _unexpected(expected, answer):
    if answer["status"] != expected.get("status", 200):
        return [f"status {answer['status']} instead of {expected.get('status', 200)}: {answer['text'][:400]}"]
    lines = unlike(expected.get("headers", {}), answer["headers"], "headers")
    for name in ("json", "text", "result"):
        if name in expected:
            lines += unlike(expected[name], answer[name], name)
    if "error_summary" in expected:
        pattern = f"^{re.escape(expected['error_summary'])}/\\.{{0,3}}$"
        lines += unlike({"$regex": pattern}, answer["json"]["error_summary"], "error_summary")
    if "body" in expected and content(expected["body"]) != answer["bytes"]:
        lines.append(f"body: {answer['text'][:200]!r} ({len(answer['bytes'])} bytes)")
    if "zip_contains" in expected:
        names = zipfile.ZipFile(io.BytesIO(answer["bytes"])).namelist()
        lines += unlike({"$contains": expected["zip_contains"]}, names, "zip")
    if answer["seconds"] > expected.get("within", 1e9):
        lines.append(f"it took {answer['seconds']:.1f} s")
    return lines


def _laws(answer):
    lines, status, kind = [], answer["status"], answer["headers"].get("content-type", "")
    if not re.fullmatch("[0-9a-f]{32}", answer["headers"].get("x-dropbox-request-id", "")):
        lines.append("no X-Dropbox-Request-Id of 32 hex digits")
    if status == 400 and not kind.startswith("text/plain"):
        lines.append(f"a 400 is text/plain, not {kind}")
    if status in {401, 409, 422} and kind != "application/json":
        lines.append(f"a {status} is application/json, not {kind}")
    if status == 409 and not re.fullmatch(
        re.escape(_tags(answer["json"]["error"])) + r"\.{0,3}", answer["json"]["error_summary"]
    ):
        lines.append(f"the error_summary {answer['json']['error_summary']} does not spell the tags")
    return lines


def _tags(error):
    if not isinstance(error, dict) or ".tag" not in error:
        return ""
    return f"{error['.tag']}/{_tags(error.get(error['.tag']) or error.get('reason'))}"
