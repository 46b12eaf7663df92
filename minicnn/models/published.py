"""Published weights: where they are, what they were trained with, and how a model is built with them.

``ResNet50_Weights.IMAGENET1K_V2`` is a member of an enumeration, one for each model: its URL, the start of its SHA-256,
what it scored, its categories, and ``transforms()``, the preprocessing it was trained with. The facts are torchvision's
and lie in ``published_weights.json``. :func:`build` makes a model with them, without drawing random numbers that are
overwritten at once; the file comes from the user's cache or is downloaded into it (``minicnn/weights/registry.py``).
"""

from __future__ import annotations

import enum
import functools
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

from ..autograd import Tensor
from ..dtypes import get_default_dtype
from ..nn import Module, init
from ..nn.checkpoint_keys import unwrapped
from ..weights import CheckpointError, load
from ..weights.registry import from_package, published_file

M = TypeVar("M", bound=Module)
P = ParamSpec("P")


class Published:
    """What is known about one file of weights; the value of a :class:`WeightsEnum` member."""

    def __init__(self, model: str, entry: dict[str, Any]):
        self.model, self.entry = model, entry


class WeightsEnum(enum.Enum):
    """The published weights of one model. ``DEFAULT`` is another name of the best.

    >>> from minicnn.models import ResNet50_Weights
    >>> ResNet50_Weights.DEFAULT
    ResNet50_Weights.IMAGENET1K_V2
    >>> ResNet50_Weights.DEFAULT.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    80.858
    """

    @property
    def url(self) -> str:
        """Where the file is published."""
        entry = self.value.entry
        return f"package:{entry['package']}" if "package" in entry else _facts()["url"] + entry["file"]

    @property
    def sha256(self) -> str:
        """The first hex digits of the file's SHA-256."""
        return self.value.entry["sha256_prefix"]

    @property
    def size(self) -> float:
        """The file's size in MiB."""
        return self.value.entry["file_size_mb"]

    @property
    def categories(self) -> list[str] | None:
        """The classes' names, in order; None where they are not known here."""
        return self.meta.get("categories")

    @property
    def metrics(self) -> dict[str, Any]:
        """What the weights reach, by data set: ``{"ImageNet-1K": {"acc@1": 80.858, "acc@5": 95.434}}``."""
        return self.meta["_metrics"]

    @property
    def meta(self) -> dict[str, Any]:
        """Facts by name: ``categories`` (names in order), ``num_params``, ``min_size``, ``_metrics``, ``_ops`` and so on.

        Of the video models' 400 Kinetics categories only their number is known here: ``num_categories``.
        """
        entry = self.value.entry
        facts = {
            "num_params": entry["num_params"],
            "min_size": tuple(entry["min_size"]) if entry["min_size"] else None,
            "num_categories": entry["categories"],
            "_metrics": entry["metrics"],
            "_ops": entry["gflops"],
            "_file_size": entry["file_size_mb"],
        }
        if entry["categories"] == 1000:
            facts["categories"] = imagenet_categories()
        return facts

    def transforms(self, **changes: Any) -> Any:
        """The preprocessing of an image that these weights were trained with; ``changes`` replace single settings.

        >>> from minicnn.models import ResNet18_Weights
        >>> ResNet18_Weights.DEFAULT.transforms().crop_size
        (224, 224)
        """
        from ..data.transforms import ImageClassification, InterpolationMode, VideoClassification

        settings = {k: v for k, v in self.value.entry["preprocess"].items() if k not in ("kind", "antialias")}
        settings["interpolation"] = InterpolationMode(settings["interpolation"])
        settings.update(changes)
        if self.value.entry["preprocess"]["kind"] == "VideoClassification":
            return VideoClassification(**settings)
        return ImageClassification(**settings)

    def get_state_dict(
        self,
        model_dir: str | os.PathLike[str] | None = None,
        map_location: Any = None,
        progress: bool = True,
        check_hash: bool = True,
    ) -> dict[str, Tensor]:
        """The tensors by name, mapped from the cached file; downloaded first where it is not there.

        Parameters
        ----------
        model_dir : where the file is kept; the user's cache by default.
        map_location : as for :func:`minicnn.load`.
        progress : show a bar while downloading.
        check_hash : what is downloaded is compared with the published SHA-256 whatever this says.

        Raises
        ------
        DownloadError : the file is neither there nor to be had; the message says what was tried and what to do.
        """
        entry = self.value.entry
        if "package" in entry:
            path = from_package(entry["package"], entry["file"], entry["sha256_prefix"])
        else:
            path = published_file(self.url, entry["sha256_prefix"], progress=progress, folder=model_dir)
        return load(path, map_location, mmap=True)

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """The member that ``obj`` means: a member, its name, ``"DEFAULT"``, or None.

        Raises
        ------
        TypeError : weights of another model, or something else.
        ValueError : a name that is not among them.
        """
        if obj is None or isinstance(obj, cls):
            return obj
        if isinstance(obj, str):
            name = obj.removeprefix(f"{cls.__name__}.")
            if name not in cls.__members__:
                raise ValueError(f"weights: {cls.__name__} has {', '.join(cls.__members__)}, not {obj!r}")
            return cls[name]
        raise TypeError(f"weights: expected a member of {cls.__name__}, its name or None, got {obj!r}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return getattr, (type(self), self.name)  # a pickle holds the name, not the facts


WeightsLike: TypeAlias = WeightsEnum | str | os.PathLike[str] | None


@functools.cache
def _facts() -> dict[str, Any]:
    return json.loads(resources.files(__package__).joinpath("published_weights.json").read_text(encoding="utf-8"))


@functools.cache
def imagenet_categories() -> list[str]:
    """The 1000 names of ImageNet's classes, in order, as torchvision spells them.

    >>> imagenet_categories()[21], imagenet_categories()[281]
    ('kite', 'tabby')
    """
    return json.loads(resources.files(__package__).joinpath("imagenet_categories.json").read_text(encoding="utf-8"))


def weights_enum(name: str, model: str) -> type[WeightsEnum]:
    """The enumeration of what is published for a model."""
    entries = _facts()["models"][model]
    members = {entry["name"]: Published(model, entry) for entry in entries}
    members["DEFAULT"] = next(members[entry["name"]] for entry in entries if entry["default"])
    where = sys._getframe(1).f_globals["__name__"]  # for pickle, as in the standard library's namedtuple
    return cast(type[WeightsEnum], WeightsEnum(name, members, module=where))  # type: ignore[call-arg]


def builder_of(names: type[WeightsEnum]) -> Callable[[Callable[P, M]], Callable[P, M]]:
    """Decorates a builder, to let it be called as before weights had names, too, with a deprecation warning.

    ``resnet18(True)``, ``resnet18(pretrained=True)`` and ``resnet18(weights=True)`` mean the first weights published (which
    may not be the best, ``"DEFAULT"``), False means none, and ``weights`` and ``progress`` may come by position.
    """
    first = next(iter(names.__members__))

    def decorate(build_model: Callable[P, M]) -> Callable[P, M]:
        @functools.wraps(build_model)
        def builder(*args: Any, **config: Any) -> M:
            if len(args) > 2:
                raise TypeError(
                    f"{build_model.__name__}() takes weights and progress by position, got {len(args)} arguments"
                )
            given = dict(zip(("weights", "progress"), args, strict=False))
            if twice := sorted(given.keys() & config.keys()):
                raise TypeError(f"{build_model.__name__}() got two values for {' and '.join(twice)}")
            if given:
                spelt = ", ".join(f"{name}={value!r}" for name, value in given.items())
                _deprecated(f"weights and progress by position are deprecated: name them, {spelt}")
            config = {**given, **config}
            old = "weights" if isinstance(config.get("weights"), bool) else "pretrained"
            if old in config:
                wanted = config.pop(old)
                if "weights" in config:
                    raise TypeError(f"{build_model.__name__}(): pretrained is an old name of weights; give one of them")
                meaning = f"weights={first!r}" if wanted else "weights=None"
                best = (
                    ", and weights='DEFAULT' is the best there is" if wanted and names["DEFAULT"].name != first else ""
                )
                _deprecated(f"{old}={wanted!r} is deprecated and means {meaning}{best}")
                config["weights"] = first if wanted else None
            return build_model(**config)  # type: ignore[call-arg]

        return cast(Callable[P, M], builder)

    return decorate


def _deprecated(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=3)


def chosen(weights: WeightsLike, names: type[WeightsEnum]) -> Any:
    """What a builder was asked for: None, a member, or (as text) a file's path."""
    if isinstance(weights, os.PathLike) or (isinstance(weights, str) and is_path(weights)):
        return os.fspath(weights)
    return names.verify(weights)


def is_path(weights: str) -> bool:
    """Whether ``weights`` names a file rather than published weights."""
    path = Path(weights)
    endings = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar")
    return path.suffix in endings or len(path.parts) > 1 or path.is_file()


def build(
    constructor: Callable[..., M], names: type[WeightsEnum], weights: WeightsLike, progress: bool, **config: Any
) -> M:
    """A model, with weights where they are asked for.

    Parameters
    ----------
    constructor : makes the model from ``config``.
    names : the model's published weights.
    weights : None, a member of ``names`` or its name, or the path of a file.
    progress : show a bar while downloading.

    Raises
    ------
    ValueError : ``num_classes`` unlike the published weights'.
    DownloadError, CheckpointError : the file is not to be had, or is broken.
    RuntimeError : its tensors are not this model's.
    """
    member = chosen(weights, names)
    if member is None:
        return constructor(**config)
    if isinstance(member, str):
        state = load(member)
        if not isinstance(state, dict):
            raise CheckpointError(member, "object", f"is a {type(state).__name__}, expected a state dict")
    else:
        classes = member.meta["num_categories"]
        if config.setdefault("num_classes", classes) != classes:
            raise ValueError(
                f"num_classes: these weights have {classes} classes, got {config['num_classes']}; build the model with "
                "the weights and give it a new head afterwards: minicnn.transfer.replace_head(model, n), or "
                "model.fc = nn.Linear(model.fc.in_features, n)"
            )
        state = member.get_state_dict(progress=progress)
    with init.skipped():
        model = constructor(**config)
    try:
        # The tensors become the model's own, without a copy, where they have the type that it computes in.
        model.load_state_dict(state, assign=get_default_dtype().name == "float32")
    except RuntimeError as error:
        own = model.state_dict()
        classes = outputs(unwrapped(state, own.keys())[0])
        if classes != outputs(own):
            error.add_note(
                f"{member} seems to be of a model with {classes} classes: build it with num_classes={classes}. For other "
                "classes give it a new head afterwards: minicnn.transfer.replace_head(model, n)"
            )
        raise
    return model


def outputs(state: Mapping[str, Any]) -> int:
    """How many classes a state dict's head has: the length of its last tensor that has one.

    >>> import minicnn as mc
    >>> outputs({"fc.weight": mc.zeros(5, 2), "fc.bias": mc.zeros(5)})
    5
    """
    last = [value for value in state.values() if isinstance(value, Tensor) and value.ndim > 0]
    return int(last[-1].shape[0]) if last else 0
