"""The tests. TESSEL_TESTED=torch puts PyTorch in tessel's place, which proves the tests themselves."""

import importlib
import importlib.abc
import importlib.util
import os
import sys

STANDS_IN = os.environ.get("TESSEL_TESTED") == "torch"


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers `import tessel...` with the module of the same name below torch."""

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name.split(".")[0] == "tessel" else None

    def create_module(self, spec):
        module = importlib.import_module("torch" + spec.name[len("tessel") :])
        self.kept = module.__spec__, module.__loader__, module.__package__
        return module

    def exec_module(self, module):
        module.__spec__, module.__loader__, module.__package__ = self.kept


if STANDS_IN and not any(isinstance(finder, StandIn) for finder in sys.meta_path):
    sys.meta_path.insert(0, StandIn())
