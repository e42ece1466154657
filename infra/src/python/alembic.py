"""Prints what Alembic says of a checkout, as one JSON document; `null` where this Python has no Alembic.

Arguments: the backend's folder, then revisions that a database stands at: "stuck" says why `upgrade head` cannot begin
there. Neither the application nor a revision is run: Alembic gets a revision's literal assignments instead of its module.

With `--run-env`, env.py runs as in `alembic current`, and only the version table that it configures is printed.
"""

import ast
import collections
import configparser
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys
import types
from pathlib import Path

answer, sys.stdout = sys.stdout, sys.stderr  # what env.py prints is no answer
try:
    from alembic import util
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory
except ImportError:
    print("null", file=answer)
    sys.exit()

REQUIRED = ("revision", "down_revision")
FIELDS = (*REQUIRED, "depends_on", "branch_labels")
faults, files, skipped = [], {}, []


def fault(file, line, what):
    faults.append({"file": str(file), "line": line, "what": what})


def unreadable(file, line, what):
    skipped.append(file)
    fault(file, line, what)


class Source:
    """A module's assignments, read and not run."""

    def __init__(self, path):
        self.tree = ast.parse(path.read_bytes())
        names = [node for node in ast.walk(self.tree) if isinstance(node, ast.Name)]
        self.stored = collections.Counter(name.id for name in names if isinstance(name.ctx, ast.Store))
        self.assigned = {}
        for node in self.tree.body:
            if isinstance(node, ast.Assign):
                self.assigned.update({target.id: node for target in node.targets if isinstance(target, ast.Name)})
            elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
                self.assigned[node.target.id] = node

    def literal(self, node):
        """The value of a literal, or of a name that the module assigns once. Raises ValueError for anything else."""
        if isinstance(node, ast.Name) and self.stored[node.id] == 1 and node.id in self.assigned:
            node = self.assigned[node.id].value
        return ast.literal_eval(node)

    def line(self, name):
        return self.assigned[name].lineno if name in self.assigned else 1


def read_revision(folder, name):
    """Alembic's loader of revision files. A file that is wrong is written down, and stands in the history by itself."""
    path = Path(folder, name)
    module = types.SimpleNamespace(revision=str(path), down_revision=None, depends_on=None, branch_labels=None)
    try:
        source = Source(path)
    except (OSError, SyntaxError, ValueError) as error:
        unreadable(path, getattr(error, "lineno", 0) or 0, f"{name} cannot be read: {error}")
        return module
    read = {}
    for field in FIELDS:
        try:
            node = source.assigned[field] if field in REQUIRED else source.assigned.get(field)
            read[field] = node and source.literal(node.value)
            if field == "revision" and not isinstance(read[field], str):
                raise ValueError
        except (KeyError, ValueError, TypeError):
            unreadable(path, source.line(field), f"{name} has no plain `{field}`")
            return module
    if read["revision"] in files:
        fault(path, source.line("revision"), f"{name} repeats revision {read['revision']}")
    vars(module).update(read)
    files[module.revision] = (path, source, module)
    return module


def located(place):
    """The folder of `package:path`, found without importing the package, as Alembic would do."""
    if os.path.isabs(place) or ":" not in place:
        return Path(place)
    package, *parts = place.split(":")
    top, *inner = package.split(".")
    spec = importlib.util.find_spec(top)
    for name in inner:
        spec = spec and importlib.machinery.PathFinder.find_spec(name, spec.submodule_search_locations)
    if not (spec and spec.submodule_search_locations):
        raise util.CommandError(f"there is no package {package}")
    return Path(list(spec.submodule_search_locations)[0], *parts)


def configuration():
    """As `python -m alembic` finds it; pyproject.toml counts from Alembic 1.16 on."""
    named = os.environ.get("ALEMBIC_CONFIG") or "alembic.ini"
    toml = os.path.basename(named) == "pyproject.toml"
    given = {"file_": "alembic.ini" if toml else named}
    if "toml_file" in inspect.signature(Config).parameters:
        given["toml_file"] = named if toml else "pyproject.toml"
    return Config(**given)


