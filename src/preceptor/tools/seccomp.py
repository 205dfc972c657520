"""The system calls that no program in the sandbox needs, as a filter that the kernel enforces."""

import errno
import platform
import struct

# Numbers from the kernel's tables (x86_64: arch/x86/entry/syscalls/syscall_64.tbl; aarch64: asm-generic/unistd.h).
# They open kernel surface (namespaces, mounts, bpf, io_uring, keys), reach into other processes, or hold memory
# that no limit counts (memfd, System V segments).
_X86_64 = {
    "shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101, "syslog": 103, "pivot_root": 155, "chroot": 161,
    "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "init_module": 175,
    "delete_module": 176, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272,
    "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313, "memfd_create": 319,
    "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "unshare": 97, "kexec_load": 104, "init_module": 105,
    "delete_module": 106, "syslog": 116, "ptrace": 117, "reboot": 142, "msgget": 186, "semget": 190, "shmget": 194,
    "add_key": 217, "request_key": 218, "keyctl": 219, "swapon": 224, "swapoff": 225, "perf_event_open": 241,
    "fanotify_init": 262, "name_to_handle_at": 264, "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270,
    "process_vm_writev": 271, "finit_module": 273, "memfd_create": 279, "bpf": 280, "userfaultfd": 282,
    "kexec_file_load": 294,
}  # fmt: skip
# From 424 on the numbers are the same everywhere.
_COMMON = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "mount_setattr": 442,
    "memfd_secret": 447,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64, 56), "aarch64": (0xC00000B7, _AARCH64, 220)}
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020080
"""CLONE_NEW{TIME, NS, CGROUP, UTS, IPC, USER, PID, NET}."""

_LOAD, _EQUAL, _SET, _RETURN, _AT_LEAST = 0x20, 0x15, 0x45, 0x06, 0x35
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def syscall_filter(machine: str = platform.machine()) -> bytes:
    """A BPF program for `bwrap --seccomp`; empty on machines whose call numbers are not known here.

    Denied calls fail with EPERM. `clone3` fails with ENOSYS, because a filter cannot look into its arguments
    and libc then falls back to `clone`, whose flags it can read.
    """
    if machine not in _MACHINES:
        return b""
    architecture, own, clone = _MACHINES[machine]
    denied = _ERRNO | errno.EPERM
    lines = [
        (_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0), (_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, denied),  # the x32 numbers
        (_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_EQUAL, 0, 4, clone), (_LOAD, 0, 0, 16), (_SET, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, denied),
        (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    for number in sorted((own | _COMMON).values()):
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, denied)]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
