"""Neural network building blocks: modules, parameters, functional forms and initialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _names
from . import functional as functional
from . import init as init
from .activation import *  # noqa: F403
from .adaptive import *  # noqa: F403
from .batchnorm import *  # noqa: F403
from .container import *  # noqa: F403
from .conv import *  # noqa: F403
from .distance import *  # noqa: F403
from .dropout import *  # noqa: F403
from .embedding import *  # noqa: F403
from .flatten import *  # noqa: F403
from .images import *  # noqa: F403
from .instancenorm import *  # noqa: F403
from .lazy import *  # noqa: F403
from .linear import *  # noqa: F403
from .loss import *  # noqa: F403
from .module import Module as Module
from .multihead import *  # noqa: F403
from .normalization import *  # noqa: F403
from .padding import *  # noqa: F403
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .pooling import *  # noqa: F403
from .positional import *  # noqa: F403
from .rnn import *  # noqa: F403
from .transformer import *  # noqa: F403

_LAZY = {
    "attention": "attention",
    "modules": "modules",
    "parallel": "parallel",
    "utils": "utils",
    "DataParallel": "parallel:DataParallel",
}

if TYPE_CHECKING:  # a checker sees the names; at run time they load when first used
    from . import attention as attention
    from . import modules as modules
    from . import parallel as parallel
    from . import utils as utils
    from .parallel import DataParallel as DataParallel
else:
    __getattr__, __dir__ = _names.lazily(__name__, _LAZY)
