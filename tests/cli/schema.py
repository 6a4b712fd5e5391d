"""Holds JSON documents, one after the other on standard input, against the schemas that `podglass schema KIND` prints.

Every document names its kind. At the end every kind must have been seen, but for those given as arguments; `any`: whatever there is.
"""
import json
import os
import subprocess
import sys

import jsonschema

PODGLASS = os.environ["PODGLASS"]


def schema_text(*kind):
    return subprocess.run([PODGLASS, "schema", *kind], check=True, capture_output=True, text=True).stdout


def documents(text):
    decoder = json.JSONDecoder()
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        document, at = decoder.raw_decode(text, at)
        yield document


kinds = schema_text().split()
validators = {}
for name in kinds:
    schema = json.loads(schema_text(name))
    assert schema["title"] == name, name
    jsonschema.Draft202012Validator.check_schema(schema)
    validators[name] = jsonschema.Draft202012Validator(schema)

seen = {}
wrong = 0
for document in documents(sys.stdin.read()):
    name = document.get("kind")
    seen[name] = seen.get(name, 0) + 1
    if name not in validators:
        wrong += 1
        print(f"no schema for kind {name}")
        continue
    for error in validators[name].iter_errors(document):
        wrong += 1
        where = "/".join(str(step) for step in error.absolute_path)
        print(f"{name} {where}: {error.message[:300]}")

anything = sys.argv[1:] == ["any"]
missing = [name for name in kinds if name not in seen and name not in sys.argv[1:] and not anything]
if missing:
    print("never seen:", ", ".join(missing))
print(f"{sum(seen.values())} documents of {len(seen)} kinds, {wrong} wrong")
sys.exit(1 if wrong or missing else 0)
