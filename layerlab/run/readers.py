"""Who can read a secret: the ways to hand one over, the people who look, and the level that follows."""

import base64
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from layerlab.errors import LabError
from layerlab.image.document import in_text, texts
from layerlab.image.forms import AS_IS
from layerlab.image.needles import Needles

#: The people, from who needs least: each sees a table's column.
PULLS, INSPECTS, INSIDE, CHILD = PEOPLE = ("pulls", "inspects", "inside", "child")
LOW, MIDDLE, HIGH = "low", "middle", "high"


@dataclass(frozen=True)
class Way:
    """One way to hand a secret over."""

    number: int
    name: str
    #: Of the variable, file or secret that holds it.
    key: str
    #: How the chapter ranks it; "" where it says nothing of it.
    chapter: str = ""


IMAGE_ENV = Way(1, "Dockerfile ENV", "LAB_IMAGE_ENV", LOW)
BUILD_ARG = Way(2, "ARG, used in a RUN", "LAB_BUILD_ARG")
COPIED = Way(3, "COPY .env", "LAB_COPIED")
REMOVED = Way(4, "COPY .env, then RUN rm", "LAB_REMOVED")
BUILD_SECRET = Way(5, "RUN --mount=type=secret", "lab_build_secret")
RUN_ENV = Way(6, "docker run -e", "LAB_RUN_ENV")
COMPOSE_ENV = Way(7, "compose environment", "LAB_COMPOSE_ENV", MIDDLE)
ENV_FILE = Way(8, "compose env_file (.env)", "LAB_ENV_FILE", MIDDLE)
COMPOSE_SECRET = Way(9, "compose secrets, a file", "lab_compose_secret", HIGH)
SWARM_SECRET = Way(10, "Swarm secret", "lab_swarm_secret", HIGH)
OF_IMAGE = (IMAGE_ENV, BUILD_ARG, COPIED, REMOVED, BUILD_SECRET)
COMPOSED = (COMPOSE_ENV, ENV_FILE, COMPOSE_SECRET)
WAYS = (*OF_IMAGE, RUN_ENV, *COMPOSED, SWARM_SECRET)


@dataclass(frozen=True)
class Found:
    """One place where a person read the secret of one way; nothing of the secret is in it."""

    way: Way
    person: str
    #: What was looked at: "history", "docker inspect", "environment", "file", …
    kind: str
    #: Masked.
    where: str
    #: Whether a later layer hides it.
    hidden: bool = False


def level(people: Collection[str]) -> str:
    """How well a secret is kept from people, by who of them can read it."""
    if PULLS in people:
        return LOW
    return MIDDLE if INSPECTS in people else HIGH


RULE = (
    "Level: low if who pulls the image can read it; else middle if who can inspect the engine can; else "
    "high: it is read inside the running container only, or by none of them."
)

#: What a process can read, as lines of JSON; what it reads, in base64. Nothing is searched for there.
_SURVEY = """
import base64, glob, json, os, stat
def survey():
    def told(kind, where, data, about=""):
        data = base64.b64encode(data).decode()
        return json.dumps({"kind": kind, "where": where, "about": about, "data": data}) + "\\n"
    for name, value in os.environb.items():
        yield told("environment", os.fsdecode(name), value)
    for path in sorted(glob.glob("/proc/[0-9]*/environ")):
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            continue
        if path.split("/")[2] != str(os.getpid()):
            who = "/proc/1/environ" if path == "/proc/1/environ" else "/proc/PID/environ"
            for one in content.split(b"\\0"):
                name, _, value = one.partition(b"=")
                yield told("/proc", who, value, os.fsdecode(name))
    for folder, folders, files in os.walk("/"):
        if folder == "/":
            for big in ("proc", "sys", "dev", "usr", "opt"):
                if big in folders:
                    folders.remove(big)
        if folder == "/var" and "lib" in folders:
            folders.remove("lib")
        for name in files:
            path = os.path.join(folder, name)
            try:
                about = os.lstat(path)
                if not stat.S_ISREG(about.st_mode) or about.st_size > 1 << 18:
                    continue
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:
                continue
            mode = "mode %04o, uid %d" % (stat.S_IMODE(about.st_mode), about.st_uid)
            yield told("file", path, content, mode)
"""
#: A child of the app: answers what it can read to who connects, and keeps it out of logs and files.
_CHILD = (
    _SURVEY
    + """
import socket
here = socket.socket(socket.AF_UNIX)
here.bind("\\0layerlab-child")
here.listen()
while True:
    there, _ = here.accept()
    with there:
        for line in survey():
            there.sendall(line.encode())
"""
)
#: Stands for the app: the container's first process, which has a child.
_APP = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("serving", flush=True)
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""
_ASK_CHILD = """
import socket, sys, time
for left in range(200):
    there = socket.socket(socket.AF_UNIX)
    try:
        there.connect("\\0layerlab-child")
        break
    except OSError:
        there.close()
        time.sleep(0.05)
else:
    sys.exit("the child does not answer")
while data := there.recv(1 << 16):
    sys.stdout.buffer.write(data)
"""
#: The words after an image's name.
APP = ("python", "-c", _APP, _CHILD)
#: What `docker exec` runs for each person.
ASKING = {
    CHILD: ("python", "-c", _ASK_CHILD),
    INSIDE: ("python", "-c", _SURVEY + "for line in survey(): print(line, end='')"),
}


def in_survey(needles: Needles, ways: Collection[Way], person: str, answer: str) -> Iterator[Found]:
    """What a process could read."""
    by_number = {way.number: way for way in ways}
    for line in answer.splitlines():
        try:
            told = json.loads(line)
            content = base64.b64decode(told["data"])
        except ValueError:
            raise LabError("a container's answer is cut off or damaged") from None
        where = told["where"] + (f" ({told['about']})" if told["about"] else "")
        for match in needles.find(content):
            if way := by_number.get(match.needle.number):
                yield Found(way, person, told["kind"], in_form(needles.mask(where), match.form))


def in_output(needles: Needles, ways: Collection[Way], kind: str, output: str) -> Iterator[Found]:
    """What a command shows to who can inspect the engine; if it is JSON, by its keys."""
    by_number = {way.number: way for way in ways}
    try:
        parts = list(texts(json.loads(output)))
    except ValueError:
        parts = [("", output)]
    for key, text in parts:
        for hit in in_text(needles, text):
            if way := by_number.get(hit.needle.number):
                name, equals, _ = text.partition("=")
                where = key.removeprefix("[0].") + (
                    f" ({name})" if equals and "Env[" in key else ""
                )
                where = needles.mask(where)
                yield Found(way, INSPECTS, kind, in_form(where, hit.form))


def in_form(where: str, form: str) -> str:
    """A place, with the form that a value has there."""
    return where if form == AS_IS else f"{where} as {form}".strip()
