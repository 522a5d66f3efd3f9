"""How files come to the loopback Hub and leave it: preupload, LFS in one piece or in parts, commits, downloads."""

import tempfile
from fnmatch import fnmatch
from typing import Any, BinaryIO
from urllib.parse import quote

from tests.loopback_hub.hub_cards import card_problems
from tests.loopback_hub.hub_http import Call, Reply, check_signature, disposition, json_reply, parsed, route, signed
from tests.loopback_hub.hub_storage import (
    Change,
    Commit,
    Entry,
    HubError,
    Repository,
    check_path,
    decoded,
    delete,
    lfs_entry,
    put,
)

LARGEST_REGULAR = 10 << 20  # bytes of a file that git itself holds


@route("POST", "/api/{kind}/{repo}/preupload/{revision}")
def preupload(call: Call, kind: str, repo: str, revision: str) -> Reply:
    """Say for each file whether it goes into the commit or to LFS first, and what is there already."""
    repository = call.repository(kind, repo, needed_for(call, revision))
    commit, asked = repository.commit_of(revision), call.json()
    patterns = lfs_patterns(repository, commit)
    ignored = ignore_patterns(repository, commit, asked.get("gitIgnore"))
    return json_reply({"files": [upload_mode(file, commit, patterns, ignored) for file in asked["files"]]})


def needed_for(call: Call, revision: str) -> str:
    """What whoever asks must be allowed: everybody with a token to write may propose changes."""
    return "propose" if call.flag("create_pr") or revision.startswith("refs/pr/") else "write"


def lfs_patterns(repository: Repository, commit: Commit) -> list[str]:
    """The names of files that LFS keeps, by ``.gitattributes``."""
    lines = text_of(repository, commit, ".gitattributes").splitlines()
    return [line.split()[0] for line in lines if "filter=lfs" in line]


def ignore_patterns(repository: Repository, commit: Commit, given: str | None) -> list[str]:
    """The names of files that are not to be committed, by the ``.gitignore`` that was sent or is there."""
    lines = (text_of(repository, commit, ".gitignore") if given is None else given).splitlines()
    return [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]


def text_of(repository: Repository, commit: Commit, path: str) -> str:
    """A small text file; empty if there is none."""
    entry = commit.files.get(path)
    return repository.objects.path(entry).read_text(encoding="utf-8") if entry else ""


def matches(path: str, patterns: list[str]) -> bool:
    """Whether a file, or a folder that it is in, has a name among the patterns."""
    return any(fnmatch(part, pattern) for pattern in patterns for part in (*path.split("/"), path))


def upload_mode(file: dict[str, Any], commit: Commit, lfs: list[str], ignored: list[str]) -> dict[str, Any]:
    """How one file is to be sent."""
    path = file["path"]
    check_path(path)
    is_binary = b"\0" in decoded(file.get("sample", ""), "base64")
    large = matches(path.rpartition("/")[2], lfs) or file["size"] > LARGEST_REGULAR or is_binary
    present = commit.files.get(path)
    return {
        "path": path,
        "uploadMode": "lfs" if large else "regular",
        "shouldIgnore": matches(path, ignored),
        "oid": present.etag if present else None,
    }


@route("POST", "/{prefix}{repo}.git/info/lfs/objects/batch")
def lfs_batch(call: Call, prefix: str, repo: str) -> Reply:
    """Say for each content where to send it; nothing where it is there."""
    kind = prefix.strip("/") or "models"
    repository, asked = call.repository(kind, repo, "propose"), call.json()
    if asked["operation"] != "upload":
        raise HubError(400, "This Hub takes files by LFS, and gives them by their address")
    parts = "multipart" in asked.get("transfers", [])
    objects = [upload_actions(call, kind, repository, each, parts=parts) for each in asked["objects"]]
    return json_reply({"transfer": "multipart" if parts else "basic", "objects": objects})