def missing():
    """Writes down what revisions name and no file defines."""
    labels = {label for _, _, module in files.values() for label in util.to_tuple(module.branch_labels, default=())}
    for path, source, module in files.values():
        for field, words, known in (
            ("down_revision", "follows revision", files.keys()),
            ("depends_on", "depends on", files.keys() | labels),
        ):
            for name in util.to_tuple(getattr(module, field), default=()):
                if name not in known:
                    fault(path, source.line(field), f"{path.name} {words} {name}, which no file defines")


def version_table(env):
    """What env.py hands to `context.configure` for a connection; None unless it is there to read."""
    try:
        source = Source(env)
        nodes = list(ast.walk(source.tree))
        imported = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "alembic"]
        names = {alias.asname or alias.name for node in imported for alias in node.names if alias.name == "context"}
        calls = [
            node
            for node in nodes
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "configure"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in names
        ]
        tables = set()
        online = [call for call in calls if call.args or any(word.arg == "connection" for word in call.keywords)]
        for call in online or calls:
            words = {word.arg: word.value for word in call.keywords}
            if None in words:  # **options
                return None
            table, schema = (words.get(f"version_table{end}") for end in ("", "_schema"))
            tables.add((table and source.literal(table), schema and source.literal(schema)))
        (found,) = tables
        return {"name": found[0] or "alembic_version", "schema": found[1]}
    except (OSError, SyntaxError, ValueError, TypeError):
        return None


def describe(config, standing):
    known = {"heads": [], "revisions": {}, "version_table": None, "env": None, "stuck": None, "faults": faults}
    broken = None
    try:
        util.load_python_file, util.coerce_resource_to_filename = read_revision, located
        script = ScriptDirectory.from_config(config)
        env = Path(script.dir, "env.py").absolute()
        known.update(env=str(env), version_table=version_table(env))
        known["heads"] = sorted(script.get_heads())
        if standing:
            known["stuck"] = stuck(script, standing)
    except Exception as error:  # of Alembic: its configuration, or what it makes of the revisions
        broken = error
    if not skipped:  # a file that cannot be read may be the one that is missed
        missing()
    if isinstance(broken, configparser.Error):
        fault(settings_of(config), *unparsed(broken))
    elif broken and not faults:
        path, source, _ = files.get(min(getattr(broken, "revisions", ()), default=None), (None, None, None))
        fault(path or settings_of(config), source.line("down_revision") if source else 0, str(broken))
    known["revisions"] = {
        name: {"file": str(path), "line": source.line("down_revision")} for name, (path, source, _) in files.items()
    }
    return known


def unparsed(error):
    """Line and words for a configuration that cannot be parsed: Python's own words quote the line, which may hold a password."""
    lines = [number for number, _ in getattr(error, "errors", [])] or [getattr(error, "lineno", 0) or 0]
    option = getattr(error, "option", None)
    return lines[0], f"`{option}` has a reference that cannot be filled in" if option else "this line is no `key = value`"


def settings_of(config):
    named = (config.config_file_name, getattr(config, "toml_file_name", None))
    return Path(next((name for name in named if name and os.path.isfile(name)), "alembic.ini")).absolute()


def stuck(script, standing):
    try:
        list(script.iterate_revisions("head", tuple(standing), implicit_base=True))
    except Exception as error:
        return str(error)


def run_env(config):
    script, found = ScriptDirectory.from_config(config), {}

    def note(_, context):
        found.update(name=context.version_table, schema=context.version_table_schema)
        return []

    with EnvironmentContext(config, script, fn=note, dont_mutate=True):
        script.run_env()
    return found or None


backend, *standing = sys.argv[1:]
os.chdir(backend)
sys.path.append(os.getcwd())
if standing == ["--run-env"]:
    result = run_env(configuration())
else:
    result = describe(configuration(), standing)
print(json.dumps(result), file=answer)
