"""How a driver's motion reaches another face.

`dagan.transfer(source, driving, driving_initial, ...)`, which version 0.1.0 had for `relative.transfer`, still works.
"""

import sys
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from dagan.transfer.relative import transfer

        return transfer(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