def upload_actions(
    call: Call, kind: str, repository: Repository, wanted: dict[str, Any], *, parts: bool
) -> dict[str, Any]:
    """Where to send one content, whole or in parts, and where to ask whether it came."""
    hub, sha256, size = call.hub, wanted["oid"], wanted["size"]
    described = {"oid": sha256, "size": size}
    if repository.objects.lfs_path(sha256).exists():
        return described
    storage = f"/lfs/{kind}/{repository.name}/{sha256}"
    upload: dict[str, Any] = {"href": signed(hub, storage)}
    if parts and size > hub.part_size:
        count = -(-size // hub.part_size)
        urls = {str(number): signed(hub, f"{storage}/part/{number}") for number in range(1, count + 1)}
        upload = {"href": signed(hub, f"{storage}/complete"), "header": {"chunk_size": str(hub.part_size), **urls}}
    verify = {"href": f"{hub.url}/api/{kind}/{repository.name}/lfs/{sha256}/verify"}
    return described | {"actions": {"upload": upload, "verify": verify}}


@route("PUT", "/lfs/{kind}/{repo}/{sha256}")
def lfs_put(call: Call, kind: str, repo: str, sha256: str) -> Reply:
    """Take a content whole."""
    objects = stored(call, kind, repo).objects
    objects.write(objects.lfs_path(sha256), call.pieces(), sha256=sha256)
    return Reply(headers={"ETag": f'"{sha256}"'})


@route("PUT", "/lfs/{kind}/{repo}/{sha256}/part/{number}")
def lfs_put_part(call: Call, kind: str, repo: str, sha256: str, number: str) -> Reply:
    """Take a part of a content."""
    objects = stored(call, kind, repo).objects
    part = objects.write(objects.part_path(sha256, int(number)), call.pieces())
    return Reply(headers={"ETag": f'"{part}"'})


@route("POST", "/lfs/{kind}/{repo}/{sha256}/complete")
def lfs_complete(call: Call, kind: str, repo: str, sha256: str) -> Reply:
    """Join the parts, in the order of their numbers."""
    objects, asked = stored(call, kind, repo).objects, call.json()
    parts = [part["partNumber"] for part in asked["parts"]]
    if parts != list(range(1, len(parts) + 1)) or asked["oid"] != sha256:
        raise HubError(400, f"These are not the parts of {sha256} in their order")
    objects.join_parts(sha256, len(parts))
    return json_reply({"success": True})


@route("POST", "/api/{kind}/{repo}/lfs/{sha256}/verify")
def lfs_verify(call: Call, kind: str, repo: str, sha256: str) -> Reply:
    """Say whether a content came whole."""
    path, asked = call.repository(kind, repo, "propose").objects.lfs_path(sha256), call.json()
    if asked["oid"] != sha256 or not path.exists() or path.stat().st_size != asked["size"]:
        raise HubError(404, f"LFS object {sha256} of {asked['size']} bytes was not uploaded")
    return json_reply({})


@route("GET", "/lfs/{kind}/{repo}/{sha256}")
def lfs_get(call: Call, kind: str, repo: str, sha256: str) -> Reply:
    """Give a content, or a range of it."""
    return Reply(headers={"ETag": f'"{sha256}"'}, file=stored(call, kind, repo).objects.lfs_path(sha256))


def stored(call: Call, kind: str, repo: str) -> Repository:
    """The repository of an address in the storage, if the Hub gave it out."""
    check_signature(call)
    repository = call.hub.repositories.get((kind.removesuffix("s"), repo))
    if repository is None:
        raise HubError(404, "Repository not found", "RepoNotFound")
    return repository


@route("POST", "/api/{kind}/{repo}/commit/{revision}")
def commit(call: Call, kind: str, repo: str, revision: str) -> Reply:
    """Do what the lines of the body say, as one commit on a branch or in a new pull request."""
    repository = call.repository(kind, repo, needed_for(call, revision))
    with tempfile.TemporaryFile(dir=call.hub.folder) as body:
        for piece in call.pieces():
            body.write(piece)
        body.seek(0)
        header, changes = read_commit(repository, body)
    how = {
        "title": header["summary"],
        "description": header.get("description", ""),
        "author": call.require_access().user,
        "parent": header.get("parentCommit"),
    }
    answer, url = {"success": True, "hookOutput": ""}, call.hub.url_of(repository)
    if call.flag("create_pr"):
        request, made = repository.open_pull_request(revision, changes, **how)
        answer["pullRequestUrl"] = f"{url}/discussions/{request.number}"
    else:
        made = repository.commit(revision, changes, **how)
    return json_reply(answer | {"commitOid": made.id, "commitUrl": f"{url}/commit/{made.id}"})


def read_commit(repository: Repository, lines: BinaryIO) -> tuple[dict[str, Any], list[Change]]:
    """The header and the operations of a commit; contents that came with it are kept."""
    header, changes = {}, []
    for line in lines:
        operation = parsed(line)
        if operation["key"] == "header":
            header = operation["value"]
        else:
            changes.append(read_operation(repository, operation["key"], operation["value"]))
    if not header.get("summary"):
        raise HubError(400, "A commit needs a summary")
    return header, changes


def read_operation(repository: Repository, key: str, value: dict[str, Any]) -> Change:
    """One line of a commit."""
    path = value["path"]
    if key == "file":
        return put(path, regular_entry(repository, path, decoded(value["content"], value.get("encoding", "utf-8"))))
    if key == "lfsFile":
        return put(path, uploaded_entry(repository, path, value["oid"]))
    if key in ("deletedFile", "deletedFolder"):
        return delete(path, folder=key == "deletedFolder")
    raise HubError(400, f"Unknown operation: {key}")


def regular_entry(repository: Repository, path: str, content: bytes) -> Entry:
    """Keep a file that came in a commit, if git may hold it."""
    if len(content) > LARGEST_REGULAR:
        raise HubError(400, f"{path} is larger than 10 MiB: use LFS")
    if path == "README.md" and (errors := card_problems(content.decode(), repository.kind)[0]):
        raise HubError(400, f"Invalid metadata in README.md: {errors[0]}")
    return repository.objects.add(content)


def uploaded_entry(repository: Repository, path: str, sha256: str) -> Entry:
    """The entry of a content that came before by LFS."""
    content = repository.objects.lfs_path(sha256)
    if not content.exists():
        raise HubError(400, f"LFS object {sha256} of {path} was not uploaded")
    return lfs_entry(sha256, content.stat().st_size)


@route("GET", "/{prefix}{repo}/resolve/{revision}/{path}")
def resolve(call: Call, prefix: str, repo: str, revision: str, path: str) -> Reply:
    """Give a file of a revision; one kept by LFS lies elsewhere."""
    kind = prefix.strip("/") or "models"
    repository = call.repository(kind, repo)
    call.check_gate(repository)
    found = repository.commit_of(revision)
    entry = found.files.get(path)
    if entry is None:
        raise HubError(404, "Entry not found", "EntryNotFound")
    headers = {"X-Repo-Commit": found.id, "ETag": f'"{entry.etag}"', "Content-Disposition": disposition(path)}
    if entry.sha256 is None:
        return Reply(headers=headers, file=repository.objects.path(entry))
    location = signed(call.hub, f"/lfs/{kind}/{quote(repository.name)}/{entry.sha256}")
    linked = {"Location": location, "X-Linked-Size": str(entry.size), "X-Linked-Etag": f'"{entry.sha256}"'}
    return Reply(302, headers=headers | linked)
