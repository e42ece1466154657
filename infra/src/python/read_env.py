"""Reads a .env file as the application does, and names the keys that do not have the wanted values.

Argument: the file. Standard input: the wanted values, one JSON object. No value is printed.
"""

import json
import sys

try:
    from dotenv import dotenv_values
except ImportError:
    json.dump(None, sys.stdout)
    sys.exit()

wanted = json.loads(sys.stdin.buffer.read())
# pydantic-settings takes a key whatever its case; of several spellings the last one counts.
found = {key.lower(): value for key, value in dotenv_values(sys.argv[1], encoding="utf-8").items()}
json.dump([key for key, value in wanted.items() if found.get(key.lower()) != value], sys.stdout)
