"""Reads every file of a directory with python-dotenv and prints what it got, as hexadecimal.

usage: read_with_python_dotenv.py DIRECTORY ENCODING
One line a file: its name, then `key=value` pairs, `key` alone for a key without a value, or `error`.
"""

import logging
import os
import sys

from dotenv import dotenv_values

logging.disable(logging.CRITICAL)


def hexadecimal(text):
    return "x" + text.encode("utf-8", "surrogatepass").hex()


def pairs(path, encoding):
    try:
        values = dotenv_values(path, encoding=encoding)
    except UnicodeDecodeError:
        return ["error"]
    return [hexadecimal(k) if v is None else hexadecimal(k) + "=" + hexadecimal(v) for k, v in values.items()]


directory, encoding = sys.argv[1:]
for name in sorted(os.listdir(directory)):
    print(name, *pairs(os.path.join(directory, name), encoding))
