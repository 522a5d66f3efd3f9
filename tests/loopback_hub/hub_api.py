"""The API of the loopback Hub about repositories: who asks, making and moving them, refs, listings, pull requests."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from tests.loopback_hub.hub_cards import card_data, card_problems
from tests.loopback_hub.hub_http import KINDS, Call, Reply, json_reply, route
from tests.loopback_hub.hub_storage import Commit, Entry, HubError, PullRequest, Repository, lfs_pointer, tree_ids

PAGE, EXPANDED_PAGE = 1000, 50  # entries in a page, as on the real Hub


@route("GET", "/api/whoami-v2")
def whoami(call: Call) -> Reply:
    """The user and organisations behind a token, and what it may do."""
    access = call.require_access()
    organizations = [
        {"type": "org", "id": name, "name": name, "fullname": name, "roleInOrg": roles[access.user]}
        for name, roles in call.hub.organizations.items()
        if access.user in roles
    ]
    token = {"displayName": f"{access.user}-{access.role}", "role": access.role}
    return json_reply(
        {
            "type": "user", "id": access.user, "name": access.user, "fullname": access.user, "isPro": False,
            "orgs": organizations, "auth": {"type": "access_token", "accessToken": token},
        }
    )  # fmt: skip


@route("GET", "/api/telemetry/{path}")
def telemetry(_call: Call, path: str) -> Reply:
    """Libraries say that they were used."""
    return Reply()


@route("GET", "/api/agent-harnesses")
def harnesses(_call: Call) -> Reply:
    """Programs by which the client would say that it is run; none are known here."""
    return json_reply({"standardEnvVars": [], "harnesses": {}})


@route("POST", "/api/validate-yaml")
def validate_yaml(call: Call) -> Reply:
    """What is wrong with a card: 400 with errors, or warnings only."""
    asked = call.json()
    errors, warnings = card_problems(asked["content"], asked.get("repoType", "model"))
    found = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return json_reply(found, 400 if errors else 200)


@route("POST", "/api/repos/create")
def create_repo(call: Call) -> Reply:
    """Make a repository; if there is one, say so and where."""
    asked = call.json()
    access, kind = call.require_access("write"), asked.get("type") or "model"
    namespace = asked.get("organization") or access.user
    name = f"{namespace}/{asked['name']}"
    if not call.hub.is_member(access, namespace, "write"):
        raise HubError(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    if (kind, name) in call.hub.repositories:
        url = call.hub.url_of(call.hub.repositories[kind, name])
        raise HubError(409, f"You already created this {kind} repo: {name}", url=url)
    private = asked.get("visibility") == "private" or bool(asked.get("private"))
    repository = call.hub.create(kind, name, author=access.user, private=private, sdk=asked.get("sdk"))
    return json_reply({"url": call.hub.url_of(repository), "name": name, "id": name})


@route("DELETE", "/api/repos/delete")
def delete_repo(call: Call) -> Reply:
    """Remove a repository with all that is in it."""
    asked = call.json()
    namespace = asked.get("organization") or call.require_access("write").user
    repository = call.repository(f"{asked.get('type') or 'model'}s", f"{namespace}/{asked['name']}", "write")
    call.hub.delete(repository)
    return Reply()


@route("POST", "/api/repos/move")
def move_repo(call: Call) -> Reply:
    """Give a repository another name; the old one leads to it."""
    asked = call.json()
    repository = call.repository(f"{asked.get('type') or 'model'}s", asked["fromRepo"], "write")
    namespace = asked["toRepo"].split("/")[0]
    if not call.hub.is_member(call.require_access("write"), namespace, "write"):
        raise HubError(403, f'You don\'t have the rights to move a repo to the namespace "{namespace}"')
    if (repository.kind, asked["toRepo"]) in call.hub.repositories:
        raise HubError(409, f"There is a {repository.kind} of this name: {asked['toRepo']}")
    call.hub.move(repository, asked["toRepo"])
    return Reply()


@route("PUT", "/api/{kind}/{repo}/settings")
def settings(call: Call, kind: str, repo: str) -> Reply:
    """Change who may see a repository or read its files."""
    repository, asked = call.repository(kind, repo, "write"), call.json()
    if "visibility" in asked or "private" in asked:
        repository.private = asked.get("visibility") == "private" or bool(asked.get("private"))
    if "gated" in asked:
        repository.gated = bool(asked["gated"])
    return json_reply({"private": repository.private, "gated": repository.gated})


@route("GET", "/api/{kind}/{repo}/auth-check")
def auth_check(call: Call, kind: str, repo: str) -> Reply:
    """Whether the files may be read."""
    call.check_gate(call.repository(kind, repo))
    return Reply()


@route("GET", "/api/{kind}")
def list_repos(call: Call, kind: str) -> Reply:
    """The repositories of a kind that can be seen, of one author if asked."""
    author = call.query.get("author", [None])[0]
    found = [
        repository
        for (of_kind, name), repository in sorted(call.hub.repositories.items())
        if of_kind == KINDS[kind] and author in (None, name.split("/")[0]) and call.may_see(repository)
    ]
    return json_reply([summary(repository, repository.commit_of("main")) for repository in found])


@route("GET", "/api/{kind}/{repo}")
def repo_info(call: Call, kind: str, repo: str) -> Reply:
    """What a repository is and holds."""
    return revision_info(call, kind, repo, "main")


@route("GET", "/api/{kind}/{repo}/revision/{revision}")
def revision_info(call: Call, kind: str, repo: str, revision: str) -> Reply:
    """What a repository was at a revision."""
    repository = call.repository(kind, repo)
    commit = repository.commit_of(revision)
    info = summary(repository, commit) | {
        "siblings": [sibling(path, entry, blobs=call.flag("blobs")) for path, entry in sorted(commit.files.items())]
    }
    if wanted := call.query.get("expand") or call.query.get("expand[]"):
        info = {name: value for name, value in info.items() if name in {"_id", "id", *wanted}}
    return json_reply(info)


def summary(repository: Repository, commit: Commit) -> dict[str, Any]:
    """What is said of a repository in lists and on its own."""
    card = {}
    if readme := commit.files.get("README.md"):
        card = card_data(repository.objects.path(readme).read_text(encoding="utf-8", errors="replace"))
    info = {
        "_id": repository.folder.name, "id": repository.name, "author": repository.name.split("/")[0],
        "sha": commit.id, "lastModified": iso(commit), "private": repository.private, "disabled": False,
        "gated": "auto" if repository.gated else False, "downloads": 0, "likes": 0, "tags": card.get("tags") or [],
        "createdAt": iso(next(iter(repository.commits.values()))), "cardData": card,
    }  # fmt: skip
    if repository.kind == "model":
        info |= {"modelId": repository.name}
        info |= {name: card[name] for name in ("library_name", "pipeline_tag") if name in card}
    if repository.kind == "space":
        info["sdk"] = card.get("sdk", repository.sdk)
    return info


def iso(commit: Commit) -> str:
    """When a commit was made, as the Hub writes it."""
    return commit.date.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def sibling(path: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
    """A file as the information about a repository lists it."""
    listed = {"rfilename": path}
    if blobs:
        listed |= {"blobId": entry.blob, "size": entry.size}
        if entry.sha256:
            listed["lfs"] = {"sha256": entry.sha256} | lfs_sizes(entry)
    return listed


def lfs_sizes(entry: Entry) -> dict[str, int]:
    """Of the content and of the text that stands for it."""
    return {"size": entry.size, "pointerSize": len(lfs_pointer(entry.sha256, entry.size))}


class Listing:
    """Files and folders of a commit as the Hub lists them."""

    def __init__(self, repository: Repository, commit: Commit, *, expand: bool):
        self.repository, self.commit, self.expand = repository, commit, expand
        self.folders = tree_ids(commit.files)

    def item(self, path: str) -> dict[str, Any] | None:
        """One file or folder; None if there is none."""
        if path in self.folders:
            item = {"type": "directory", "oid": self.folders[path], "size": 0, "path": path}
        elif entry := self.commit.files.get(path):
            item = {"type": "file", "oid": entry.blob, "size": entry.size, "path": path}
            if entry.sha256:
                item["lfs"] = {"oid": entry.sha256} | lfs_sizes(entry)
        else:
            return None
        return item | ({"lastCommit": self._last_commit(path)} if self.expand else {})

    def below(self, folder: str, *, recursive: bool) -> list[str]:
        """The paths in a folder."""
        prefix = f"{folder}/" if folder else ""
        paths = [path for path in self.commit.files.keys() | self.folders.keys() if path and path.startswith(prefix)]
        return sorted(path for path in paths if recursive or "/" not in path[len(prefix) :])

    def _last_commit(self, path: str) -> dict[str, str]:
        """The newest commit that changed a file, or any file of a folder."""
        held = self._held(self.commit, path)
        last = self.commit
        for commit in self.repository.history(self.commit):
            if self._held(commit, path) != held:
                break
            last = commit
        return {"id": last.id, "title": last.title, "date": iso(last)}

    def _held(self, commit: Commit, path: str) -> object:
        if path not in self.folders:
            return commit.files.get(path)
        return {name: entry for name, entry in commit.files.items() if name.startswith(f"{path}/")}


def page_reply(call: Call, items: list[Any], size: int, show: Any = lambda item: item) -> Reply:
    """A page of a list, with the address of the next in the headers."""
    start = int(call.query.get("cursor", ["0"])[0])
    size = min(size, int(call.query.get("limit", [size])[0]))
    reply = json_reply([show(item) for item in items[start : start + size]])
    if start + size < len(items):
        query = urlencode({**call.query, "cursor": start + size}, doseq=True)
        reply.headers["Link"] = f'<{call.hub.url}{call.path}?{query}>; rel="next"'
    return reply


@route("GET", "/api/{kind}/{repo}/tree/{revision}")
def tree_root(call: Call, kind: str, repo: str, revision: str) -> Reply:
    """The files and folders of a revision."""
    return tree(call, kind, repo, revision, "")


@route("GET", "/api/{kind}/{repo}/tree/{revision}/{path}")
def tree(call: Call, kind: str, repo: str, revision: str, path: str) -> Reply:
    """The files and folders in a folder, page by page."""
    repository, expand = call.repository(kind, repo), call.flag("expand")
    listing = Listing(repository, repository.commit_of(revision), expand=expand)
    folder = path.strip("/")
    if folder not in listing.folders:
        raise HubError(404, f'{folder} does not exist on "{revision}"', "EntryNotFound")
    paths = listing.below(folder, recursive=call.flag("recursive"))
    return page_reply(call, paths, EXPANDED_PAGE if expand else PAGE, listing.item)


@route("POST", "/api/{kind}/{repo}/paths-info/{revision}")
def paths_info(call: Call, kind: str, repo: str, revision: str) -> Reply:
    """Files and folders by name; those that do not exist are left out."""
    repository = call.repository(kind, repo)
    asked = call.json() if "json" in call.headers.get("Content-Type", "") else call.form()
    expand = str(asked.get("expand", [False])[0] if isinstance(asked.get("expand"), list) else asked.get("expand"))
    listing = Listing(repository, repository.commit_of(revision), expand=expand.lower() == "true")
    return json_reply([item for path in asked.get("paths", []) if (item := listing.item(path.strip("/")))])


@route("GET", "/api/{kind}/{repo}/commits/{revision}")
def commits(call: Call, kind: str, repo: str, revision: str) -> Reply:
    """The history of a revision, newest first, page by page."""
    repository = call.repository(kind, repo)
    history = list(repository.history(repository.commit_of(revision)))

    def show(commit: Commit) -> dict[str, Any]:
        authors = [{"user": commit.author}]
        return {
            "id": commit.id, "title": commit.title, "message": commit.description, "authors": authors,
            "date": iso(commit),
        }  # fmt: skip

    return page_reply(call, history, EXPANDED_PAGE, show)


@route("GET", "/api/{kind}/{repo}/refs")
def refs(call: Call, kind: str, repo: str) -> Reply:
    """Branches, tags and, if asked, pull requests."""
    repository = call.repository(kind, repo)

    def those(start: str) -> Iterable[dict[str, str]]:
        return [
            {"name": ref.removeprefix(start) if start != "refs/pr/" else ref, "ref": ref, "targetCommit": commit}
            for ref, commit in repository.refs.items()
            if ref.startswith(start)
        ]

    found = {"branches": those("refs/heads/"), "tags": those("refs/tags/"), "converts": those("refs/convert/")}
    return json_reply(found | ({"pullRequests": those("refs/pr/")} if call.flag("include_prs") else {}))


@route("POST", "/api/{kind}/{repo}/branch/{name}")
def create_branch(call: Call, kind: str, repo: str, name: str) -> Reply:
    """Start a branch at a revision, or at main."""
    repository = call.repository(kind, repo, "write")
    repository.set_ref(f"refs/heads/{name}", repository.commit_of(call.json().get("startingPoint", "main")))
    return Reply()


@route("DELETE", "/api/{kind}/{repo}/branch/{name}")
def delete_branch(call: Call, kind: str, repo: str, name: str) -> Reply:
    """Remove a branch."""
    call.repository(kind, repo, "write").delete_ref(f"refs/heads/{name}")
    return Reply()


@route("POST", "/api/{kind}/{repo}/tag/{revision}")
def create_tag(call: Call, kind: str, repo: str, revision: str) -> Reply:
    """Give a revision a name that stays."""
    repository = call.repository(kind, repo, "write")
    repository.set_ref(f"refs/tags/{call.json()['tag']}", repository.commit_of(revision))
    return Reply()


@route("DELETE", "/api/{kind}/{repo}/tag/{name}")
def delete_tag(call: Call, kind: str, repo: str, name: str) -> Reply:
    """Remove a tag."""
    call.repository(kind, repo, "write").delete_ref(f"refs/tags/{name}")
    return Reply()


@route("GET", "/api/{kind}/{repo}/discussions")
def discussions(call: Call, kind: str, repo: str) -> Reply:
    """The pull requests of a repository."""
    repository = call.repository(kind, repo)
    shown = [pull_request(repository, request) for request in repository.pull_requests]
    return json_reply({"discussions": shown, "count": len(shown), "start": 0})


@route("POST", "/api/{kind}/{repo}/discussions")
def open_discussion(call: Call, kind: str, repo: str) -> Reply:
    """Open a pull request that changes nothing yet."""
    repository, asked = call.repository(kind, repo, "propose"), call.json()
    if not asked.get("pullRequest"):
        raise HubError(400, "This Hub has pull requests but no discussions")
    request, _ = repository.open_pull_request(
        "main", [], title=asked["title"], description="", author=call.require_access().user, parent=None
    )
    return json_reply(pull_request(repository, request))


@route("GET", "/api/{kind}/{repo}/discussions/{number}")
def discussion(call: Call, kind: str, repo: str, number: str) -> Reply:
    """A pull request."""
    repository = call.repository(kind, repo)
    request = numbered(repository, number)
    changes = {"base": "refs/heads/main", "mergeCommitId": request.merged_as}
    details = {"changes": changes, "filesWithConflicts": [], "events": [], "diff": ""}
    return json_reply(pull_request(repository, request) | details)


@route("POST", "/api/{kind}/{repo}/discussions/{number}/merge")
def merge(call: Call, kind: str, repo: str, number: str) -> Reply:
    """Bring a pull request to main."""
    repository = call.repository(kind, repo, "write")
    repository.merge(numbered(repository, number), call.require_access().user)
    return json_reply({})


def numbered(repository: Repository, number: str) -> PullRequest:
    """The pull request of a number."""
    if not 1 <= int(number) <= len(repository.pull_requests):
        raise HubError(404, f"Discussion {number} not found")
    return repository.pull_requests[int(number) - 1]


def pull_request(repository: Repository, request: PullRequest) -> dict[str, Any]:
    """A pull request as it is listed."""
    return {
        "repo": {"name": repository.name, "type": repository.kind},
        "num": request.number, "title": request.title, "status": request.status, "isPullRequest": True,
        "author": {"name": request.author}, "createdAt": request.opened.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }  # fmt: skip
