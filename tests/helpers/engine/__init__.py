"""A Docker engine for tests and benchmarks, and base images where no registry is reachable."""

from helpers.engine.bases import Base, base
from helpers.engine.daemon import start
from helpers.engine.docker import Container, Engine, Response, get

__all__ = ["Base", "Container", "Engine", "Response", "base", "get", "start"]
