"""Which names are in sight of a part of an expression, and of what types (the check's counterpart of `scope`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.feel.operations import is_known
from engine.feel.types import ANY, FeelType


@dataclass(frozen=True, slots=True)
class Names:
    """The types of names in sight: of the context, then of the local variables from the outermost.

    A local without a name is the element of a filter, whose keys are names too. `complete`: the context has no others.
    """

    context: Mapping[str, FeelType]
    complete: bool = True
    locals: tuple[tuple[str | None, FeelType], ...] = ()

    def bind(self, *added: tuple[str | None, FeelType]) -> "Names":
        """Return the names with further local variables."""
        return replace(self, locals=self.locals + added)

    def is_local(self, name: str) -> bool:
        """Tell whether a local variable has the name."""
        return any(local == name for local, _ in self.locals)

    def type_of(self, name: str) -> FeelType | None:
        """Return the type of what a name stands for; None where it surely stands for nothing."""
        uncertain = False
        for local, kind in reversed(self.locals):
            if local == name:
                return ANY if uncertain else kind
            if local is None:
                found = kind.entry(name)
                if found is not None:
                    return ANY if uncertain else found
                uncertain = uncertain or not is_known(kind) or (kind.name == "context" and not kind.keys)
        known = self.context.get(name)
        if known is None and (uncertain or not self.complete):
            return ANY
        return ANY if known is not None and uncertain else known

    def sight(self) -> list[str]:
        """Return all names that are known, to suggest one of them."""
        inner = [key for local, kind in self.locals for key in ((local,) if local else kind.keys)]
        return [*inner, *self.context]
