"""What every request and every result has in common: how it becomes a frame, and comes back from one.

Standard library only.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from gimp_plugin.wire.frames import Buffer, Plane, WireError, outline_frame, pack_frame, unpack_frame

Self = TypeVar("Self", bound="Request[Any]")
R = TypeVar("R", bound="Result")
_DAMAGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Result:
    """What comes back: planes, and a report of JSON values. Its class is a dataclass with these as fields."""

    kind: ClassVar[str]
    planes: ClassVar[tuple[str, ...]]  # the first one is always there
    report: dict[str, Any]

    def pack(self) -> list[Buffer]:
        planes = {name: plane for name in self.planes if (plane := getattr(self, name)) is not None}
        return pack_frame(self.kind, {"report": self.report}, planes)

    @classmethod
    def unpack(cls: type[R], frame: Buffer) -> R:
        """The inverse of ``pack``; the planes are views into ``frame``.

        Raises:
            WireError: the frame is no such result.
        """
        meta, planes = unpack_frame(cls.kind, frame)
        if cls.planes[0] not in planes or not isinstance(meta.get("report"), dict):
            raise WireError("bad_request", f"The result lacks its {cls.planes[0]} or its report.")
        made: Any = cls
        return made(report=meta["report"], **{name: planes[name] for name in cls.planes if name in planes})


class Request(Generic[R]):
    """What can be asked of the engine. Its class is a dataclass that is valid once built."""

    kind: ClassVar[str]
    result: ClassVar[type[Result]]
    content: Plane

    def pack(self) -> list[Buffer]:
        """The request as a frame: buffers to be sent one after another (nothing is copied)."""
        return pack_frame(self.kind, *self._parts())

    @classmethod
    def unpack(cls: type[Self], frame: Buffer) -> Self:
        """The inverse of ``pack``; the planes are views into ``frame``.

        Raises:
            WireError: the frame is not a valid request.
        """
        return cls._read(*unpack_frame(cls.kind, frame))

    @classmethod
    def outline(cls: type[Self], head: Buffer, total_bytes: int) -> Self:
        """The request that a frame's header announces: everything is valid, but its planes have no pixels yet.

        Args:
            head, total_bytes: see ``outline_frame``.

        Raises:
            WireError: the frame is not a valid request, whatever its pixels.
        """
        return cls._read(*outline_frame(cls.kind, head, total_bytes))

    @property
    def max_result_bytes(self) -> int:
        """Of the planes of its result."""
        raise NotImplementedError

    def read_result(self, frame: Buffer) -> R | None:
        """The result of this request; None if it is of another picture.

        Raises:
            WireError: it is no result.
        """
        result: Any = self.result.unpack(frame)
        return result if self._fits(result) else None

    def _parts(self) -> tuple[dict[str, Any], dict[str, Plane]]:
        """What the frame's metadata says, and its planes."""
        raise NotImplementedError

    @classmethod
    def _of(cls: type[Self], meta: dict[str, Any], planes: dict[str, Plane]) -> Self:
        """The inverse of ``_parts``; any error of missing or wrong parts may leave it."""
        raise NotImplementedError

    def _fits(self, result: R) -> bool:
        raise NotImplementedError

    @classmethod
    def _read(cls: type[Self], meta: dict[str, Any], planes: dict[str, Plane]) -> Self:
        try:
            return cls._of(meta, planes)
        except _DAMAGE as error:
            raise WireError("bad_request", "The request lacks a part or has one of the wrong type.") from error


def is_alike(one: Plane, other: Plane, n_dimensions: int = 3) -> bool:
    """Whether two planes have the same type, and the same size in their first dimensions."""
    return one.dtype == other.dtype and one.shape[:n_dimensions] == other.shape[:n_dimensions]
