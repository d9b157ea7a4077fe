"""What is recorded. No event names a patient, but `Transferred` where the configuration wants it.

Left out of the events of PS3.15 A.5.3: Begin Transferring DICOM Instances (what comes is not known
before it has come, and Transferred tells the same), User Authentication (users are the system's),
Data Import and Export (no media), Procedure Record, Order Record and Patient Record (no RIS).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Outcome(IntEnum):
    """Event Outcome Indicator (PS3.15 A.5.1.1)."""

    SUCCESS = 0
    MINOR_FAILURE = 4
    SERIOUS_FAILURE = 8
    MAJOR_FAILURE = 12


@dataclass(frozen=True)
class Peer:
    """Another application entity, or who wanted to be one. `address`: an IP address or host."""

    ae_title: str
    address: str = ""


@dataclass(frozen=True)
class Activity:
    """The node started, or stopped (A.5.3.1)."""

    started: bool


@dataclass(frozen=True)
class Transferred:
    """Instances of one study came (`received`) or went, all well or none (A.5.3.7).

    `sop_classes`: UID and number of instances. `why`: of a failure, the statuses.
    """

    received: bool
    peer: Peer
    study_instance_uid: str
    sop_classes: tuple[tuple[str, int], ...]
    outcome: Outcome = Outcome.SUCCESS
    why: str = ""
    patient_id: str = ""


@dataclass(frozen=True)
class Queried:
    """This node asked a peer by C-FIND (A.5.3.10). `query`: UIDs that were asked for."""

    peer: Peer
    sop_class_uid: str
    query: str
    outcome: Outcome = Outcome.SUCCESS


class AlertKind(Enum):
    """Event Type Code of a Security Alert: code and meaning (A.5.3.11, PS3.16 CID 403)."""

    NODE_AUTHENTICATION = ("110126", "Node Authentication")
    SOFTWARE_CONFIGURATION = ("110131", "Software Configuration")
    RESTRICTED_FUNCTION = ("110132", "Use of Restricted Function")


@dataclass(frozen=True)
class Refused:
    """A peer was not let in: its AE title, address or certificate. `times`: alike, so far."""

    peer: Peer
    why: str
    times: int = 1


@dataclass(frozen=True)
class Changed:
    """A person changed something by a command ("results retract"), or the node by its rules.

    `studies`: whose objects it was about; then it is an access to these (A.5.3.6), else a Security
    Alert of a `kind`. `what`: what it came to, in a sentence without identity. `removed`: they are
    gone, as after the time of retention.
    """

    command: str
    what: str = ""
    studies: tuple[str, ...] = ()
    kind: AlertKind = AlertKind.RESTRICTED_FUNCTION
    outcome: Outcome = Outcome.SUCCESS
    removed: bool = False


Event = Activity | Transferred | Queried | Refused | Changed

RECORDED = (
    ("Application Activity", "the node starts or stops"),
    (
        "DICOM Instances Transferred",
        "an association that brought instances has ended, or objects were sent: a message for each"
        " study, another for what failed",
    ),
    (
        "DICOM Instances Accessed",
        "a person holds, cancels, sends again, renews or withdraws by command; retention removes",
    ),
    ("Query", "a PACS is asked how many instances a series has, or for what is to be pulled"),
    (
        "Security Alert",
        "Node Authentication: an association, TLS handshake or HTTP token is refused; Software"
        " Configuration: another configuration or database; Use of Restricted Function: deliveries"
        " are tried again or dropped for whole destinations",
    ),
)
"""Which events there are, by the meaning of their Event ID, and when: for who asks (A.5 c)."""
