"""Server-sent events out of bytes that may be cut anywhere (WHATWG HTML, 9.2.6); only their data is kept."""

from codecs import BOM_UTF8


class EventBytes:
    """Takes bytes as they come and gives the data of each event that is complete."""

    __slots__ = ("_data", "_has_begun", "_tail")

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._data: list[bytes] = []
        self._has_begun = False

    def feed(self, received: bytes) -> list[bytes]:
        """Return the data of all events that end in `received`."""
        if b"\n" not in received and b"\r" not in received:
            if received:
                self._tail.append(received)
            return []
        if self._tail:
            received = b"".join((*self._tail, received))
            self._tail.clear()
        if b"\r" in received:
            received = self._with_plain_ends(received)
        lines = received.split(b"\n")
        if rest := lines.pop():
            self._tail.insert(0, rest)
        return self._events(lines)

    def _with_plain_ends(self, received: bytes) -> bytes:
        """Make every line end in a line feed; a carriage return at the very end may be the first half of one, and waits."""
        if received.endswith(b"\r"):
            received = received[:-1]
            self._tail.append(b"\r")
        return received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        if lines and not self._has_begun:
            lines[0], self._has_begun = lines[0].removeprefix(BOM_UTF8), True
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b" ", 5) else line[5:])
            elif not line and data:
                events.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
        return events
