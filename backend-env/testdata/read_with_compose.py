"""Reads every file of a directory as the `env_file` of a service with a Compose program, and prints what it got, as hexadecimal.

usage: read_with_compose.py DIRECTORY PROGRAM [ARGUMENT...]
One line a file: its name, then `key=value` pairs, `key` alone for a key without a value, or `error`. Compose 2 refuses the whole
project for one bad file: it is asked again for each half.
"""

import json
import os
import subprocess
import sys
import tempfile


def hexadecimal(text):
    return "x" + text.encode("utf-8", "surrogatepass").hex()


def ask(directory, names, program):
    services = {"s" + name: {"image": "x", "env_file": [os.path.join(directory, name)]} for name in names}
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "compose.yaml")
        with open(file, "w") as out:
            json.dump({"services": services}, out)
        config = [*program, "-f", file, "config", "--format", "json"]
        ran = subprocess.run(config, capture_output=True, encoding="utf-8", errors="replace")
    return json.loads(ran.stdout)["services"] if ran.returncode == 0 else None


def read_with_compose_2(directory, names, program):
    services = ask(directory, names, program)
    if services is None:
        if len(names) == 1:
            return {}
        middle = len(names) // 2
        halves = (names[:middle], names[middle:])
        return {n: pairs for half in halves for n, pairs in read_with_compose_2(directory, half, program).items()}
    # What `config` prints can be read as a Compose file again: there a dollar sign stands twice.
    plain = lambda value: value and value.replace("$$", "$")
    return {n: {k: plain(v) for k, v in (services["s" + n].get("environment") or {}).items()} for n in names}


def read_with_compose_1(directory, names):
    """`config` prints YAML, which turns some characters into others: its own function is asked."""
    from compose.config.environment import env_vars_from_file
    from compose.config.errors import ConfigurationError

    answers = {}
    for name in names:
        try:
            answers[name] = env_vars_from_file(os.path.join(directory, name))
        except (ConfigurationError, UnicodeDecodeError):
            pass
    return answers


directory, *program = sys.argv[1:]
names = sorted(os.listdir(directory))
if program == ["docker-compose"]:
    answers = read_with_compose_1(directory, names)
else:
    answers = read_with_compose_2(directory, names, program)
for name in names:
    pairs = answers.get(name)
    if pairs is None:
        print(name, "error")
        continue
    print(name, *(hexadecimal(k) if v is None else hexadecimal(k) + "=" + hexadecimal(v) for k, v in pairs.items()))
