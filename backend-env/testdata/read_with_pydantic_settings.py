"""Reads every file of a directory with pydantic-settings, and prints what it got, as hexadecimal: one line a file.

usage: read_with_pydantic_settings.py DIRECTORY
"""

import os
import sys

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore")
    # The keys of the files that are compared; it takes them whatever their case.
    A: str | None = None
    B: str | None = None
    K: str | None = None


def hexadecimal(text):
    return "x" + text.encode("utf-8", "surrogatepass").hex()


directory = sys.argv[1]
for name in sorted(os.listdir(directory)):
    values = Settings(_env_file=os.path.join(directory, name), _env_file_encoding="utf-8").model_dump()
    pairs = (hexadecimal(k) + "=" + hexadecimal(v) for k, v in values.items() if v is not None)
    print(name, *pairs)
