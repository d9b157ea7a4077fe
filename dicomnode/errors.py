"""The errors of the node, by whose fault they are: the data's, the peer's, the set-up's, ours."""

from __future__ import annotations

from enum import StrEnum


class NodeError(Exception):
    """Base of all errors that the node raises on purpose."""


class DataError(NodeError):
    """The received data is at fault; another attempt would end the same. `rule` names which."""

    def __init__(self, rule: str, value: str, limit: str | None = None) -> None:
        super().__init__(f"{rule}: {value}" + (f" (asked for: {limit})" if limit else ""))
        self.rule = rule
        self.value = value
        self.limit = limit


class PeerCause(StrEnum):
    """Why a peer did not do what it was asked for, each with its one sentence."""

    UNREACHABLE = "there is no connection: unknown host, refused, no route, or no answer in time"
    TLS = "the connection stands, but TLS could not be agreed on"
    REJECTED = "the peer rejects the association"
    NOT_ACCEPTED = "the association stands, but the peer accepts none of the classes offered"
    ABORTED = "the peer aborted the association"
    LOST = "the connection broke off"
    NO_ANSWER = "the peer is connected, but does not answer in time"
    NO_DICOM = "what answers does not keep to DICOM's upper layer protocol"
    NO_HTTP = "what answers does not speak HTTP"
    STATUS = "the peer answered with a failure status"
    OURS = "a fault on our side: a file or an object that cannot be used"

    @property
    def word(self) -> str:
        """For a table, beside the sentence of the fault."""
        return _CAUSE_WORDS.get(self.name, self.name.lower())


_CAUSE_WORDS = {
    "UNREACHABLE": "no connection",
    "TLS": "TLS failed",
    "NOT_ACCEPTED": "class not accepted",
    "LOST": "broken off",
    "NO_ANSWER": "no answer in time",
    "NO_DICOM": "no DICOM",
    "NO_HTTP": "no HTTP",
    "STATUS": "answered a failure",
    "OURS": "a fault on our side",
}


class PeerError(NodeError):
    """A peer on the network refused, broke off or could not be reached; worth another attempt."""

    def __init__(self, what: str, cause: PeerCause) -> None:
        super().__init__(what)
        self.cause = cause


class ConfigurationError(NodeError):
    """The configuration or the machine is not as the node needs it; says what and where."""


class AlreadyRunningError(NodeError):
    """Another node works on the same data directory."""


class ManifestError(NodeError):
    """A manifest, or the scans that it names, cannot be used; the text tells every problem."""

    def __init__(self, name: str, problems: tuple[str, ...]) -> None:
        text = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"manifest {name}: {len(problems)} problem(s)\n{text}")
        self.problems = problems
