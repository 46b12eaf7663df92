"""How a kernel becomes machine code: as Numba does it, less what kernels have no use for: a quarter of the time.

Numba has LLVM optimise three times: each function by itself, all together in haste, and all together in full. The first
two bring reference counts together, to strike out those that cancel. Kernels count no references (``jit.py``), so the last,
which is LLVM's usual sequence of passes and complete by itself, is enough for them.

A function that kernels call is linked into each of them and optimised there once more. If nobody else calls it, machine code
of its own is work for nothing: it stays as Numba lowered it until a kernel takes it (``jit_part``).

The methods are ones that Numba keeps to itself. A version that names them otherwise calls its own, and compiles as before.
"""

from typing import Any

import llvmlite.binding
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _Library(JITCodeLibrary):
    """The code of a kernel."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        made: Any = self._codegen._module_pass_manager()  # with what built it, since Numba 0.62
        passes, *builder = made if isinstance(made, tuple) else (made,)
        passes.run(self._final_module, *builder)


class _Part(_Library):
    """The code of a function that is only linked into others."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True
        for variable in self._final_module.global_variables:
            if "NumbaEnv" in variable.name:  # Numba will write there; its readers find what their own code has
                place = llvmlite.binding.parse_assembly(f'@"{variable.name}" = common global i8* null')
                self._codegen._engine.add_module(place)

    def get_pointer_to_function(self, name: str) -> int:
        """What a call from Python would jump to: it raises an error."""
        self._ensure_finalized()
        engine = self._codegen._engine
        if not engine.is_symbol_defined("minicnn_refuse"):
            engine.add_module(llvmlite.binding.parse_assembly(REFUSE))
            engine.finalize_object()
        return engine.get_function_address("minicnn_refuse")


MESSAGE = "only compiled functions can call this one; a kernel that Python calls is decorated by jit, not by jit_part"
TEXT = f"[{len(MESSAGE) + 1} x i8]"
REFUSE = f"""
@message = private constant {TEXT} c"{MESSAGE}\\00"
@PyExc_TypeError = external global i8
declare void @PyErr_SetString(i8*, i8*)
define i8* @minicnn_refuse(i8* %function, i8* %arguments, i8* %keywords) {{
  call void @PyErr_SetString(i8* @PyExc_TypeError, i8* getelementptr ({TEXT}, {TEXT}* @message, i64 0, i64 0))
  ret i8* null
}}
"""


class KernelCompiler(Compiler):
    """Numba's compiler, with other libraries for the result."""

    library: type[JITCodeLibrary] = _Library

    def compile_extra(self, function: Any) -> Any:
        if self.state.library is None:
            self.state.library = self.library(self.state.targetctx.codegen(), function.__qualname__)
            self.state.library.enable_object_caching()
        return super().compile_extra(function)


class PartCompiler(KernelCompiler):
    library = _Part
