"""``py:MODULE:OBJECT`` and ``py:FILE.py:OBJECT``: a model from the user's own code."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mrbench.errors import InputError, ModelError
from mrbench.models.common import weights_digest
from mrbench.models.model_code import running
from mrbench.models.protocol import EmbeddingModel, note

_ACCEPTED = "py:MODULE:OBJECT or py:FILE.py:OBJECT"
_MEMBERS = (
    *("name", "revision", "dimension", "modalities", "device", "dtype"),
    *("embed_queries", "embed_candidates"),
)


def load_object(
    spec: str,
    *,
    seed: int = 0,
    device: str = "auto",
    batch_size: int = 1024,
    **more: Any,
) -> EmbeddingModel:
    """Return the model that an object of a Python module or file is, or makes.

    An object with the shape of :class:`EmbeddingModel` is taken as it is. A class or a function is called with those of
    ``seed``, ``device``, ``batch_size`` and ``more`` that it has parameters for.

    The digest of the source file becomes part of ``preprocessing``, so that a cache is not used after an edit. Modules
    that the file imports are not part of it.

    Args:
        spec: ``MODULE:OBJECT`` or ``FILE.py:OBJECT``. OBJECT may have dots, such as ``Models.small``.
        seed: Passed on.
        device: Passed on.
        batch_size: Passed on.
        more: Further options that the user gave, such as ``dtype``. The object must have parameters for them.

    Raises:
        InputError: Malformed spec, no such file, module or object, or an option that the object does not take.
        ModelError: The code raises, or what it makes is no embedding model.
    """
    where, colon, name = spec.rpartition(":")
    if not (colon and where and name):
        hint = f"name the class or the function: py:{spec.strip(':')}:NAME" if spec.strip(":") else None
        raise InputError("malformed spec", got=f"py:{spec}", accepted=_ACCEPTED, hint=hint)
    module = _module_of_file(Path(where)) if where.endswith(".py") else _module(where)
    made: Any = module
    for part in name.split("."):
        if not hasattr(made, part):
            known = ", ".join(key for key in vars(module) if not key.startswith("_")) or "nothing"
            raise InputError("no such object", where=where, got=name, accepted=known)
        made = getattr(made, part)
    if isinstance(made, type) or not hasattr(made, "embed_queries"):
        made = _call(spec, made, {"seed": seed, "device": device, "batch_size": batch_size}, more)
    elif set(more) - {"trust_remote_code"}:
        raise InputError(
            "an instance takes no options",
            where=f"py:{spec}",
            got=", ".join(more),
            hint="name its class, or leave out the option",
        )
    _check(spec, made)
    _note_source(made, module)
    return made  # type: ignore[no-any-return]


def _module(name: str) -> ModuleType:
    try:
        with running(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise InputError(
                "no such module", where="model", got=name, accepted=_ACCEPTED, hint="install it, or set PYTHONPATH"
            ) from error
        raise ModelError(f"the module needs the package {missing}", where=name, hint="install it") from error


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError("no such file", where="model", got=str(path), accepted=_ACCEPTED)
    path = path.resolve()
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for modules beside it, and for worker processes that unpickle its functions
    name = path.stem
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None or found.origin != str(path):  # another module has the name
        name = f"mrbench_model_{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
        found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise InputError("not a Python file", where="model", got=str(path), accepted=_ACCEPTED)
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # before it runs: dataclasses look their module up
    try:
        with running(str(path)):
            found.loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name)
        if isinstance(error, ModuleNotFoundError):
            raise ModelError(f"the file needs the module {error.name}", where=path, hint="install it") from error
        raise
    return module


def _call(spec: str, factory: Any, usual: dict[str, Any], more: dict[str, Any]) -> Any:
    if not callable(factory):
        raise InputError(
            "the object is no model and makes none",
            where=f"py:{spec}",
            got=type(factory).__name__,
            accepted="a class, a function or an instance",
        )
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # builtins have no signature
        parameters = ()  # type: ignore[assignment]
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    names = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    for name, value in more.items():
        if name not in names and not takes_all and name != "trust_remote_code":  # which is leave, not a wish
            raise InputError(
                f"the object takes no {name}",
                where=f"py:{spec}",
                got=value,
                hint=f"give it a parameter {name}, or leave out --{name.replace('_', '-')}",
            )
    options = {name: value for name, value in (usual | more).items() if takes_all or name in names}
    with running(f"py:{spec}"):
        return factory(**options)


def _check(spec: str, made: Any) -> None:
    if isinstance(made, EmbeddingModel) and not isinstance(made, type):
        return
    lacking = [name for name in _MEMBERS if not hasattr(made, name)]
    raise ModelError(
        f"not an embedding model: it lacks {', '.join(lacking)}" if lacking else "not an embedding model",
        where=f"py:{spec}",
        got=type(made).__name__,
        accepted="the EmbeddingModel protocol",
        hint="see docs/howto/evaluate-your-own-model.md",
    )


def _note_source(model: Any, module: ModuleType) -> None:
    """Note the digest of the module's file on the model, and add it to what it says of its preprocessing."""
    path = Path(getattr(module, "__file__", None) or "")
    if not path.is_file():
        return
    digest = weights_digest([path])
    note(model, "source", digest.rpartition(":")[2][:12])
    said = str(getattr(model, "preprocessing", "") or "")
    if digest in said:
        return
    note(model, "preprocessing", f"{said} {digest}".strip())
