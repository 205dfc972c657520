"""Preceptor: raw documents in, verified training rows out. Everything public is named here; nothing is opened on import."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
