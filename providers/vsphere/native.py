"""The SDK's names as we use them: pyvmomi makes its types at run time, so to mypy they are Any."""

from __future__ import annotations

from typing import Any

import pyVmomi.SoapAdapter
import pyVmomi.VmomiSupport
from pyVmomi import vim as _vim
from pyVmomi import vmodl as _vmodl

vim: Any = _vim
vmodl: Any = _vmodl
soap: Any = pyVmomi.SoapAdapter
support: Any = pyVmomi.VmomiSupport

#: What pyvmomi raises for everything that vSphere refuses.
MethodFault: type[Exception] = vmodl.MethodFault
