"""Prints the lines of a requirements file that this environment does not satisfy. Installs and fetches nothing."""

import os
import re
import sys
from importlib import metadata

try:
    from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
except ImportError:  # an environment without pip
    Requirement = None


def lines(path):
    with open(path, encoding="utf-8-sig") as file:
        text = file.read().replace("\\\n", " ")
    for line in text.splitlines():
        line = re.split(r"(?:^|\s)#", line)[0].strip()
        nested = re.match(r"(?:-r|--requirement)[ =]?\s*(.+)", line)
        if nested:
            yield from lines(os.path.join(os.path.dirname(path), nested.group(1)))
        elif line and not line.startswith("-"):
            yield re.split(r"\s--", line)[0].strip()


def satisfied(line):
    if Requirement is None:
        name, exact = re.match(r"[\w.-]*", line).group(), re.search(r"==\s*([\w.+!-]+)", line)
        try:
            return not name or not exact or metadata.version(name) == exact.group(1)
        except metadata.PackageNotFoundError:
            return False
    try:
        wanted = Requirement(line)
    except InvalidRequirement:  # a path: only pip knows what it holds
        return True
    if wanted.marker and not wanted.marker.evaluate():
        return True
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


for line in lines(sys.argv[1]):
    if not satisfied(line):
        print(line)
