"""Runs every podglass command that README.md, docs/ and the manual show, as somebody would who reads them.

The commands are those of fenced blocks, of indented lines of docs/man/*.scd, and of the examples of `podglass help VERB`. Each must be a command line that podglass
understands, and come to an end or go on until it is interrupted. Where a block shows what a command prints (lines behind "$ ..."), that must be printed: in this order and
exactly, but for numbers that are times; " ..." stands for any lines.

docs.sh starts it inside of `podglass run`, whose control socket is the default one, in a folder with what the commands name. Prints TAP.
"""
import os
import re
import subprocess
import sys
import time

os.environ["NO_COLOR"] = "1"
ROOT = os.environ["PODGLASS_SOURCE"]
PATIENCE = "120"
GOES_ON = re.compile(r"podglass (trace(?![^;]* (-f|--last) )|capture|get .* -w)")  # until somebody presses Ctrl-C
SECONDS = os.environ.get("DOCS_SECONDS", "2")

# What cannot be here, and why.
CANNOT = {
    "@client=": "names network namespaces of the reader",
    "--tun pg0 --configure": "a second instance would need addresses of its own",
    "kill -HUP %1": "a job of the reader's shell",
    "kubectl get": "needs a cluster",
    "-f manifests/": "a second instance on the same addresses",
    "run -f cluster.yaml": "made by kubectl in the line before",
    "podglass run ": "runs one inside of another: tests/netns/run_cmd.sh runs these",
    "podglass demo": "tests/cli/demo.sh runs all scenes",
    "wireshark": "needs a screen; tests/netns/capture.sh reads with tshark",
    "tshark": "reads what the line before writes; tests/netns/capture.sh",
    "podglass completion": "tests/cli/completion.sh runs it",
}
USAGE, MANIFEST, PRIVILEGE, NOT_RUNNING = 2, 3, 4, 5


class Command:
    def __init__(self, where, text):
        self.where, self.text, self.shown = where, text, []


def fenced(path):
    """Commands of ``` blocks; what follows a "$ " line is what it prints."""
    found, inside, command, name = [], False, None, os.path.relpath(path, ROOT)
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if line.startswith("```"):
            inside, command = not inside, None
        elif inside and line.startswith("$ podglass"):
            command = Command(f"{name}:{number}", line[2:])
            found.append(command)
        elif inside and line.startswith("podglass "):
            found.append(Command(f"{name}:{number}", line))
        elif inside and command:
            command.shown.append(line)
    return found


def unscd(text):
    return re.sub(r"\\(.)", r"\1", text.removesuffix("++"))


def manual(path):
    name = os.path.relpath(path, ROOT)
    lines = [(n, line.strip()) for n, line in enumerate(open(path, encoding="utf-8"), 1)]
    begin = next((n for n, line in lines if line.startswith("# EXAMPLES")), 1 << 30)
    return [Command(f"{name}:{n}", unscd(line)) for n, line in lines if n > begin and line.startswith("podglass ")]


def helped(verb):
    text = subprocess.run(["podglass", "help", verb], capture_output=True, text=True, check=True).stdout
    text = re.sub(r"\\\n\s*", "", text)
    lines = re.findall(r"^  (podglass .*)$", text, re.M)
    # two blanks or more and words: what it is for
    return [Command(f"podglass help {verb}", re.sub(r"\s{2,}[a-z].*$", "", line)) for line in lines if "[" not in line]


def commands():
    found = fenced(os.path.join(ROOT, "README.md"))
    docs = os.path.join(ROOT, "docs")
    for name in sorted(os.listdir(docs)):
        if name.endswith(".md"):
            found += fenced(os.path.join(docs, name))
    for name in sorted(os.listdir(os.path.join(docs, "man"))):
        found += manual(os.path.join(docs, "man", name))
    verbs = re.findall(r'^PG_VERB\([A-Z_]+, "([a-z]+)"', open(os.path.join(ROOT, "include/podglass/verbs.def")).read(), re.M)
    for verb in verbs:
        found += helped(verb)
    return found


def without_times(text):
    return re.sub(r"\d+(\.\d+)?m?s\b", "TIME", re.sub(r"\s+", " ", text)).strip()


def missing(shown, printed):
    """The first line that was shown and is not printed, behind those before it."""
    printed = [without_times(line) for line in printed.splitlines()]
    at, anywhere = 0, False
    for line in shown:
        wanted = without_times(line)
        if not wanted:
            continue
        if wanted == "...":
            anywhere = True
            continue
        while at < len(printed) and not printed[at]:
            at += 1
        if anywhere and wanted in printed[at:]:
            at = printed.index(wanted, at)
        if at >= len(printed) or printed[at] != wanted:
            return line
        at, anywhere = at + 1, False
    return None


def run(command):
    text = re.sub(r"\s+#\s.*$", "", command.text)
    goes_on = GOES_ON.search(text) is not None
    words = ["timeout", "--preserve-status", "-s", "INT", "-k", "20", SECONDS if goes_on else PATIENCE, "bash", "-c", text]
    if command.shown:  # on a terminal, where a reader is
        words = ["script", "-qec", text, "/dev/null"]
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    if done.returncode in (USAGE, PRIVILEGE, NOT_RUNNING) or done.returncode >= 124 and not (goes_on and done.returncode == 128 + 2):
        return f"exit status {done.returncode}: {done.stderr[-500:]}"
    if done.returncode == MANIFEST and "--strict" not in text:
        return f"exit status 3: {done.stderr[-500:]}"
    line = missing(command.shown, done.stdout) if command.shown else None
    return f"does not print\n#   {line}\n# but\n" + re.sub("^", "#   ", done.stdout, flags=re.M) if line else None


bad, number = 0, 0
for c in commands():
    number += 1
    why = next((why for what, why in CANNOT.items() if what in c.text), None)
    began = time.monotonic()
    wrong = None if why else run(c)
    bad += wrong is not None
    print(f"{'not ok' if wrong else 'ok'} {number} - {c.where}: {c.text}" + (f" # SKIP {why}" if why else f"  ({time.monotonic() - began:.1f}s)"), flush=True)
    if wrong:
        print(f"# {wrong}", flush=True)
print(f"1..{number}")
sys.exit(1 if bad or number < 40 else 0)
