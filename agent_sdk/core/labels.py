"""Where a value comes from and who may read it: labels join along every flow of data."""

from collections.abc import Iterable

from agent_sdk.core.frozen import frozen


@frozen
class Label:
    """Integrity and confidentiality of a value.

    `untrusted` holds the sources nobody vouches for, sorted; empty means trusted. `readers` holds who may read it, sorted; None means
    everybody.
    """

    untrusted: tuple[str, ...] = ()
    readers: tuple[str, ...] | None = None

    def join(self, other: "Label") -> "Label":
        """Return the label of a value derived from both: all sources, and only the common readers."""
        if self is other or self == other:
            return self
        untrusted = tuple(sorted({*self.untrusted, *other.untrusted}))
        if self.readers is None or other.readers is None:
            readers = other.readers if self.readers is None else self.readers
        else:
            readers = tuple(sorted({*self.readers} & {*other.readers}))
        joined = Label(untrusted, readers)
        if joined == self:  # what adds nothing makes no other object, and that takes no comparison the next time
            return self
        return other if joined == other else joined


TRUSTED = Label()
UNKNOWN_SOURCE = Label(untrusted=("unknown",))
"""What a missing label folds as."""


def join_all(labels: Iterable[Label]) -> Label:
    """Return the label of a value derived from all; trusted and for everybody where there are none."""
    joined = TRUSTED
    for label in labels:
        joined = joined.join(label)
    return joined
