"""A machine as a tree of files: one on which all is well, to be changed file by file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from megacomet.doctor.finding import Aim
from megacomet.doctor.readings import Files
from megacomet.doctor.report import aim_of
from megacomet.settings import Settings

MILLION: Final = 1_000_000
MEMINFO: Final = (
    "MemTotal:       24684096 kB\nMemFree:        20656672 kB\nMemAvailable:   23534352 kB\n"
    "SwapTotal:             0 kB\nCommitLimit:    12342048 kB\nCommitted_AS:    7289340 kB\n"
)
LIMITS: Final = (
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max cpu time              unlimited            unlimited            seconds   \n"
    "Max locked memory         8388608              8388608              bytes     \n"
    "Max open files            1024                 {hard}                files     \n"
)
FILES: Final[Mapping[str, str]] = {
    "proc/meminfo": MEMINFO,
    "proc/self/limits": LIMITS.format(hard="20000"),
    "proc/self/cgroup": "0::/system.slice/megacomet.service\n",
    "proc/net/softnet_stat": "1d997de5 00000000 00000411 00000000\n1e08e4c7 00000000 000003af 00000000\n",
    "proc/net/netstat": "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 5 0\nIpExt: InOctets\nIpExt: 7\n",
    "proc/net/snmp": "Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm MaxConn CurrEstab\nTcp: 1 -1 40\n",
    "proc/net/sockstat": "sockets: used 17\nTCP: inuse 1 orphan 0 tw 0 alloc 8 mem 48\nUDP: inuse 0 mem 0\n",
    "proc/vmstat": "nr_free_pages 5164168\noom_kill 0\n",
    "proc/interrupts": (
        "           CPU0       CPU1       \n"
        " 38:          0      65743 PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0\n"
        " 40:          7          0 PCI-MSIX-0000:00:04.0   0-edge      virtio3-config\n"
        "NMI:          0          0   Non-maskable interrupts\n"
    ),
    "proc/sys/fs/nr_open": "1048576\n",
    "proc/sys/fs/file-max": "2466183\n",
    "proc/sys/fs/file-nr": "2327\t0\t2466183\n",
    "proc/sys/fs/epoll/max_user_watches": "5491533\n",
    "proc/sys/net/core/somaxconn": "4096\n",
    "proc/sys/net/core/netdev_max_backlog": "1000\n",
    "proc/sys/net/core/rmem_max": "4194304\n",
    "proc/sys/net/core/wmem_max": "4194304\n",
    "proc/sys/net/ipv4/tcp_max_syn_backlog": "2048\n",
    "proc/sys/net/ipv4/tcp_syncookies": "1\n",
    "proc/sys/net/ipv4/tcp_migrate_req": "0\n",
    "proc/sys/net/ipv4/tcp_mem": "287901\t383869\t575802\n",
    "proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t33554432\n",
    "proc/sys/net/ipv4/tcp_wmem": "4096\t16384\t4194304\n",
    "proc/sys/net/ipv4/tcp_max_tw_buckets": "131072\n",
    "proc/sys/net/ipv4/tcp_max_orphans": "131072\n",
    "proc/sys/net/ipv4/tcp_fin_timeout": "60\n",
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "proc/sys/net/ipv4/ip_local_reserved_ports": "\n",
    "proc/sys/vm/min_free_kbytes": "67584\n",
    "proc/sys/vm/swappiness": "60\n",
    "proc/sys/vm/overcommit_memory": "0\n",
    "sys/kernel/mm/ksm/run": "0\n",
    "sys/kernel/mm/ksm/pages_to_scan": "100\n",
    "sys/kernel/mm/ksm/sleep_millisecs": "20\n",
    "sys/kernel/mm/ksm/general_profit": "0\n",
    "sys/class/net/lo/operstate": "unknown\n",
    "sys/class/net/eth0/operstate": "up\n",
    "sys/class/net/eth0/queues/rx-0/rps_cpus": "0\n",
    "sys/class/net/eth0/queues/tx-0/xps_cpus": "0\n",
    "sys/class/net/eth0/device/msi_irqs/38": "msix\n",
    "sys/class/net/ifb0/operstate": "down\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc kvm-clock hpet \n",
    "sys/fs/cgroup/system.slice/megacomet.service/memory.max": "max\n",
    "sys/fs/cgroup/system.slice/megacomet.service/memory.current": "2000000\n",
    "sys/fs/cgroup/system.slice/megacomet.service/pids.max": "max\n",
    "sys/fs/cgroup/system.slice/megacomet.service/cpu.max": "max 100000\n",
}


def sysctl(name: str) -> str:
    """Where a sysctl stands."""
    return f"proc/sys/{name.replace('.', '/')}"


class Machine:
    """A tree of files.

    Attributes:
        root: where it is.
        closed: paths below the root that are mounted read-only.
    """

    def __init__(self, root: Path, *, bare: bool = False) -> None:
        self.root = root
        self.closed: set[str] = set()
        for path, text in {} if bare else FILES.items():
            self.write(path, text)

    def write(self, path: str, text: str) -> None:
        """Have a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def set(self, **sysctls: object) -> None:
        """Set sysctls: `net__core__somaxconn=128`."""
        for name, value in sysctls.items():
            self.write(f"proc/sys/{name.replace('__', '/')}", f"{value}\n")

    def remove(self, path: str) -> None:
        """Have a file no more."""
        (self.root / path).unlink()

    def read(self, path: str) -> str | None:
        """Return what stands in a file; None: there is none."""
        return (self.root / path).read_text() if (self.root / path).exists() else None

    def live(self, name: str) -> str:
        """Return a sysctl's value."""
        return (self.root / sysctl(name)).read_text().strip()

    @property
    def files(self) -> Files:
        """What the doctor reads it by."""
        return Files(self.root, lambda path: str(path.relative_to(self.root)) in self.closed)

    def aim(self, connections: int = MILLION, **settings: object) -> Aim:
        """Return what is asked about, with two processors."""
        return aim_of(self.files, Settings(**{"port": 80, **settings}), connections, 2)  # type: ignore[arg-type]
