"""A Slurm cluster of this machine alone: munged, slurmctld and slurmd, each from Debian."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.node import free_port
from support.tools import needed
from support.wait import wait_for


class Slurm:
    """`environment`: by which its commands find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        return "\n".join(each.read_text()[-2000:] for each in self.folder.glob("*.log"))


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """Running, with one idle node of two processors; as root, as slurmd starts jobs as others."""
    if os.geteuid() != 0:
        pytest.skip("slurmd has to be root")
    munged, controller, daemon = (
        needed("munged", "munge"),
        needed("slurmctld", "slurm-wlm"),
        needed("slurmd", "slurm-wlm"),
    )
    folder.chmod(0o755)  # munged looks at it
    (folder / "key").write_bytes(secrets.token_bytes(128))
    (folder / "key").chmod(0o600)
    (folder / "slurm.conf").write_text(_configuration(folder))
    made = Slurm(folder)
    files = [f"--key-file={folder}/key", f"--socket={folder}/munge"]
    files += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "seed", "log")]
    commands = (
        [munged, "--foreground", "--force", *files],
        [controller, "-D", "-f", str(folder / "slurm.conf")],
        [daemon, "-D", "-f", str(folder / "slurm.conf"), "-N", socket.gethostname()],
    )
    with ExitStack() as stack:
        for command in commands:
            log = stack.enter_context((folder / f"{Path(command[0]).name}.out.log").open("wb"))
            process = subprocess.Popen(command, env=made.environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            if command[0] == munged:
                wait_for((folder / "munge").exists, f"munged; {made.logs()}")

        def idle() -> bool:
            told = subprocess.run(
                ["sinfo", "-h", "-o", "%T"],
                env=made.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            return told.stdout.strip() == "idle"

        wait_for(idle, "Slurm's node is idle")
        yield made


def _configuration(folder: Path) -> str:
    host = socket.gethostname()
    lines = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge",
        "CredType": "cred/munge",
        "SlurmctldPort": free_port(),
        "SlurmdPort": free_port(),
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "SlurmctldLogFile": folder / "slurmctld.log",
        "SlurmdLogFile": folder / "slurmd.log",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU",
        "MpiDefault": "none",
        "AccountingStorageType": "accounting_storage/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "ReturnToService": 2,
        "KillWait": 15,
        "MinJobAge": 300,
        "SchedulerParameters": "sched_min_interval=100000,batch_sched_delay=1",
        "NodeName": f"{host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN",
        "PartitionName": f"test Nodes={host} Default=YES MaxTime=INFINITE State=UP",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())
