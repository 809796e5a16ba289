"""Which files are edited in projects of several kinds."""

import json
from pathlib import Path

import pytest

from layerlab.build import dependency_file, edited, ignore, snapshot, source_file
from layerlab.build.dockerfile import parse
from layerlab.build.snapshot import Tree
from layerlab.errors import LabError


def tree(folder: Path, *files: str, **contents: str) -> Tree:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(content)
    return snapshot.look(folder, [ignore.Ignore()])


@pytest.mark.parametrize(
    ("dockerfile", "files", "chosen"),
    [
        # pip, uvicorn: a module and what is in it
        ('CMD ["uvicorn", "app.main:app"]', ["main.py", "app/main.py", "app/__init__.py"], "app/main.py"),
        ("CMD uvicorn main:app --port 80", ["main.py", "util.py"], "main.py"),
        ('ENTRYPOINT ["python", "-m"]\nCMD ["shop"]', ["shop/__main__.py", "run.py"], "shop/__main__.py"),
        ('CMD ["gunicorn", "shop.wsgi"]', ["shop/wsgi.py", "manage.py"], "shop/wsgi.py"),
        ('CMD ["python", "/srv/src/run.py"]', ["src/run.py", "run.py"], "src/run.py"),
        ("ENV FLASK_APP=hello.py\nCMD flask run", ["hello.py", "app.py"], "hello.py"),
        # Node: a file, one that a build makes
        ('CMD ["node", "server.js"]', ["server.js", "index.js"], "server.js"),
        ('CMD ["node", "dist/server.js"]', ["src/server.ts", "src/index.ts"], "src/server.ts"),
        # Go: the package that is built
        ("RUN go build -o /x ./cmd/x\nCMD /x", ["cmd/x/main.go", "main.go"], "cmd/x/main.go"),
        ("RUN go build -o /x .\nCMD /x", ["web.go", "web_test.go"], "web.go"),
        # by name, and by nearness
        ("CMD /x", ["src/main.rs", "src/config.rs", "build.rs"], "src/main.rs"),
        ("CMD nginx", ["tests/test_a.py", "conftest.py", "pkg/thing.py"], "pkg/thing.py"),
        ('CMD ["./start.sh"]', ["start.sh", "lib/core.rb"], "lib/core.rb"),
        ('CMD ["./start.sh"]', ["start.sh", "README.md"], "start.sh"),
        ("CMD x", ["src/main/java/org/x/ShopApplication.java", "A.java"], "src/main/java/org/x/ShopApplication.java"),
    ],
)  # fmt: skip
def test_the_source_file(tmp_path: Path, dockerfile: str, files: list[str], chosen: str) -> None:
    found = source_file.find(tree(tmp_path, *files), [parse(f"FROM x\n{dockerfile}\n")])
    assert found.path == chosen


def test_npm_start_means_what_the_package_says(tmp_path: Path) -> None:
    package = json.dumps({"scripts": {"start": "node --import x lib/web.mjs"}, "main": "index.js"})
    project = tree(tmp_path, "lib/web.mjs", "index.js", package__json=package)
    found = source_file.find(project, [parse('FROM node\nCMD ["npm", "start"]')])
    assert (found.path, found.why) == ("lib/web.mjs", "package.json starts it")


def test_a_project_without_source_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no source file .* name one with --edit PATH"):
        source_file.find(tree(tmp_path, "data.bin"), [parse("FROM x")])


@pytest.mark.parametrize(
    ("copies", "files", "chosen"),
    [
        ("COPY requirements.txt .", ["requirements.txt", "pyproject.toml"], "requirements.txt"),
        ("COPY reqs/requirements-prod.txt /r", ["requirements.txt", "reqs/requirements-prod.txt"], "reqs/requirements-prod.txt"),
        ("COPY pyproject.toml uv.lock ./", ["uv.lock", "pyproject.toml"], "uv.lock"),
        ("RUN --mount=type=bind,source=uv.lock,target=uv.lock uv sync", ["uv.lock", "requirements.txt"], "uv.lock"),
        ("COPY poetry.lock pyproject.toml ./", ["poetry.lock", "pyproject.toml"], "poetry.lock"),
        ('COPY ["package.json", "package-lock.json", "./"]', ["package.json", "package-lock.json"], "package-lock.json"),
        ("COPY package*.json ./", ["package.json", "package-lock.json", "web/package.json"], "package-lock.json"),
        ("COPY --chown=1:1 package.json pnpm-lock.yaml ./", ["pnpm-lock.yaml", "package.json"], "pnpm-lock.yaml"),
        ("COPY package.json .", ["package.json", "package-lock.json"], "package.json"),
        ("COPY go.mod go.sum ./", ["go.mod", "go.sum"], "go.mod"),
        ("COPY Cargo.toml Cargo.lock ./", ["Cargo.toml", "Cargo.lock"], "Cargo.toml"),
        ("COPY . .", ["sub/requirements.txt", "pyproject.toml"], "pyproject.toml"),
        ("COPY --from=x /requirements.txt .", ["requirements.txt", "uv.lock"], "requirements.txt"),
    ],
)  # fmt: skip
def test_the_dependency_file(tmp_path: Path, copies: str, files: list[str], chosen: str) -> None:
    found = dependency_file.find(tree(tmp_path, *files), {"new": parse(f"FROM x\n{copies}\n")})
    assert found is not None
    assert found.path == chosen


def test_a_lock_file_of_yarn_2_is_not_edited(tmp_path: Path) -> None:
    project = tree(tmp_path, "package.json", yarn__lock="__metadata:\n  version: 8\n")
    found = dependency_file.find(project, {"new": parse("FROM x\nCOPY package.json yarn.lock ./")})
    assert found is not None
    assert found.path == "package.json"


def test_a_project_without_dependencies_has_none(tmp_path: Path) -> None:
    assert dependency_file.find(tree(tmp_path, "run.sh"), {"new": parse("FROM x")}) is None


def test_it_says_in_which_dockerfile_it_is_copied_by_name(tmp_path: Path) -> None:
    dockerfiles = {"old": parse("FROM x\nCOPY . ."), "new": parse("FROM x\nCOPY go.mod .")}
    found = dependency_file.find(tree(tmp_path, "go.mod"), dockerfiles)
    assert found is not None
    assert found.why == "Go installs by it, and it is copied by name in new"


def asked(folder: Path, word: str, ignored: str = "") -> edited.Edited:
    ignores = {"old": ignore.Ignore(), "new": ignore.parse(ignored)}
    project = snapshot.look(folder, list(ignores.values()))
    return edited.asked("--edit", word, project, ignores, folder.parent)


def test_a_named_file_is_of_the_context_or_from_where_the_caller_is(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.py").write_text("")
    for word in ("a.py", "./a.py", "project/a.py", str(project / "a.py")):
        assert asked(project, word).path == "a.py"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("../out.py", "not in the build context"),
        ("/etc/passwd", "not in the build context"),
        ("none.py", "no such file"),
        ("folder", "it is a folder"),
        ("link.py", "it is a link"),
        ("folder/b.py", "the build of new does not see it"),
        ("data.bin", "knows no comment"),
    ],
)
def test_a_named_file_that_can_not_be_edited(tmp_path: Path, word: str, told: str) -> None:
    project = tmp_path / "project"
    (project / "folder").mkdir(parents=True)
    for name in ("a.py", "folder/b.py", "data.bin", "../out.py"):
        (project / name).write_text("")
    (project / "link.py").symlink_to("a.py")
    with pytest.raises(LabError, match=told):
        asked(project, word, ignored="folder\n")
